"""Floor 5: the `fusion` command, one file per verb."""

"""Floor 4: join the floors below into whole jobs; print nothing, report through callbacks."""

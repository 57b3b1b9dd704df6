"""The small reference network: a baseline for larger ones."""

"""A network that starts from classical fusions and works on one band at a time, so that it fits any sensor."""

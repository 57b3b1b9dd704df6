"""Floor 1: recipes and the identity of weights, checked and written (pydantic, no torch)."""

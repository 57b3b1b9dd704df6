"""Floor 3: quality indices, one per file, accumulated in float64 while a scene streams by."""

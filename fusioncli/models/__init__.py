"""Floor 3: fusion models behind one contract (torch, no rasterio)."""

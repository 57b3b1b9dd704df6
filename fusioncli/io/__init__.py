"""Floor 2: rasters in and out (rasterio, no torch)."""

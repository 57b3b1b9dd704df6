"""Floor 1: geometry, tiling, digital numbers and sensors as pure functions (numpy and the standard library)."""

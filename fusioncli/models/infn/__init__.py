"""INFN: implicit neural feature fusion of a hyperspectral and a multispectral image."""

"""Methods for a hyperspectral cube and a sharper image of any number of bands."""

"""Remote-sensing image fusion on the command line: georeferenced pansharpening and hyperspectral fusion."""

__version__ = "0.1.0"

"""Classical pansharpening: component substitution and multi-resolution analysis."""

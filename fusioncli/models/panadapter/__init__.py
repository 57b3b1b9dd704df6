"""PanAdapter: frozen restoration backbones, adapted to pansharpening by small modules (AAAI 2025)."""

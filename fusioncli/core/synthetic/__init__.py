"""Synthetic scenes: a random landscape of real materials, and what a sensor records of it.

A dead-leaves model with a plan: parcels, roads, houses, crops, trees and water are painted one over the
other as shares of materials with real spectra, lit by a sun that casts shadows, and photographed through
the filters, the blur, the sampling and the noise of a sensor. Everything follows from a seed; nothing comes
from imagery. Start with `landscape.landscape` and `imaging.photograph`.
"""

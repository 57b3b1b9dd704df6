"""`fusion eval`: honest figures of fused images, with their protocol, on scenes of any size.

Start with `protocol.py` (the two conventions) and `measure.py` (how a scene streams through the indices); each other
module is one way to get the images that are measured.
"""

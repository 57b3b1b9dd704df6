"""Classical fusions of a scene as the start of networks, and the plainest one, which works on one band at a time."""

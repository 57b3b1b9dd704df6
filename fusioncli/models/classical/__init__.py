"""Classical methods: what they observe, the coefficients that follow, and the two forms that fuse."""

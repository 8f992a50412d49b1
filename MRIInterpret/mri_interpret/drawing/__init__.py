"""Drawing: canvas, colours, slices, montages, value matrices, the 3D picture, and pages from templates."""

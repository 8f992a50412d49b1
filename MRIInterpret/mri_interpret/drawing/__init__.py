"""What draws: canvas, colours, slices, montages, the 3D picture, pieces of HTML and their style."""

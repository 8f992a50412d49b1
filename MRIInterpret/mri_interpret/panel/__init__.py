"""What happens behind the module's panel in 3D Slicer. Importing this package imports nothing heavy, and no Qt."""

"""See, inside 3D Slicer, why a 3D CNN decided what it decided about a brain MRI, and whether to believe it.

Importing this package imports nothing heavy: torch, nibabel and the rest are imported by the rooms that need them.
"""

__version__ = "0.1.0"

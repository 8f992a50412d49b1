"""A result as plain arrays, numbers and texts, ready to become MRML nodes. Needs no Slicer."""

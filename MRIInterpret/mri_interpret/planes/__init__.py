"""Planes through a volume: where slices lie, and which colour means which value."""

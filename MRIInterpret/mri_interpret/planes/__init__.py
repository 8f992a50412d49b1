"""Planes through a volume: where slices lie, which colour means which value, and the viewer to click through them."""

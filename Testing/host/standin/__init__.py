"""A stand-in for 3D Slicer's window: see the README beside it for what it can and cannot vouch for."""

from .application import install

__all__ = ["install"]

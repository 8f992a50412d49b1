"""Importing this module fills the table of recorded operations."""

from . import activation, arithmetic, attention, convolution, linear, multihead, normalisation, pooling, shape

__all__ = [
    "activation",
    "arithmetic",
    "attention",
    "convolution",
    "linear",
    "multihead",
    "normalisation",
    "pooling",
    "shape",
]

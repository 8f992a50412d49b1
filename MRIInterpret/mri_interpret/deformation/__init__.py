"""Displacement fields: warp, compose, Jacobian, prescribed volume change."""

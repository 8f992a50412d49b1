"""Displacement fields in mm on a grid over the template's box: used by the simulator."""

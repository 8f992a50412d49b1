"""The attribution methods, a file for each kind; importing them loads no torch."""

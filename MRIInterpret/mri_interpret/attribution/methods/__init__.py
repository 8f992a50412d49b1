"""One file per family of attribution methods; importing them loads no torch."""

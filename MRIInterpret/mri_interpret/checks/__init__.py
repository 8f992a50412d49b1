"""Is this map to be believed? Each check is one small file, usable alone; :mod:`.checks` runs them together."""

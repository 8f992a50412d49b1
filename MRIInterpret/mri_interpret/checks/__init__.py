"""Is this map to be believed? Each check is one small file, usable alone; :mod:`.run_checks` runs them together."""

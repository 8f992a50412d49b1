"""The application in the browser: a front server, and for each visitor a process with a scene of its own (trame)."""

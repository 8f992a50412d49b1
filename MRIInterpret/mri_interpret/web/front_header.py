"""The HTTP header by which a session knows the front server."""

SECRET_HEADER = "X-MRI-Interpret-Session"

"""Does a model work here, and is it fed what it was trained on? What `mri-interpret models check` tells."""

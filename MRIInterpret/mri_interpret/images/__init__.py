"""Images: a volume is an array with its affine to RAS mm; every format in and out."""

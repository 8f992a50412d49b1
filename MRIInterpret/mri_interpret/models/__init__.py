"""From a model bundle on disk to a torch module with its card."""

DEFAULT_MODEL = "atrophy_cnn"  # here, because Slicer reads it when it starts: the registry imports more
DEFAULT_NETWORK = "EvidenceCNN3d"  # the kind of a network that is trained from the start, if none is named

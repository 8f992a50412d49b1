"""Training of the network that segments: wide contrasts, samples, loss, loop, evaluation, bundle."""

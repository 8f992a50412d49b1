"""From a model bundle on disk to a torch module with its card."""

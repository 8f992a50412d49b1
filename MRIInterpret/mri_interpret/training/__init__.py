"""Train the bundled CNN on simulated or real scans, and evaluate it."""

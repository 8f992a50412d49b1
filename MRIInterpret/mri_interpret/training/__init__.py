"""Fit the bundled CNN, or a user's, and evaluate it."""

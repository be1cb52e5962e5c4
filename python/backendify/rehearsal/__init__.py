"""Fake registries of our own, and the real companies that they know."""

"""Architectures, their registry, and the zoo of trained weights."""

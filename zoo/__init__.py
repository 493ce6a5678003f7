"""Trained weights: one folder a model, with its manifest, its card and, where they are small, the weights themselves."""

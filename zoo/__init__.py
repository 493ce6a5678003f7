"""Trained weights: a folder for each model, with its manifest, its card and, where they are small, the weights."""

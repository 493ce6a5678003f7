"""Training: losses, recipes, the loop, folds and records."""

"""One file of recipes per model."""

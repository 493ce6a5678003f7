"""Public data sets: where they are, and fetching them whole or not at all."""

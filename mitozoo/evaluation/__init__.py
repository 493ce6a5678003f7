"""Matching, counts, curves and reports on NumPy alone."""

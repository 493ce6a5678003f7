"""Errors, units, points and files: what every other package stands on."""

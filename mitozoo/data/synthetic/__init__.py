"""Synthetic H&E fields with exact labels, drawn for demos and tests; no accuracy may be claimed from them."""

from mitozoo.data.synthetic.field import SyntheticField, draw_field
from mitozoo.data.synthetic.sample import write_sample

__all__ = ["SyntheticField", "draw_field", "write_sample"]

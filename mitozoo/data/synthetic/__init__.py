"""Synthetic H&E fields and slides with exact labels, for demos and tests; no accuracy may be claimed from them."""

from mitozoo.data.synthetic.field import SyntheticField, draw_field
from mitozoo.data.synthetic.sample import write_sample
from mitozoo.data.synthetic.slide import SyntheticSlide, write_slide

__all__ = ["SyntheticField", "SyntheticSlide", "draw_field", "write_sample", "write_slide"]

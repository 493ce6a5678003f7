"""The outline of tissue on the picture of a slide."""

import numpy as np

from mitozoo.data.tissue_map import TissueMap
from mitozoo.export.tissue_outline import COLOUR, outlined


def test_the_outline_runs_around_the_tissue_and_its_holes():
    mask = np.zeros((10, 20), bool)
    mask[2:8, 5:15] = True
    mask[4:6, 9:11] = False
    picture = np.full((100, 200, 3), 250, np.uint8)
    tissue = TissueMap(mask, mask, 32.0, 0.25, np.zeros((10, 20, 3), np.uint8))
    drawn = outlined(picture, tissue)
    green = np.abs(drawn.astype(int) - COLOUR).sum(-1) < 60
    rows, columns = np.nonzero(green)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (20, 79, 50, 149)
    assert green[39:61, 89:111].any()  # the hole
    assert not green[30:37, 60:80].any() and not green[:18].any()
    assert (picture == 250).all()

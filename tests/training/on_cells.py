"""Training on cells in one call, as the tests want it."""

from mitozoo.training import loop
from mitozoo.training.cell_lessons import CellLessons


def train(recipe, cells, validation, folder, *, remine=None, **settings):
    """Train a recipe's model on cells into a folder."""
    return loop.train(recipe, CellLessons(recipe, cells, validation, remine), folder, **settings)

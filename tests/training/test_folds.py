"""Folds by case."""

import numpy as np
import pytest

from mitozoo.base.errors import DataError
from mitozoo.training.folds import assign_folds, split


def many():
    generator = np.random.default_rng(0)
    cases = generator.choice([f"slide {i}" for i in range(40)], 600)
    return cases, generator.choice(3, 600, p=[0.6, 0.3, 0.1]).astype(np.int32)


def test_no_case_is_on_both_sides_and_every_cell_is_held_out_once():
    cases, labels = many()
    folds = assign_folds(cases, labels, 5, seed=0)
    seen = np.zeros(len(cases), int)
    for fold in range(5):
        learn, held = split(cases, folds, fold)
        assert not set(cases[learn]) & set(cases[held])
        assert (learn ^ held).all()
        seen += held
    assert (seen == 1).all()


def test_every_class_is_spread():
    cases, labels = many()
    folds = assign_folds(cases, labels, 5, seed=0)
    for label in range(3):
        counts = [(labels[split(cases, folds, fold)[1]] == label).sum() for fold in range(5)]
        assert min(counts) > 0.6 * max(counts), counts


def test_same_seed_same_folds():
    cases, labels = many()
    assert assign_folds(cases, labels, 4, seed=3) == assign_folds(cases, labels, 4, seed=3)


def test_fewer_slides_than_folds():
    with pytest.raises(DataError) as error:
        assign_folds(np.array(["a", "b", "b"]), np.array([0, 1, 0]), 5, seed=0)
    assert str(error.value) == "2 slides cannot be divided into 5 folds. Give --folds 2 to 2."

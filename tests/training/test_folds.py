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


def test_the_order_of_the_cells_does_not_matter():
    cases, labels = many()
    order = np.random.default_rng(1).permutation(len(cases))
    assert assign_folds(cases[order], labels[order], 5, seed=0) == assign_folds(cases, labels, 5, seed=0)


def test_by_hand():
    # "a" has half of class 0 and all of class 1 and goes first; the others, which share the rest, go to the other fold.
    cases, labels = np.array(["a"] * 4 + ["b", "c"]), np.array([0, 0, 1, 1, 0, 0])
    folds = assign_folds(cases, labels, 2, seed=0)
    assert folds["b"] == folds["c"] != folds["a"]


def test_as_many_folds_as_slides():
    cases = np.array(["a", "b", "b", "c"])
    for seed in range(5):
        assert sorted(assign_folds(cases, np.array([0, 0, 1, 1]), 3, seed=seed).values()) == [0, 1, 2]


def test_no_fold_is_empty_where_every_slide_has_one_class():
    cases, labels = np.array(list("abcdef")), np.array([0, 0, 1, 1, 2, 2])
    for folds in range(2, 7):
        assert set(assign_folds(cases, labels, folds, seed=0).values()) == set(range(folds))


def test_one_fold_and_one_slide():
    with pytest.raises(DataError) as error:
        assign_folds(np.array(["a", "b"]), np.array([0, 1]), 1, seed=0)
    assert str(error.value) == "2 slides cannot be divided into 1 folds. Give --folds 2 to 2."
    with pytest.raises(DataError) as error:
        assign_folds(np.array(["a", "a"]), np.array([0, 1]), 2, seed=0)
    assert str(error.value) == "One slide cannot be divided into folds. Give more with --data, or leave --folds out."


def test_fewer_slides_than_folds():
    with pytest.raises(DataError) as error:
        assign_folds(np.array(["a", "b", "b"]), np.array([0, 1, 0]), 5, seed=0)
    assert str(error.value) == "2 slides cannot be divided into 5 folds. Give --folds 2 to 2."

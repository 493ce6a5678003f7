"""Canvases that are taken and joined without being copied, against the same done with one array."""

import numpy as np

from mitozoo.data.canvases import Canvases
from mitozoo.training.repeat import arrays_sha256


def pictures(count, seed):
    return np.random.default_rng(seed).integers(0, 256, (count, 6, 6, 3), np.uint8)


def some():
    """Taken from one array, joined with some of another, taken from again; and the same as one array."""
    first, second = pictures(7, 0), pictures(5, 1)
    mask, index = np.array([1, 0, 1, 1, 0, 0, 1], bool), np.array([4, 0, 0])
    whole = np.concatenate([first[mask], second[index]])
    order = np.array([6, 2, 0, 4, 5])
    found = Canvases.of(first).take(mask).joined(Canvases.of(second).take(index)).take(order)
    return found, whole[order], (first, second)


def test_it_is_indexed_like_one_array():
    found, wanted, _ = some()
    assert (len(found), found.shape, found.dtype) == (5, wanted.shape, wanted.dtype)
    np.testing.assert_array_equal(np.asarray(found), wanted)
    np.testing.assert_array_equal(np.stack(list(found)), wanted)
    for index in (3, slice(1, 4), np.array([4, 0, 4]), np.array([True, False, True, False, False]), np.zeros(0, int)):
        np.testing.assert_array_equal(found[index], wanted[index])
    np.testing.assert_array_equal(found[::2, ::3, 1:], wanted[::2, ::3, 1:])
    np.testing.assert_array_equal(found[1, 2], wanted[1, 2])


def test_nothing_is_copied_until_it_is_asked_for():
    found, _, arrays = some()
    assert all(mine is given for mine, given in zip(found.arrays, arrays, strict=True))
    assert not np.shares_memory(found[:], arrays[0])


def test_its_hash_is_that_of_one_array():
    found, wanted, _ = some()
    assert arrays_sha256([found, np.array(3.0)]) == arrays_sha256([wanted, np.array(3.0)])
    assert arrays_sha256([found]) != arrays_sha256([wanted[::-1]])

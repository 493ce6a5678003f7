"""Pictures of cells that are held once, however often some of them are taken or others are added.

Folds, held-out shares and mining rounds all pick from the same gigabytes; here they pick numbers, and pixels are copied
only for the batch that is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np


class Canvases:
    """Canvases (n, S, S, 3), which lie in any order in some arrays; indexed like one array, along its first axis first.

    `self[index]` is a copy of what it names, uint8; nothing else is copied. `np.asarray(self)` is all of it.
    """

    def __init__(self, arrays: Sequence[np.ndarray], which: np.ndarray, row: np.ndarray) -> None:
        """Args: arrays of canvases of one size; for each canvas, which array it is in and at what row of it."""
        self.arrays, self.which, self.row = tuple(arrays), which, row

    @classmethod
    def of(cls, pictures: np.ndarray | Canvases) -> Canvases:
        """Canvases of an array; itself if it is one."""
        if isinstance(pictures, Canvases):
            return pictures
        return cls((pictures,), np.zeros(len(pictures), np.int32), np.arange(len(pictures)))

    def __len__(self) -> int:
        return len(self.row)

    @property
    def shape(self) -> tuple[int, ...]:
        """As of an array."""
        return (len(self), *self.arrays[0].shape[1:])

    @property
    def dtype(self) -> np.dtype:
        """Type of the pixels."""
        return self.arrays[0].dtype

    def take(self, index: np.ndarray) -> Canvases:
        """Some of the canvases, by an index or mask; nothing is copied."""
        return Canvases(self.arrays, self.which[index], self.row[index])

    def joined(self, other: Canvases) -> Canvases:
        """These and others; nothing is copied."""
        which = np.concatenate([self.which, other.which + len(self.arrays)])
        return Canvases((*self.arrays, *other.arrays), which, np.concatenate([self.row, other.row]))

    def __getitem__(self, index: Any) -> np.ndarray:
        first, *rest = index if isinstance(index, tuple) else (index,)
        which, row = self.which[first], self.row[first]
        if np.ndim(row) == 0:
            found = self.arrays[which][row]
        else:
            found = np.empty((len(row), *self.shape[1:]), self.dtype)
            for number in np.unique(which):
                mine = which == number
                found[mine] = self.arrays[number][row[mine]]
        return found[(slice(None), *rest) if np.ndim(row) else tuple(rest)] if rest else found

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[i] for i in range(len(self)))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        found = self[:]
        return found if dtype is None else found.astype(dtype, copy=False)

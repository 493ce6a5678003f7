"""Splits by case, kept in a file: {"parts": {"train": [case …], "validation": […], "test": […]}}."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from mitozoo.base.errors import DataError
from mitozoo.base.files import write_text
from mitozoo.base.points import ATYPICAL, MITOTIC_CLASSES, NON_MITOTIC
from mitozoo.data.dataset import Dataset
from mitozoo.data.spread import spread

#: Parts and their shares where nothing else is asked for.
PARTS = "train=0.7,validation=0.15,test=0.15"
#: How far from 1 the shares may add up to, from rounding alone.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class PartCounts:
    """What a part of a split, or a case, holds: numbers that add up.

    Attributes: cases; images; mitotic_figures of either kind; atypical, how many of these; look_alikes.
    """

    cases: int = 0
    images: int = 0
    mitotic_figures: int = 0
    atypical: int = 0
    look_alikes: int = 0

    def __add__(self, other: PartCounts) -> PartCounts:
        return PartCounts(*(getattr(self, item.name) + getattr(other, item.name) for item in fields(self)))


@dataclass(frozen=True)
class Split:
    """A split that was made.

    Attributes: parts, cases by part; counts by part; shares asked for, by part; seed; data, names of the data sets;
        shared, cases that several of the data sets have.
    """

    parts: dict[str, tuple[str, ...]]
    counts: dict[str, PartCounts]
    shares: dict[str, float]
    seed: int
    data: tuple[str, ...]
    shared: tuple[str, ...] = ()


def read_split(path: Path) -> dict[str, tuple[str, ...]]:
    """Read a split.

    Returns: the cases of each part, by its name.
    Raises: DataError if the file is not a split, or has a case in two parts.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as a split: {error}.") from error
    parts = content.get("parts") if isinstance(content, dict) else None
    good = isinstance(parts, dict) and all(
        isinstance(cases, list) and all(isinstance(case, str) for case in cases) for cases in parts.values()
    )
    if not parts or not good:
        raise DataError(f'{path} is not a split. It should hold {{"parts": {{"validation": ["case", …], …}}}}.')
    seen: dict[str, str] = {}
    for name, cases in parts.items():
        for case in cases:
            if seen.setdefault(case, name) != name:
                raise DataError(f"{path}: case {case!r} is in {seen[case]!r} and in {name!r}. Leave it in one part.")
    return {name: tuple(cases) for name, cases in parts.items()}


def parse_parts(text: str) -> dict[str, float]:
    """Parse `train=0.7,validation=0.15,test=0.15`.

    Returns: share by part.  Raises: DataError if a part has no name, no share above 0 or is there twice, or if the
        shares do not add up to 1.
    """
    shares: dict[str, float] = {}
    for item in text.split(","):
        name, sign, share = (part.strip() for part in item.partition("="))
        if not name or not sign:
            raise DataError(f"--parts has {item.strip()!r}. Write a name and a share, like {PARTS}.")
        if name in shares:
            raise DataError(f"--parts has {name!r} twice. Name every part once.")
        try:
            shares[name] = float(share)
        except ValueError:
            raise DataError(f"--parts: the share of {name!r} is {share!r}, not a number. Write it like 0.15.") from None
        if not 0 < shares[name] <= 1:
            raise DataError(f"--parts: the share of {name!r} is {share}. Give a number above 0 and up to 1.")
    total = sum(shares.values())
    if abs(total - 1) > _ROUNDING:
        raise DataError(f"--parts add up to {total:g}, not to 1. Correct a share: {text}.")
    return shares


def make_split(datasets: Sequence[Dataset], shares: Mapping[str, float], *, seed: int = 0) -> Split:
    """Divide the cases of one or several data sets, each case whole.

    Cases, images, mitotic figures, atypical ones, look-alikes and domains are spread as evenly as whole cases allow. A
    case of the same name in several data sets is one case, and stays together.
    Args: datasets; shares by part, above 0, adding up to 1; seed decides between equally good ways.
    Raises: DataError if there are fewer cases than parts.
    """
    held = _held(datasets)
    names = sorted(held)
    if len(names) < len(shares):
        raise DataError(
            f"{len(names)} {'case' if len(names) == 1 else 'cases'} cannot be divided into {len(shares)} parts, since "
            "no case is ever divided. Ask for fewer with --parts, or give more data."
        )
    chosen = spread(_amounts(datasets, held, names), list(shares.values()), seed=seed, refine=True)
    parts = {
        part: tuple(name for name, index in zip(names, chosen, strict=True) if index == number)
        for number, part in enumerate(shares)
    }
    sets = [set(dataset.cases) for dataset in datasets]
    return Split(
        parts=parts,
        counts={part: sum((held[case] for case in cases), PartCounts()) for part, cases in parts.items()},
        shares=dict(shares),
        seed=seed,
        data=tuple(dataset.name for dataset in datasets),
        shared=tuple(name for name in names if sum(name in cases for cases in sets) > 1),
    )


def write_split(split: Split, path: Path, **more: Any) -> None:
    """Write a split so that `read_split` reads it, with what made it. Args: more, other entries of the file."""
    content = {
        "parts": {part: list(cases) for part, cases in split.parts.items()},
        "shares": split.shares,
        "seed": split.seed,
        "data": list(split.data),
        "counts": {part: asdict(counts) for part, counts in split.counts.items()},
        **more,
    }
    write_text(Path(path), json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def _held(datasets: Sequence[Dataset]) -> dict[str, PartCounts]:
    held: dict[str, PartCounts] = {}
    for item in (item for dataset in datasets for item in dataset.fields):
        labels = [cell.label for cell in item.cells]
        held[item.case] = held.get(item.case, PartCounts(cases=1)) + PartCounts(
            images=1,
            mitotic_figures=sum(label in MITOTIC_CLASSES for label in labels),
            atypical=labels.count(ATYPICAL),
            look_alikes=labels.count(NON_MITOTIC),
        )
    return held


def _amounts(datasets: Sequence[Dataset], held: Mapping[str, PartCounts], names: Sequence[str]) -> np.ndarray:
    """What each case (n rows) has of all that is to be spread: its counts, then 1 for every domain that it is of."""
    domains = sorted({(dataset.name, item.domain) for dataset in datasets for item in dataset.fields})
    row, column = ({name: i for i, name in enumerate(keys)} for keys in (names, domains))
    of_domain = np.zeros((len(names), len(domains)))
    for dataset in datasets:
        for item in dataset.fields:
            of_domain[row[item.case], column[dataset.name, item.domain]] = 1  # type: ignore[index]
    counts = np.array([list(asdict(held[name]).values()) for name in names], float)
    return np.hstack([counts, of_domain])

"""What a labelled data set holds, and what is wrong with it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from mitozoo.base.points import ATYPICAL, CLASSES, MITOTIC_CLASSES, NON_MITOTIC
from mitozoo.base.units import UM_PER_PX_40X
from mitozoo.data.dataset import Dataset, Field
from mitozoo.data.images import image_header
from mitozoo.data.set_aside import damage_of
from mitozoo.data.spacing import um_per_px_of

#: Two labels closer together than this are of one cell.
DOUBLE_UM = 2.0
#: Spacings of the data set and of a file that differ by more than this part contradict each other.
_SPACING_DIFFERS = 0.05
#: From this spacing on an image is not a 40x one.
_NOT_40X_UM_PER_PX = 0.35


@dataclass(frozen=True)
class DomainCounts:
    """What a scanner, tumour type or source holds. Attributes: name, empty where unknown; numbers of each kind."""

    name: str
    cases: int
    images: int
    mitotic_figures: int
    look_alikes: int


@dataclass(frozen=True)
class Check:
    """What a data set holds.

    Attributes:
        name, format, licence, source, notes: as its reader says; licence and source are empty where nobody says.
        images, cases: numbers.
        mitotic_figures: of either kind.  atypical: how many of them; None where the set does not tell.
        look_alikes; other_classes: number of cells by the data set's own class.
        unlabelled: images at which nobody has looked.  empty: labelled images without a cell of any class.
        without_mitotic_figure: labelled images without a mitotic figure, the empty ones among them.
        patches: labelled images in which only single cells are labelled.
        excluded: circles in which nothing is counted.
        missing: image files that do not exist.  damaged: by image file, what is wrong with it.
        spacing_known: images whose spacing the set or the file states.  um_per_px: smallest and largest, or None.
        domains: by falling number of images.
        warnings: what somebody should look at, one sentence each.
    """

    name: str
    format: str
    licence: str
    source: str
    notes: tuple[str, ...]
    images: int
    cases: int
    mitotic_figures: int
    atypical: int | None
    look_alikes: int
    other_classes: dict[str, int]
    unlabelled: int
    empty: int
    without_mitotic_figure: int
    patches: int
    excluded: int
    missing: tuple[str, ...]
    damaged: dict[str, str]
    spacing_known: int
    um_per_px: tuple[float, float] | None
    domains: tuple[DomainCounts, ...]
    warnings: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return all of it for a json."""
        return asdict(self)


def check(dataset: Dataset, format: str, *, tell: Callable[[int, str], None] = lambda done, note: None) -> Check:
    """Count what a data set holds; the header of every image is read, and no pixel.

    Args: dataset; format, name of its format; tell is called with the number of images done and the last one's name.
    """
    missing, damaged, spacings, differing = _files(dataset.fields, tell)
    labelled = [field for field in dataset.fields if field.labelled]
    labels = Counter(cell.label for field in dataset.fields for cell in field.cells)
    mitotic = sum(labels[label] for label in MITOTIC_CLASSES)
    return Check(
        name=dataset.name,
        format=format,
        licence=dataset.licence,
        source=dataset.source,
        notes=dataset.notes,
        images=len(dataset.fields),
        cases=len(dataset.cases),
        mitotic_figures=mitotic,
        atypical=labels[ATYPICAL] or None,
        look_alikes=labels[NON_MITOTIC],
        other_classes={label: count for label, count in labels.most_common() if label not in CLASSES},
        unlabelled=len(dataset.fields) - len(labelled),
        empty=sum(not field.cells for field in labelled),
        without_mitotic_figure=sum(not len(field.mitoses) for field in labelled),
        patches=sum(not field.complete for field in labelled),
        excluded=sum(len(field.excluded) for field in dataset.fields),
        missing=missing,
        damaged=damaged,
        spacing_known=len(spacings),
        um_per_px=(min(spacings), max(spacings)) if spacings else None,
        domains=_domains(dataset.fields),
        warnings=tuple(_warnings(dataset, mitotic, spacings, differing)),
    )


def _files(
    fields: Sequence[Field], tell: Callable[[int, str], None]
) -> tuple[tuple[str, ...], dict[str, str], list[float], list[str]]:
    """Missing files, damaged ones, all known spacings, and images whose file states another than the data set."""
    missing, damaged, spacings, differing = [], {}, [], []
    for done, field in enumerate(fields, start=1):
        stated = None
        if not field.path.is_file():
            missing.append(str(field.path))
        elif damage := damage_of(field.path):
            damaged[str(field.path)] = damage
        else:
            stated = um_per_px_of(image_header(field.path))
        known = field.um_per_px or stated
        if known:
            spacings.append(known)
        if known and stated and abs(stated - known) > _SPACING_DIFFERS * known:
            differing.append(field.path.name)
        tell(done, field.path.name)
    return tuple(missing), damaged, spacings, differing


def _domains(fields: Iterable[Field]) -> tuple[DomainCounts, ...]:
    by_name: dict[str, list[Field]] = defaultdict(list)
    for field in fields:
        by_name[field.domain].append(field)
    counts = [
        DomainCounts(
            name=name,
            cases=len({field.case for field in own}),
            images=len(own),
            mitotic_figures=sum(len(field.mitoses) for field in own),
            look_alikes=sum(cell.label == NON_MITOTIC for field in own for cell in field.cells),
        )
        for name, own in by_name.items()
    ]
    return tuple(sorted(counts, key=lambda domain: (-domain.images, domain.name)))


def _warnings(dataset: Dataset, mitotic: int, spacings: Sequence[float], differing: Sequence[str]) -> list[str]:
    said = []
    if not mitotic:
        said.append("No mitotic figure is labelled: nothing can be trained or measured on this set alone.")
    if len(dataset.cases) == 1:
        said.append("All images are of one case: it cannot be divided into training and test.")
    paths = Counter(field.path for field in dataset.fields)
    twice = [path.name for path, count in paths.items() if count > 1]
    if twice:
        said.append(f"{_images(twice)} in the set more than once: {_listed(twice)}.")
    if differing:
        said.append(f"{_images(differing)} of another spacing by the file than by the data set: {_listed(differing)}.")
    low = [spacing for spacing in spacings if spacing >= _NOT_40X_UM_PER_PX]
    if low:
        said.append(f"{len(low)} of the images have {min(low):.3g} µm per pixel or more, so are not 40x scans.")
    doubles = {field.path.name: count for field in dataset.fields if (count := _doubles(field))}
    if doubles:
        said.append(
            f"{sum(doubles.values())} pairs of labels lie within {DOUBLE_UM:g} µm of each other. Is one cell labelled "
            f"twice? {_images(list(doubles))} concerned: {_listed(list(doubles))}."
        )
    return said


def _images(names: Sequence[str]) -> str:
    return f"{len(names)} {'image is' if len(names) == 1 else 'images are'}"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (" …" if len(names) > 3 else "")


def _doubles(field: Field) -> int:
    """How many pairs of cells are closer together than `DOUBLE_UM`."""
    if len(field.cells) < 2:
        return 0
    from scipy.spatial import cKDTree

    points = np.array([(cell.x_px, cell.y_px) for cell in field.cells])
    return len(cKDTree(points).query_pairs(DOUBLE_UM / (field.um_per_px or UM_PER_PX_40X)))

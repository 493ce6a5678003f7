"""AtNorm-MD: 128x128 PNG patches, each centred on one mitotic figure of a canine tumour, normal or atypical.

Layout: `index.csv` (`file,order,label,experts_for_atypical_of_5,tumour`) beside `patches/` with the PNGs, about 0.25 µm
per pixel. `label` is `normal` or `atypical` by majority of five experts.
Licence: MIT. Source: Banerjee et al. 2025, arXiv:2506.21444; images of MIDOG++ (Aubreville et al. 2023).
Split: cases are not named, but `order` follows them: each tumour is cut into 20 contiguous blocks of `order`, which
stand for cases.
Traps: never split at random, since neighbours in `order` are of one dog; a block's border may still divide a dog, so
leave whole tumours out for an honest test. Nothing but the central cell is labelled.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from mitozoo.base.errors import LabelError
from mitozoo.base.points import ATYPICAL, MITOTIC_FIGURE, Cell
from mitozoo.base.units import UM_PER_PX_40X
from mitozoo.data.dataset import Dataset, Field
from mitozoo.data.labels import header_of, number, own_name, table_rows

TITLE = "AtNorm-MD patches (index.csv with file,order,label,tumour)"
PATCH_PX = 128
BLOCKS = 20
_COLUMNS = ("file", "order", "label", "tumour")
_LABELS = {"normal": MITOTIC_FIGURE, "atypical": ATYPICAL}


def recognises(path: Path) -> bool:
    """Whether `path` is a folder of this layout."""
    return header_of(path / "index.csv") >= set(_COLUMNS)


def read(path: Path) -> Dataset:
    """Read the folder. Raises: LabelError for an unknown label or a row without its patch."""
    index = path / "index.csv"
    by_tumour: dict[str, list[tuple[float, Path, str]]] = defaultdict(list)
    for line, row in table_rows(index, _COLUMNS):
        where = f"{index} line {line}"
        if row["label"] not in _LABELS:
            raise LabelError(f"{where}: label {row['label']!r} is neither normal nor atypical.")
        image = path / "patches" / row["file"]
        if not image.is_file():
            raise LabelError(f"{where}: {image} does not exist. Remove the row or add the file.")
        by_tumour[row["tumour"]].append((number(row["order"], where), image, _LABELS[row["label"]]))
    centre = (PATCH_PX - 1) / 2
    fields = []
    for tumour, rows in by_tumour.items():
        for place, (_, image, label) in enumerate(sorted(rows)):
            fields.append(
                Field(
                    path=image,
                    case=f"AtNorm-MD/{own_name(tumour)}/{place * BLOCKS // len(rows):02d}",
                    cells=(Cell(centre, centre, label),),
                    um_per_px=UM_PER_PX_40X,
                    complete=False,
                    domain=tumour,
                )
            )
    return Dataset(
        name="AtNorm-MD", fields=tuple(fields), licence="MIT", source="Banerjee et al. 2025, arXiv:2506.21444",
        notes=(f"Cases are not named: {BLOCKS} contiguous blocks per tumour stand for them.",),
    )  # fmt: skip

"""Fields of tissue that nobody has labelled, for variety in negatives.

Layout: `index.csv` (`file,source,tissue,…`) beside the images, about 40x.
Licence, source: as `index.csv` names them.
Split: the patient of a TCGA name; otherwise nobody says which patient a field is of, so a whole source is one case.
Traps: almost all of it is not mitotic, but a mitotic figure may be inside: never count a detection here as false, and
do not mine the hardest places blindly.
"""

from __future__ import annotations

import re
from pathlib import Path

from mitozoo.base.errors import LabelError
from mitozoo.data.dataset import Dataset, Field
from mitozoo.data.labels import header_of, table_rows

TITLE = "unlabelled fields (index.csv with file,source,tissue)"
_COLUMNS = ("file", "source", "tissue")


def recognises(path: Path) -> bool:
    """Whether `path` is a folder of this layout."""
    return header_of(path / "index.csv") >= set(_COLUMNS)


def read(path: Path) -> Dataset:
    """Read the folder. Raises: LabelError for a row without its image."""
    fields = []
    for line, row in table_rows(path / "index.csv", _COLUMNS):
        image = path / row["file"]
        if not image.is_file():
            raise LabelError(f"{path}/index.csv line {line}: {image} does not exist. Remove the row or add the file.")
        patient = re.match(r"tcga-\w\w-\w{4}", row["file"].lower())
        case = patient[0] if patient else row["source"]
        fields.append(Field(path=image, case=f"tissue/{case}", complete=False, labelled=False, domain=row["tissue"]))
    return Dataset(
        name="tissue", fields=tuple(fields), source="see index.csv",
        notes=("Nobody has looked for mitotic figures here: none of it counts as negative.",),
    )  # fmt: skip

"""Labels of a data set in the formats of others, every point as it was.

A module has `LOST`, what its format has no place for, and a function `write`.
"""

from __future__ import annotations

import dataclasses
import importlib
import os
from dataclasses import dataclass
from pathlib import Path

from mitozoo.base.errors import OutputError, UnknownNameError
from mitozoo.base.points import ATYPICAL, CLASSES, MITOTIC_CLASSES, NON_MITOTIC
from mitozoo.base.units import check_um_per_px
from mitozoo.data import formats
from mitozoo.data.dataset import Dataset
from mitozoo.export.labels.entries import Entry, entries_of, stated_sizes

#: What can be written: its module here, and the ending of its one file ("" for a folder with a file an image).
TARGETS = {
    "midog": ("midog", ".json"),
    "coco": ("coco", ".json"),
    "csv": ("points_csv", ".csv"),
    "geojson": ("geojson", ""),
}

#: How many notes of the reader a command shows.
_NOTES = 8


@dataclass(frozen=True)
class Converted:
    """What was written.

    Attributes: to, one of `TARGETS`; out; images; unlabelled, of these; missing, images whose file does not exist;
    mitotic_figures (of them atypical), look_alikes and others, cells of each; other_classes, names; lost, what the
    format could not carry; notes of the reader.
    """

    to: str
    out: Path
    images: int
    unlabelled: int
    missing: int
    mitotic_figures: int
    atypical: int
    look_alikes: int
    others: int
    other_classes: tuple[str, ...]
    lost: tuple[str, ...]
    notes: tuple[str, ...]

    def lines(self) -> list[str]:
        """What a command says: the first notes of the reader, counts, and what did not come along."""
        hidden = len(self.notes) - _NOTES
        said = [*self.notes[:_NOTES], *([f"… and {hidden} more notes of this kind."] if hidden > 0 else [])]
        atypical = f" ({self.atypical:,} of them atypical)" if self.atypical else ""
        others = f", {self.others:,} other cells ({', '.join(self.other_classes)})" if self.others else ""
        said.append(
            f"{self.images:,} images, {self.mitotic_figures:,} mitotic figures{atypical}, {self.look_alikes:,} "
            f"look-alikes{others} written to {self.out}."
        )
        if self.lost:
            said.append(f"{self.to} does not carry: {', '.join(self.lost)}.")
        if self.to == "geojson":
            said.append("QuPath drops when it exports a file again: case, spacing, domain, excluded places.")
        if self.missing:
            where = f"into {self.out}" if self.to == "geojson" else f"beside {self.out}"
            images = (self.out if self.to == "geojson" else self.out.parent) / "images"
            said.append(f"{self.missing:,} images are not there: put them {where} or into {images}.")
        return said


def convert(
    path: Path,
    to: str,
    out: Path,
    *,
    data_format: str | None = None,
    um_per_px: float | None = None,
    overwrite: bool = False,
) -> Converted:
    """Read labels in any known format and write all of them in another; images are neither copied nor read.

    Args: path, folder or label file; to, one of `TARGETS`; out, the file, or the folder for geojson; data_format of
        `path`, where it is not recognised; um_per_px, in place of what the data say; overwrite files that are there.
    Raises: UnknownNameError; DataError and LabelError as `formats.read`; InputError for an implausible spacing or a
        damaged image; OutputError where `out` is taken or not of the right kind. Nothing is written then.
    """
    if to not in TARGETS:
        raise UnknownNameError("label format to write", to, TARGETS)
    _check_out(Path(out), to, overwrite)
    path = Path(path)
    name = data_format or formats.recognise(path)
    dataset = formats.read(path, name)
    if um_per_px is not None:
        spacing = check_um_per_px(um_per_px)
        dataset = dataclasses.replace(
            dataset, fields=tuple(dataclasses.replace(item, um_per_px=spacing) for item in dataset.fields)
        )
    if os.path.isfile(dataset.source) or os.path.isdir(dataset.source):
        # Where a file lay on this machine says nothing to anyone else.
        dataset = dataclasses.replace(dataset, source="")
    folder = Path(out) if not TARGETS[to][1] else Path(out).parent
    root = path if path.is_dir() else path.parent
    entries = entries_of(dataset, folder, root, stated_sizes(path, name))
    writer = importlib.import_module(f"mitozoo.export.labels.{TARGETS[to][0]}")
    lost = writer.write(Path(out), dataset, entries, overwrite=overwrite)
    return _summary(to, Path(out), dataset, entries, lost)


def _check_out(out: Path, to: str, overwrite: bool) -> None:
    suffix = TARGETS[to][1]
    if not suffix:
        if out.exists() and not out.is_dir():
            raise OutputError(f"{out} is a file, but --to {to} writes a folder. Choose a folder as --out.")
        if out.suffix.lower() in (".geojson", ".json"):
            raise OutputError(f"--to {to} writes a folder with a file for every image. Choose a folder as --out.")
        return
    if out.is_dir() or out.suffix.lower() != suffix:
        raise OutputError(
            f"--to {to} writes one {suffix} file. Give it as --out, for example {out / ('labels' + suffix)}."
        )
    if out.exists() and not overwrite:
        raise OutputError(f"{out} exists already. Choose another --out, or add --overwrite to replace it.")


def _summary(to: str, out: Path, dataset: Dataset, entries: list[Entry], lost: list[str]) -> Converted:
    others = sorted({cell.label for item in dataset.fields for cell in item.cells} - set(CLASSES))
    return Converted(
        to=to,
        out=out,
        images=len(entries),
        unlabelled=sum(not item.field.labelled for item in entries),
        missing=sum(not item.exists for item in entries),
        mitotic_figures=sum(map(dataset.count, sorted(MITOTIC_CLASSES))),
        atypical=dataset.count(ATYPICAL),
        look_alikes=dataset.count(NON_MITOTIC),
        others=sum(map(dataset.count, others)),
        other_classes=tuple(others),
        lost=tuple(lost),
        notes=dataset.notes,
    )

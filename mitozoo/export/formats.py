"""The output formats by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mitozoo.base.errors import UnknownNameError


@dataclass(frozen=True)
class OutputFormat:
    """What a format writes.

    Attributes: run_files, names of one file for the whole run; image_suffixes, endings of files per image, of an
    overlay one of the two; map_name, what the model must give for it, or "".
    """

    run_files: tuple[str, ...] = ()
    image_suffixes: tuple[str, ...] = ()
    map_name: str = ""


FORMATS: dict[str, OutputFormat] = {
    "csv": OutputFormat(run_files=("detections.csv", "doubtful.csv", "summary.csv")),
    "geojson": OutputFormat(image_suffixes=(".geojson",)),
    "overlay": OutputFormat(image_suffixes=(".overlay.png", ".overlay.jpg")),
    "report": OutputFormat(run_files=("report.html",)),
    "midog": OutputFormat(image_suffixes=(".mitotic-figures.json",)),
    "coco": OutputFormat(run_files=("coco.json",)),
    "mask": OutputFormat(image_suffixes=(".mask.png",), map_name="mask"),
    "heatmap": OutputFormat(image_suffixes=(".heatmap.png", ".heatmap.tif")),
}
#: Written where no `--format` is given.
DEFAULT_FORMATS = ("csv", "geojson", "overlay", "report")
#: Written always.
RUN_FILE = "run.json"


def check_formats(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names, each once, in their order. Raises: UnknownNameError with the nearest name."""
    for name in names:
        if name not in FORMATS:
            raise UnknownNameError("output format", name, FORMATS)
    return tuple(dict.fromkeys(names))

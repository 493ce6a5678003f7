"""`detections.csv` and `doubtful.csv`, a row a cell, and `summary.csv`, a row an image (RFC 4180, UTF-8)."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from mitozoo.base.points import Detection
from mitozoo.base.units import px_to_um
from mitozoo.export.documents import write_document
from mitozoo.export.summary import ImageSummary

DETECTIONS_HEADER = ("image", "x_px", "y_px", "x_um", "y_um", "score", "label", "atypical_score")
SUMMARY_HEADER = (
    "image",
    "width_px",
    "height_px",
    "um_per_px",
    "spacing_source",
    "tissue_mm2",
    "mitotic_figures",
    "atypical",
    "per_mm2",
    "hotspot_x_px",
    "hotspot_y_px",
    "hotspot_mm2",
    "hotspot_count",
    "mitotic_score",
    "seconds",
    "status",
)


def _number(value: float | None, decimals: int) -> str:
    return "" if value is None else f"{value:.{decimals}f}"


def _cell_rows(summary: ImageSummary, cells: Sequence[Detection]) -> Iterable[list[str]]:
    result = summary.result
    spacing = None if summary.assumed else result.um_per_px
    for item in cells:
        um = ["", ""] if not spacing else [_number(px_to_um(v, spacing), 2) for v in (item.x_px, item.y_px)]
        yield [
            result.name,
            _number(item.x_px, 2),
            _number(item.y_px, 2),
            *um,
            _number(item.score, 4),
            item.label,
            _number(item.atypical_score, 4),
        ]


def _summary_row(summary: ImageSummary) -> list[str]:
    result, window = summary.result, summary.hotspot
    size = [str(result.width_px or ""), str(result.height_px or "")]
    spacing = ["" if result.um_per_px is None else f"{result.um_per_px:.6g}", result.spacing_source]
    if not result.ok:
        return [result.name, *size, *spacing, *[""] * 9, _number(result.seconds, 2), result.status]
    return [
        result.name,
        *size,
        *spacing,
        _number(result.tissue_mm2, 4),
        str(len(result.detections)),
        str(result.atypical),
        _number(summary.per_mm2, 3),
        _number(window.x_px if window else None, 1),
        _number(window.y_px if window else None, 1),
        _number(window.mm2 if window else None, 4),
        str(window.count) if window else "",
        str(summary.mitotic_score or ""),
        _number(result.seconds, 2),
        result.status,
    ]


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_document(path, text.getvalue())


def write_detections(path: Path, summaries: Iterable[ImageSummary]) -> None:
    """Write one row a detection, images in the order given; µm stay empty where the spacing is only assumed.

    Raises: OutputError where the file cannot be written.
    """
    rows = (row for summary in summaries for row in _cell_rows(summary, summary.result.detections))
    _write(path, DETECTIONS_HEADER, rows)


def write_doubtful(path: Path, summaries: Iterable[ImageSummary]) -> None:
    """Write the cells that do not count but are worth a second look, as `write_detections` does."""
    rows = (row for summary in summaries for row in _cell_rows(summary, summary.result.doubtful))
    _write(path, DETECTIONS_HEADER, rows)


def write_summary(path: Path, summaries: Iterable[ImageSummary]) -> None:
    """Write one row an image, failed ones too, whose `status` says why and whose counts are empty, not 0.

    `hotspot_x_px,hotspot_y_px` are the centre of the window. Raises: OutputError where the file cannot be written.
    """
    _write(path, SUMMARY_HEADER, map(_summary_row, summaries))

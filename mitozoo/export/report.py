"""`report.html`: one page that explains itself, with a picture of every detection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from mitozoo.base.points import ATYPICAL, Detection
from mitozoo.base.units import HOTSPOT_MM2
from mitozoo.evaluation.hotspot import NOTTINGHAM_TABLE
from mitozoo.export.colours import NAMES
from mitozoo.export.documents import plain, write_document
from mitozoo.export.doubtful import Gallery
from mitozoo.export.pictures import data_uri
from mitozoo.export.report_look_again import look_again
from mitozoo.export.report_style import STYLE
from mitozoo.export.summary import ImageSummary
from mitozoo.inference.result import FieldResult

_NONE = "–"
_COLUMNS = (
    ("text", "Image"),
    ("", "Size (px)"),
    ("", "µm per px"),
    ("", "Tissue (mm²)"),
    ("", "Mitotic figures"),
    ("", "of these atypical"),
    ("", "per mm²"),
    ("", "Hotspot count"),
    ("", "Hotspot (mm²)"),
    ("", "Mitotic score"),
)


@dataclass(frozen=True)
class ReportEntry:
    """One image of the report.

    Attributes: summary; thumbnails, JPEG of each of `summary.result.detections` in their order, or none at all;
    overview, JPEG of the whole image with rings, or None.
    """

    summary: ImageSummary
    thumbnails: tuple[bytes, ...] = ()
    overview: bytes | None = None


def write_report(
    path: Path,
    entries: Sequence[ReportEntry],
    run: Mapping[str, Any],
    *,
    hotspot_mm2: float = HOTSPOT_MM2,
    gallery: Gallery | None = None,
) -> None:
    """Write the report. Raises: OutputError where the file cannot be written."""
    write_document(path, report_html(entries, run, hotspot_mm2=hotspot_mm2, gallery=gallery))


def report_html(
    entries: Sequence[ReportEntry],
    run: Mapping[str, Any],
    *,
    hotspot_mm2: float = HOTSPOT_MM2,
    gallery: Gallery | None = None,
) -> str:
    """Return the page.

    Args: entries in the order of the report; run, the settings as in `run.json`; hotspot_mm2, the window's area;
        gallery, the cells nearest to the threshold.
    """
    searched = [entry for entry in entries if entry.summary.result.ok]
    failed = [entry.summary for entry in entries if not entry.summary.result.ok]
    anchors = {id(entry): f"image-{number}" for number, entry in enumerate(searched, start=1)}
    parts = [
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>Mitotic figures</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>",
        _head(run),
        _tiles([entry.summary for entry in searched], len(failed), gallery),
        _table([(entry.summary, anchors[id(entry)]) for entry in searched]),
        _method([entry.summary for entry in searched], hotspot_mm2),
        _failures(failed),
        look_again(gallery, run, {entry.summary.result.name: anchors[id(entry)] for entry in searched}),
        _key(searched),
        *(_image(entry, anchors[id(entry)]) for entry in searched),
        _settings(run),
        "</main>\n</body>\n</html>\n",
    ]
    return "\n".join(part for part in parts if part)


def _head(run: Mapping[str, Any]) -> str:
    facts = [
        f"{word} {_show(run[key])}" for key, word in (("model", "Model"), ("threshold", "threshold")) if key in run
    ]
    line = f'<p class="soft">{escape(", ".join(facts))}</p>' if facts else ""
    return (
        f"<header><h1>Mitotic figures</h1>{line}"
        '<p class="notice">Research tool, not a medical device. '
        "Every detection needs a pathologist's eye.</p></header>"
    )


def _tiles(summaries: Sequence[ImageSummary], failed: int, gallery: Gallery | None) -> str:
    figures = sum(len(summary.result.detections) for summary in summaries)
    tissue_mm2 = sum(summary.result.tissue_mm2 for summary in summaries)
    tiles = [
        (str(len(summaries)), "image searched" if len(summaries) == 1 else "images searched"),
        (str(figures), "mitotic figure" if figures == 1 else "mitotic figures"),
        (str(sum(summary.result.atypical for summary in summaries)), "of these atypical"),
        (_number(tissue_mm2, 2), "mm² of tissue"),
        (_number(figures / tissue_mm2 if tissue_mm2 > 0 else None, 2), "mitotic figures per mm²"),
    ]
    if gallery and gallery.total:
        tiles.append((str(gallery.total), '<a href="#look-again">near the threshold: look again</a>'))
    if failed:
        tiles.append((str(failed), "could not be searched"))
    return (
        '<div class="tiles">'
        + "".join(f'<div class="tile"><b>{n}</b><span>{t}</span></div>' for n, t in tiles)
        + "</div>"
    )


def _table(rows: Sequence[tuple[ImageSummary, str]]) -> str:
    if not rows:
        return ""
    head = "".join(f'<th class="{kind}">{title}</th>' for kind, title in _COLUMNS)
    body = "\n".join(_row(summary, anchor) for summary, anchor in rows)
    return (
        '<h2>Images</h2>\n<div class="scroll"><table>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
    )


def _row(summary: ImageSummary, anchor: str) -> str:
    result, window = summary.result, summary.hotspot
    cells = [
        f"{result.width_px} × {result.height_px}",
        _number(result.um_per_px, 4) + ("*" if summary.assumed else ""),
        _number(result.tissue_mm2, 3),
        str(len(result.detections)),
        _atypical(summary),
        _number(summary.per_mm2, 2),
        str(window.count) if window else _NONE,
        _number(window.mm2 if window else None, 3),
        str(summary.mitotic_score or _NONE),
    ]
    name = f'<td class="text"><a href="#{anchor}">{escape(result.name)}</a></td>'
    return f"<tr>{name}{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _atypical(summary: ImageSummary) -> str:
    """How many are atypical; a dash where the model does not tell, which is not 0."""
    found = summary.result.detections
    told = not found or summary.result.atypical or any(item.atypical_score is not None for item in found)
    return str(summary.result.atypical) if told else _NONE


def _method(summaries: Sequence[ImageSummary], hotspot_mm2: float) -> str:
    lines = [
        f"Hotspot: the window of {hotspot_mm2:.4g} mm², 4:3 across or upright, anywhere in the image, with the most "
        "mitotic figures; an image smaller than that is counted whole.",
        f"Mitotic score: {NOTTINGHAM_TABLE}. No score ({_NONE}) where the tissue is smaller than the window or the "
        "table does not have its area.",
    ]
    if any(summary.assumed for summary in summaries):
        lines.append(
            "* The file does not state its spacing; the model's own is assumed, so every area, density and score of "
            "that image rests on a guess. Give the true one with --um-per-px."
        )
    return "".join(f'<p class="soft">{escape(line)}</p>' for line in lines)


def _failures(failed: Sequence[ImageSummary]) -> str:
    if not failed:
        return ""
    rows = "\n".join(
        f'<tr><td class="text">{escape(summary.result.name)}</td>'
        f'<td class="text failed">{escape(summary.result.status)}</td></tr>'
        for summary in failed
    )
    return (
        '<h2>Not searched</h2>\n<div class="scroll"><table><thead><tr><th class="text">Image</th>'
        f'<th class="text">Reason</th></tr></thead>\n<tbody>{rows}</tbody></table></div>'
    )


def _key(searched: Sequence[ReportEntry]) -> str:
    if not any(entry.summary.result.detections for entry in searched):
        return ""
    atypical = '<span class="key atypical">atypical mitotic figure</span>'
    shown = atypical if any(entry.summary.result.atypical for entry in searched) else ""
    return (
        "<h2>Detections</h2>\n"
        f'<p class="soft"><span class="key">mitotic figure</span>{shown}sorted by score; under each picture its '
        "score and its place x, y in pixels. Crops are 24 µm wide.</p>"
    )


def _image(entry: ReportEntry, anchor: str) -> str:
    result = entry.summary.result
    count = len(result.detections)
    line = f"{count} mitotic figure{'' if count == 1 else 's'}" + (
        f", {result.atypical} of these atypical" if result.atypical else ""
    )
    notes = "".join(f'<p class="soft">{escape(note)}</p>' for note in (*_incomplete(result), *result.notes))
    notes += _more_hotspots(entry.summary)
    overview = (
        f'<img src="{data_uri(entry.overview)}" loading="lazy" alt="{escape(result.name)} with its detections">'
        if entry.overview
        else ""
    )
    pairs = sorted(zip(result.detections, entry.thumbnails, strict=False), key=lambda pair: -pair[0].score)
    if count and not pairs:
        notes += '<p class="soft">No pictures: this image was not at hand in full size.</p>'
    crops = "\n".join(_crop(detection, picture) for detection, picture in pairs)
    return (
        f'<section class="card" id="{anchor}"><h3>{escape(result.name)}</h3>\n<p>{line}</p>{notes}\n'
        f'<div class="image">{overview}<div class="crops">{crops}</div></div></section>'
    )


def _incomplete(result: FieldResult) -> tuple[str, ...]:
    """What of a slide could not be read."""
    return () if result.complete else (result.status.capitalize(),)


def _more_hotspots(summary: ImageSummary) -> str:
    if not summary.more_hotspots or summary.hotspot is None:
        return ""
    places = [
        f"{window.count} at x {window.x_px:.0f}, y {window.y_px:.0f}"
        for window in (summary.hotspot, *summary.more_hotspots)
    ]
    return f'<p class="soft">Hotspots of {summary.hotspot.mm2:.3g} mm², by their middle: {"; ".join(places)}.</p>'


def _crop(detection: Detection, picture: bytes) -> str:
    atypical = detection.label == ATYPICAL
    place = f"{detection.x_px:.0f}, {detection.y_px:.0f}"
    words = f"{NAMES[detection.label]}, score {detection.score:.2f}, at {place}"
    extra = "<span>atypical</span>" if atypical else ""
    if detection.atypical_score is not None:
        extra = f"<span>atypical {detection.atypical_score:.2f}</span>"
    return (
        f"<figure{' class=' + chr(34) + 'atypical' + chr(34) if atypical else ''}>"
        f'<img src="{data_uri(picture)}" loading="lazy" decoding="async" width="96" height="96" alt="{words}">'
        f"<figcaption><b>{detection.score:.2f}</b>{extra}<span>{place}</span></figcaption></figure>"
    )


def _settings(run: Mapping[str, Any]) -> str:
    rows = "".join(f"<dt>{escape(key)}</dt><dd>{escape(value)}</dd>" for key, value in _flat(plain(run)))
    return f'<h2>Settings</h2>\n<div class="card"><dl>{rows}</dl></div>' if rows else ""


def _flat(value: Mapping[str, Any], before: str = "") -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for key, item in value.items():
        name = f"{before}{key}"
        rows += _flat(item, f"{name}.") if isinstance(item, Mapping) else [(name, _show(item))]
    return rows


def _show(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_show(item) for item in value) or _NONE
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_show(item)}" for key, item in value.items()) or _NONE
    if isinstance(value, float):
        return f"{value:.6g}"
    return _NONE if value is None else str(value)


def _number(value: float | None, decimals: int) -> str:
    return _NONE if value is None else f"{value:.{decimals}f}"

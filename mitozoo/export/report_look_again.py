"""The part of `report.html` that shows the cells nearest to the threshold."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from mitozoo.base.points import ATYPICAL
from mitozoo.export.colours import LOOK_AGAIN
from mitozoo.export.doubtful import DoubtfulCell, Gallery
from mitozoo.export.pictures import data_uri

#: Where the page's top leads to.
ANCHOR = "look-again"


def look_again(gallery: Gallery | None, run: Mapping[str, Any], anchors: Mapping[str, str]) -> str:
    """Return the section, or nothing where no cell is near the threshold.

    Args: gallery; run, the settings as in `run.json`; anchors, the place of each image in the page, by its name.
    """
    if gallery is None or not gallery.total:
        return ""
    shown = gallery.cells
    atypical = any(cell.counts and cell.detection.label == ATYPICAL for cell in shown)
    key = '<span class="key doubtful">does not count</span><span class="key">counts</span>' + (
        '<span class="key atypical">counts as atypical</span>' if atypical else ""
    )
    crops = "\n".join(_crop(cell, anchors[cell.image]) for cell in shown)
    return (
        f'<h2 id="{ANCHOR}">{LOOK_AGAIN}</h2>\n<p class="soft">{_words(gallery, run)}</p>\n<p class="soft">{key}</p>\n'
        f'<div class="card"><div class="crops">{crops}</div></div>'
    )


def _words(gallery: Gallery, run: Mapping[str, Any]) -> str:
    known = all(isinstance(run.get(name), float) for name in ("look_again", "threshold"))
    limits = f" of {_score(run['look_again'])} up to the threshold of {_score(run['threshold'])}" if known else ""
    cells = "1 cell has a score" if gallery.total == 1 else f"{gallery.total} cells have scores"
    words = (
        f"{cells} near the threshold, and here the nearest {'is' if gallery.total == 1 else 'are'} first. "
        f"{gallery.below} of them {_verb(gallery.below)} a score{limits} and {_do(gallery.below)} not count; "
        f"{gallery.above} {_verb(gallery.above)} one as near above it and count{'s' if gallery.above == 1 else ''}."
    )
    if gallery.total > len(gallery.cells):
        words += f" The nearest {len(gallery.cells)} are shown; doubtful.csv and detections.csv list all."
    return words


def _verb(count: int) -> str:
    return "has" if count == 1 else "have"


def _do(count: int) -> str:
    return "does" if count == 1 else "do"


def _score(value: float) -> str:
    """With more digits than elsewhere: near the threshold, scores differ by little."""
    return f"{value:.3f}"


def _crop(cell: DoubtfulCell, anchor: str) -> str:
    item, name = cell.detection, escape(cell.image)
    kind = ("atypical" if item.label == ATYPICAL else "counts") if cell.counts else "doubtful"
    place = f"{item.x_px:.0f}, {item.y_px:.0f}"
    words = f"Score {_score(item.score)}, {'counts' if cell.counts else 'does not count'}, at {place} of {name}"
    picture = (
        f'<img src="{data_uri(cell.picture)}" loading="lazy" decoding="async" width="96" height="96" alt="{words}">'
        if cell.picture
        else ""
    )
    return (
        f'<figure class="{kind}">{picture}<figcaption><b>{_score(item.score)}</b><span>{place}</span>'
        f'<span class="name"><a href="#{anchor}" title="{name}">{name}</a></span></figcaption></figure>'
    )

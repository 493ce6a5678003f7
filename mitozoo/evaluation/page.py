"""The pieces of a report's one self-contained HTML page."""

from __future__ import annotations

import base64
import html
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from mitozoo.evaluation.bootstrap import Interval

#: Said on top of every page.
RESEARCH_ONLY = (
    "Research tool, not a medical device. These numbers describe a computer program on one set of labelled images; "
    "they must not be used for diagnosis or treatment."
)
#: Rows of a table on the page; the CSV file has them all.
TABLE_ROWS = 200

_STYLE = """
body { font: 17px/1.5 system-ui, "Segoe UI", Roboto, Helvetica, Arial, sans-serif; color: #1b1b1b; background: #fff;
  max-width: 62rem; margin: 2rem auto; padding: 0 1.2rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .3rem; }
h2 { font-size: 1.3rem; margin: 2.4rem 0 .6rem; border-bottom: 2px solid #e3e3e3; padding-bottom: .2rem; }
p.lead { font-size: 1.15rem; }
p.warning { background: #fff4d6; border-left: 6px solid #e69f00; padding: .6rem .9rem; }
.cards { display: flex; flex-wrap: wrap; gap: .8rem; margin: 1rem 0; }
.card { flex: 1 1 9.5rem; background: #f2f6fa; border-radius: .5rem; padding: .7rem .9rem; }
.card b { display: block; font-size: 1.7rem; line-height: 1.2; }
.card span { color: #444; font-size: .9rem; display: block; }
.plots { display: flex; flex-wrap: wrap; gap: 1.5rem; }
figure { margin: 0; flex: 1 1 27rem; max-width: 40rem; }
figure img { width: 100%; height: auto; }
.wide figure { flex-basis: 100%; max-width: none; }
figcaption { color: #444; font-size: .95rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .95rem; }
th, td { padding: .3rem .8rem; border-bottom: 1px solid #ddd; text-align: right; vertical-align: top; }
td { white-space: pre-line; }
th { background: #f6f6f6; text-align: right; }
th:first-child, td:first-child { text-align: left; }
table.tight { font-size: .88rem; }
table.tight th, table.tight td { padding: .3rem .42rem; }
table.facts td { text-align: left; }
table.facts td:first-child { font-weight: 600; white-space: nowrap; }
footer { color: #555; font-size: .9rem; margin: 3rem 0 1rem; }
@media print { body { margin: 0; max-width: none; font-size: 11pt; } figure, .card, tr { break-inside: avoid; } }
"""


def number(value: float, digits: int = 3) -> str:
    """A number for people; a dash where there is none."""
    return "–" if math.isnan(value) else f"{value:,.{digits}f}"


def interval(value: Interval | None) -> str:
    """The ends of an interval for people."""
    if value is None or math.isnan(value.low):
        return "95 % interval not known"
    return f"95 % interval {value.low:.3f} to {value.high:.3f}"


def with_interval(value: float, ends: Interval | None) -> str:
    """A number and, on the line below, its interval."""
    if ends is None or math.isnan(ends.low):
        return number(value, 2)
    # Word joiners, so that the interval stays on one line.
    return f"{number(value, 2)}\n{ends.low:.2f}\u2060–\u2060{ends.high:.2f}"


def text(words: str) -> str:
    """Text that is safe inside HTML."""
    return html.escape(words, quote=True)


def cards(items: Iterable[tuple[str, str, str]]) -> str:
    """Boxes with a name, a number and a line below."""
    boxes = (
        f'<div class="card"><span>{text(name)}</span><b>{text(value)}</b><span>{text(below)}</span></div>'
        for name, value, below in items
    )
    return f'<div class="cards">{"".join(boxes)}</div>'


def figures(items: Iterable[tuple[Path, str]], wide: bool = False) -> str:
    """PNG files inside the page, each with its caption; wide ones as wide as the page."""
    parts = []
    for path, caption in items:
        content = base64.b64encode(path.read_bytes()).decode("ascii")
        image = f'<img src="data:image/png;base64,{content}" alt="{text(caption)}">'
        parts.append(f"<figure>{image}<figcaption>{text(caption)}</figcaption></figure>")
    return f'<div class="plots{" wide" if wide else ""}">{"".join(parts)}</div>'


def table(header: Sequence[str], rows: Sequence[Sequence[str]], all_rows_in: str = "", tight: bool = False) -> str:
    """A table; rows above `TABLE_ROWS` are left to the file named; a tight one has room for many columns."""
    head = "".join(f"<th>{text(name)}</th>" for name in header)
    body = "".join("<tr>" + "".join(f"<td>{text(cell)}</td>" for cell in row) + "</tr>" for row in rows[:TABLE_ROWS])
    rest = f"<p>The first {TABLE_ROWS} of {len(rows):,} rows; all are in {text(all_rows_in)}.</p>"
    kind = ' class="tight"' if tight else ""
    full = f'<div class="scroll"><table{kind}><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    return full + (rest if len(rows) > TABLE_ROWS else "")


def facts(items: Iterable[tuple[str, str]]) -> str:
    """A table of names and what they stand for."""
    body = "".join(f"<tr><td>{text(name)}</td><td>{text(value)}</td></tr>" for name, value in items)
    return f'<div class="scroll"><table class="facts"><tbody>{body}</tbody></table></div>'


def page(title: str, subtitle: str, lead: str, sections: Iterable[tuple[str, str]]) -> str:
    """The whole page: sections are (heading, HTML)."""
    parts = "".join(f"<section><h2>{text(heading)}</h2>{content}</section>" for heading, content in sections if content)
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{text(title)}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{text(title)}</h1><p>{text(subtitle)}</p>"
        f'<p class="warning">{text(RESEARCH_ONLY)}</p><p class="lead">{text(lead)}</p>{parts}'
        f"<footer>Written by mitozoo. {text(RESEARCH_ONLY)}</footer></body></html>\n"
    )

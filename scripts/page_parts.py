"""What the scripts that write pages share: tables, and parts between `<!-- NAME -->` and `<!-- /NAME -->`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

NOTHING = "Not measured yet."


def with_parts(text: str, parts: Mapping[str, str]) -> str:
    """The page with these parts between their markers. Raises: ValueError where one is not there once."""
    for name, made in parts.items():
        start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        before, rest = text.split(start)
        text = f"{before}{start}\n{made}\n{end}{rest.split(end)[1]}"
    return text


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A Markdown table; a line that says so where it is empty."""
    if not rows:
        return NOTHING
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)

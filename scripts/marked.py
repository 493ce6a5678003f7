"""Parts of a page that a script writes, each between `<!-- NAME -->` and `<!-- /NAME -->`."""

from __future__ import annotations

from collections.abc import Mapping


def with_parts(text: str, parts: Mapping[str, str]) -> str:
    """The page with these parts between their markers. Raises: ValueError where one is not there once."""
    for name, made in parts.items():
        start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        before, rest = text.split(start)
        text = f"{before}{start}\n{made}\n{end}{rest.split(end)[1]}"
    return text

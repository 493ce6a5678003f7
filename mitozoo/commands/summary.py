"""What a search says at its end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from mitozoo.inference.result import FieldResult


def say(results: Sequence[FieldResult], out: Path) -> int:
    """Print counts, notes and failures. Returns: the exit code, 1 where an image failed, or a part of one."""
    failed = [result for result in results if not result.ok]
    good = [result for result in results if result.ok]
    found = sum(len(result.detections) for result in good)
    tissue = sum(result.tissue_mm2 for result in good)
    click.echo(f"{_number(found, 'mitotic figure')} in {_number(len(good), 'image')}, {tissue:.2f} mm² of tissue.")
    assumed = [result for result in good if result.spacing_source == "assumed"]
    if assumed:
        click.echo(
            f"No spacing in {len(assumed)} of {_number(len(good), 'image')}: {assumed[0].um_per_px:g} µm per pixel was "
            "assumed. Give it with --um-per-px.",
            err=True,
        )
    for note, count in _notes(good).items():
        click.echo(f"Note ({_number(count, 'image')}): {note}", err=True)
    partly = [result for result in good if not result.complete]
    for result in partly:
        click.echo(f"Incomplete: {result.name}: {result.status}", err=True)
    for result in failed:
        click.echo(f"Failed: {result.name}: {result.status}", err=True)
    if failed:
        click.echo(f"{len(failed)} of {_number(len(results), 'image')} failed.", err=True)
    click.echo(f"Results: {out}")
    return 1 if failed or partly else 0


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _notes(results: Sequence[FieldResult]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for result in results:
        for note in result.notes:
            counts[note] = counts.get(note, 0) + 1
    return counts

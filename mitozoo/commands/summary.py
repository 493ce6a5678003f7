"""What a search says at its end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from mitozoo.inference.result import FieldResult


def say(results: Sequence[FieldResult], out: Path) -> int:
    """Print counts, notes and failures. Returns: the exit code, 1 where an image failed."""
    failed = [result for result in results if not result.ok]
    good = [result for result in results if result.ok]
    found = sum(len(result.detections) for result in good)
    tissue = sum(result.tissue_mm2 for result in good)
    click.echo(f"{found} mitotic figures in {len(good)} images, {tissue:.2f} mm² of tissue.")
    assumed = sum(result.spacing_source == "assumed" for result in good)
    if assumed:
        click.echo(
            f"{assumed} of {len(good)} images do not say their spacing: {good[0].um_per_px:g} µm per pixel was assumed. "
            "Give it with --um-per-px.",
            err=True,
        )
    for note, count in _notes(good).items():
        click.echo(f"Note ({count} {'image' if count == 1 else 'images'}): {note}", err=True)
    for result in failed:
        click.echo(f"Failed: {result.name}: {result.status}", err=True)
    if failed:
        click.echo(f"{len(failed)} of {len(results)} images failed.", err=True)
    click.echo(f"Results: {out}")
    return 1 if failed else 0


def _notes(results: Sequence[FieldResult]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for result in results:
        for note in result.notes:
            counts[note] = counts.get(note, 0) + 1
    return counts

"""`mitozoo sample`: draw synthetic fields."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(name="sample")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--count", type=click.IntRange(1, 9999), default=4, show_default=True, help="How many fields.")
@click.option("--size-px", type=click.IntRange(64, 16384), default=1024, show_default=True, help="Side of a field.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Same seed, same fields.")
@click.option("--um-per-px", type=float, default=0.25, show_default=True, help="Spacing to draw at.")
@click.option("--overwrite", is_flag=True, help="Replace files that are in DIR already.")
def command(folder: Path, count: int, size_px: int, seed: int, um_per_px: float, overwrite: bool) -> None:
    """Draw synthetic H&E fields into DIR, with exact labels (MIDOG.json) and masks.

    For trying the tools and for tests; they say nothing about accuracy on real tissue.
    """
    from mitozoo.data.synthetic import write_sample

    paths = write_sample(folder, count, size_px, seed, um_per_px=um_per_px, overwrite=overwrite)
    click.echo(f"Drew {len(paths)} fields with labels in {folder}. Synthetic: not for accuracy claims.")

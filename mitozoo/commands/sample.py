"""`mitozoo sample`: draw synthetic fields or a whole slide."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

#: Fields are drawn in one piece, which takes memory.
LARGEST_FIELD_PX = 16384
FIELD_PX, SLIDE_PX = 1024, 40_000


@click.command(name="sample")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--count", type=click.IntRange(1, 9999), help="How many fields.  [default: 4]")
@click.option(
    "--size-px",
    type=click.IntRange(64, 400_000),
    help=f"Side of a field, or width of the slide.  [default: {FIELD_PX}, of a slide {SLIDE_PX}]",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Same seed, same pictures.")
@click.option("--um-per-px", type=float, default=0.25, show_default=True, help="Spacing to draw at.")
@click.option("--slide", is_flag=True, help="Draw one whole slide, a pyramidal TIFF, instead of fields.")
@click.option("--height-px", type=click.IntRange(64, 400_000), help="Height of the slide.  [default: its width]")
@click.option(
    "--tissue-mm2", type=click.FloatRange(min=0), help="Tissue on the slide.  [default: 4, at most a fifth of it]"
)
@click.option("--mitoses", type=click.IntRange(min=0), help="Mitotic figures on the slide.  [default: 50 per mm²]")
@click.option("--seams", is_flag=True, help="Put half of the slide's mitoses where tiles of 1024 px meet.")
@click.option("--overwrite", is_flag=True, help="Replace files that are in DIR already.")
def command(
    folder: Path,
    count: int | None,
    size_px: int | None,
    seed: int,
    um_per_px: float,
    slide: bool,
    overwrite: bool,
    **of_slide: Any,
) -> None:
    """Draw synthetic H&E fields into DIR, with exact labels (MIDOG.json) and masks; or a whole slide with --slide.

    For trying the tools and for tests; they say nothing about accuracy on real tissue.
    """
    if slide:
        if count is not None:
            raise click.UsageError("--count is for fields; --slide draws one slide. Leave one of them out.")
        _draw_slide(folder, size_px or SLIDE_PX, seed=seed, um_per_px=um_per_px, overwrite=overwrite, **of_slide)
        return
    given = [
        f"--{name.replace('_', '-')}" for name, value in of_slide.items() if value is not None and value is not False
    ]
    if given:
        raise click.UsageError(f"{given[0]} is for whole slides. Add --slide, or leave it out.")
    size_px = size_px or FIELD_PX
    if size_px > LARGEST_FIELD_PX:
        raise click.UsageError(f"A field has at most {LARGEST_FIELD_PX} px a side. For a larger picture add --slide.")
    from mitozoo.data.synthetic import write_sample

    paths = write_sample(folder, count or 4, size_px, seed, um_per_px=um_per_px, overwrite=overwrite)
    click.echo(f"Drew {len(paths)} fields with labels in {folder}. Synthetic: not for accuracy claims.")


def _draw_slide(folder: Path, width_px: int, *, height_px: int | None, **options: Any) -> None:
    from mitozoo.base.progress import progress_bar
    from mitozoo.data.pyramid import TILE_PX
    from mitozoo.data.synthetic import write_slide

    height_px = height_px or width_px
    tiles = -(-width_px // TILE_PX) * -(-height_px // TILE_PX)
    with progress_bar("Tiles", tiles) as tell:
        path = write_slide(folder, width_px=width_px, height_px=height_px, tell=lambda done: tell(done, ""), **options)
    click.echo(f"Drew the slide {path} with labels beside it. Synthetic: not for accuracy claims.")

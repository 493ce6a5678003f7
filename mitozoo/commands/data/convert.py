"""`mitozoo data convert PATH`: write labels in another format."""

from __future__ import annotations

from pathlib import Path

import click

_TARGETS = ("midog", "coco", "csv", "geojson")


@click.command("convert")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--to", type=click.Choice(_TARGETS), required=True, help="Format to write.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="File, or folder for geojson.")
@click.option("--data-format", default=None, help="Label format of PATH, where it is not recognised.")
@click.option("--um-per-px", type=float, default=None, help="Spacing in µm per pixel, in place of what the data say.")
@click.option("--overwrite", is_flag=True, help="Replace files that are there.")
def command(path: Path, to: str, out: Path, data_format: str | None, um_per_px: float | None, overwrite: bool) -> None:
    """Write all labels of PATH, a folder or label file of any known format, in another format.

    Points come back exactly as they were. Images are not copied: the written file says where they are.
    """
    from mitozoo.export.labels import convert

    done = convert(path, to, out, data_format=data_format, um_per_px=um_per_px, overwrite=overwrite)
    for line in done.lines():
        click.echo(line)

"""`mitozoo export MODEL`: a model for TensorFlow Serving, ONNX Runtime or BioImage.IO."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mitozoo.commands.options import DEFAULT_MODEL, command_line


@click.command("export")
@click.argument("model", default=DEFAULT_MODEL)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of all exported models.")
@click.option(
    "--to",
    type=click.Choice(["serving", "onnx", "bioimageio"]),
    default="serving",
    show_default=True,
    help="TensorFlow Serving, networks for ONNX Runtime, or a model for BioImage.IO.",
)
@click.option("--weights", type=click.Path(path_type=Path), default=None, help="A .weights.h5 file, or a run's folder.")
@click.option("--threshold", type=float, default=None, help="Score from which a detection counts.")
@click.option("--tuned", type=click.Path(path_type=Path), default=None, help="File of 'mitozoo tune' for the weights.")
@click.option("--name", default=None, help="Name at the server, in place of the model's.")
@click.option("--version", type=int, default=None, help="Version. [default: the next free one]")
@click.option(
    "--precision",
    type=click.Choice(["float32", "bfloat16", "float16"]),
    default="float32",
    show_default=True,
    help="Of the computation; inputs and outputs stay float32.",
)
@click.option("--quantize", type=click.Choice(["int8"]), default=None, help="Store the weights in 8 bits.")
@click.option(
    "--measure", type=click.Path(path_type=Path), default=None, help="Images that fewer bits are measured on."
)
@click.option("--force", is_flag=True, help="Take int8 although it calls other cells than float32.")
@click.option("--no-check", is_flag=True, help="Do not run the result before it is published.")
@click.option(
    "--serve", default="all", show_default=True, help="Versions in models.config: all, latest, or such as 1,3."
)
@click.option("--max-mpx", type=float, default=100.0, show_default=True, help="Largest image, in megapixels.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def command(model: str, out: Path, no_check: bool, **settings: Any) -> None:
    """Export a model so that other programs can use it.

    For TensorFlow Serving everything is in the graph: it takes the bytes of PNG or JPEG files and gives points.
    """
    import mitozoo
    from mitozoo.export.record import plain_command

    run = {"command": plain_command(command_line())}
    done = mitozoo.export(model, out=out, check=not no_check, run=run, **settings)
    if done.agreement is not None:
        click.echo(f"Against float32: {done.agreement}.")
    for note in done.notes:
        click.echo(f"Note: {note}", err=True)
    click.echo(f"Exported: {done.folder}")

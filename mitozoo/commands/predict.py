"""`mitozoo predict PATH…`: find mitotic figures in images and folders."""

from __future__ import annotations

from pathlib import Path

import click

from mitozoo.commands.options import command_line, model_options
from mitozoo.commands.stopping import says_when_stopped


@click.command("predict")
@click.argument("paths", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for the results.")
@model_options
@click.option(
    "--look-again", type=float, default=None, help="Score from which a detection is doubtful. [default: half the odds]"
)
@click.option("--um-per-px", type=float, default=None, help="Spacing in µm per pixel, in place of what the files say.")
@click.option(
    "--format",
    "formats",
    default="csv,geojson,overlay,report",
    show_default=True,
    help="Outputs, comma-separated; also midog, coco.",
)
@click.option("--batch-size", type=int, default=None, help="Windows at a time.")
@click.option("--limit-memory", "limit_memory_mb", type=float, default=None, help="Memory to stay within, in MB.")
@click.option("--hotspot-mm2", type=float, default=2.37, show_default=True, help="Area of the hotspot's window.")
@click.option("--overwrite", is_flag=True, help="Replace results that are there.")
@click.option("--resume", is_flag=True, help="Go on with the same run where it was stopped.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def command(
    paths: tuple[Path, ...],
    out: Path,
    model: tuple[str, ...],
    weights: tuple[Path, ...],
    threshold: float | None,
    tuned: Path | None,
    tta: int,
    look_again: float | None,
    um_per_px: float | None,
    formats: str,
    batch_size: int | None,
    limit_memory_mb: float | None,
    hotspot_mm2: float,
    overwrite: bool,
    resume: bool,
    quiet: bool,
) -> None:
    """Find mitotic figures in images, slides and folders.

    Images: PNG, JPEG, TIFF, BMP; whole slides: what OpenSlide reads (SVS, NDPI, MRXS, SCN, DICOM, tiled TIFF).

    One bad image never stops the rest: it gets a row that says why, and the exit code is 1.
    """
    import mitozoo
    from mitozoo.commands.summary import say

    done: list[str] = []
    with says_when_stopped(lambda: _kept(len(done), out)):
        results = mitozoo.predict(
            list(paths),
            model=model,
            weights=weights or None,
            tuned=tuned,
            tta=tta,
            threshold=threshold,
            look_again=look_again,
            um_per_px=um_per_px,
            out=out,
            formats=[name.strip() for name in formats.split(",") if name.strip()],
            overwrite=overwrite,
            resume=resume,
            batch_size=batch_size,
            limit_memory_mb=limit_memory_mb,
            hotspot_mm2=hotspot_mm2,
            run={"command": command_line()},
            on_result=lambda result: done.append(result.name),
            quiet=quiet,
        )
    click.get_current_context().exit(say(results, out))


def _kept(images: int, out: Path) -> str:
    from mitozoo.inference.journal import unfinished

    if not images:
        return f"No image was finished.{' The same command with --resume goes on.' if unfinished(out) else ''}"
    return (
        f"The files of {images} finished {'image is' if images == 1 else 'images are'} in {out}, without the tables of "
        "the run. The same command with --resume goes on."
    )

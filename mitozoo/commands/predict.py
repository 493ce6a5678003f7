"""`mitozoo predict PATH…`: find mitotic figures in images and folders."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mitozoo.commands.options import command_line, model_options
from mitozoo.commands.stopping import says_when_stopped

if TYPE_CHECKING:
    from mitozoo.serving.client import ServerSettings


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
    help="Outputs, comma-separated; also heatmap, midog, coco.",
)
@click.option("--batch-size", type=int, default=None, help="Windows at a time.")
@click.option("--limit-memory", "limit_memory_mb", type=float, default=None, help="Memory to stay within, in MB.")
@click.option("--hotspot-mm2", type=float, default=2.37, show_default=True, help="Area of the hotspot's window.")
@click.option("--overwrite", is_flag=True, help="Replace results that are there.")
@click.option("--resume", is_flag=True, help="Go on with the same run where it was stopped.")
@click.option("--server", default=None, help="Ask a model server: http://HOST:8501 or grpc://HOST:8500.")
@click.option("--server-model", default=None, help="The model's name at the server.  [default: --model]")
@click.option(
    "--server-about",
    type=click.Path(path_type=Path),
    default=None,
    help="NAME.json of the export, where the server does not say what it serves.",
)
@click.option(
    "--server-timeout-s", type=float, default=120.0, show_default=True, help="Longest wait for one of its answers."
)
@click.option("--server-requests", type=int, default=4, show_default=True, help="Requests in flight at a time.")
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="Where to search: here, or on the workers of a Ray cluster.",
)
@click.option("--address", default=None, help="Ray cluster that runs.  [default: one on this machine]")
@click.option("--workers", type=click.IntRange(min=1), default=None, help="Workers of the Ray cluster.")
@click.option("--precision", default="float32", show_default=True, help="Compute in float32, bfloat16 or float16.")
@click.option("--xla", is_flag=True, help="Compile networks with XLA.")
@click.option("--threads", type=int, default=None, help="Threads of the network.  [default: all cores]")
@click.option("--tune-speed", is_flag=True, help="Measure once what is fastest on this machine, and use it.")
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
    server: str | None,
    engine: str,
    address: str | None,
    workers: int | None,
    precision: str,
    xla: bool,
    threads: int | None,
    tune_speed: bool,
    **of_server: Any,
) -> None:
    """Find mitotic figures in images, slides and folders.

    Images: PNG, JPEG, TIFF, BMP; whole slides: what OpenSlide reads (SVS, NDPI, MRXS, SCN, DICOM, tiled TIFF).

    One bad image never stops the rest: it gets a row that says why, and the exit code is 1.
    """
    import mitozoo
    from mitozoo.base.allocator import share_arenas
    from mitozoo.commands.summary import say

    asked = None if server is None else _settings(server, **of_server)

    share_arenas()
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
            server=asked,
            engine=engine,
            address=address,
            workers=workers,
            precision=precision,
            xla=xla,
            threads=threads,
            tune_speed=tune_speed,
            run={"command": command_line()},
            on_result=lambda result: done.append(result.name),
            quiet=quiet,
        )
    click.get_current_context().exit(say(results, out))


def _settings(
    server: str, server_model: str | None, server_about: Path | None, server_timeout_s: float, server_requests: int
) -> ServerSettings:
    from mitozoo.serving.client import ServerSettings

    return ServerSettings(
        address=server, model=server_model, about=server_about, timeout_s=server_timeout_s, requests=server_requests
    )


def _kept(images: int, out: Path) -> str:
    from mitozoo.inference.journal import unfinished

    if not images:
        return f"No image was finished.{' The same command with --resume goes on.' if unfinished(out) else ''}"
    return (
        f"The files of {images} finished {'image is' if images == 1 else 'images are'} in {out}, without the tables of "
        "the run. The same command with --resume goes on."
    )

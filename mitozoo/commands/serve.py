"""`mitozoo serve DIR`: exported models over TensorFlow Serving's API, on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from mitozoo.serving.server import Server


@click.command("serve")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option("--rest-port", type=int, default=8501, show_default=True, help="Port for REST; 0 takes a free one.")
@click.option("--grpc-port", type=int, default=8500, show_default=True, help="Port for gRPC; 0 takes a free one.")
@click.option("--max-request-mb", type=float, default=64.0, show_default=True, help="Largest request, in MB.")
@click.option("--timeout-s", type=float, default=60.0, show_default=True, help="Longest time for a request.")
@click.option("--queue", type=int, default=32, show_default=True, help="Requests that may wait.")
@click.option("--workers", type=int, default=2, show_default=True, help="Batches that run at a time.")
@click.option("--batching/--no-batching", default=True, show_default=True, help="Run requests that wait together.")
@click.option("--poll-s", type=float, default=2.0, show_default=True, help="Seconds between two looks at the folder.")
def command(
    folder: Path,
    host: str,
    rest_port: int,
    grpc_port: int,
    max_request_mb: float,
    timeout_s: float,
    queue: int,
    workers: int,
    batching: bool,
    poll_s: float,
) -> None:
    """Serve the models that 'mitozoo export' wrote into FOLDER, on this machine.

    It speaks TensorFlow Serving's API, REST and gRPC, takes up new versions while it runs, and ends with Ctrl-C once
    what runs is finished.
    """
    import asyncio

    from mitozoo.base.allocator import share_arenas
    from mitozoo.serving.engine import Limits
    from mitozoo.serving.server import ServeSettings, is_loopback, log_to, serve

    limits = Limits(queue=queue, workers=workers, timeout_s=timeout_s, batching=batching)
    settings = ServeSettings(
        folder=folder,
        host=host,
        rest_port=rest_port,
        grpc_port=grpc_port,
        max_request_mb=max_request_mb,
        limits=limits,
        poll_s=poll_s,
    )
    if not is_loopback(host):
        click.echo(
            f"Warning: everybody who reaches {host} can use this server; it has neither passwords nor encryption. "
            "Leave --host out to serve this machine alone.",
            err=True,
        )
    share_arenas()
    log_to(lambda line: click.echo(line, err=True))
    asyncio.run(serve(settings, _say))
    click.echo("Stopped.")


def _say(server: Server) -> None:
    host = f"[{server.settings.host}]" if ":" in server.settings.host else server.settings.host
    for name, versions in server.service.versions.available().items():
        click.echo(f"{name}, version {', '.join(map(str, versions))}")
    click.echo(f"REST: http://{host}:{server.rest_port}")
    click.echo(f"gRPC: grpc://{host}:{server.grpc_port}")
    click.echo("Stop with Ctrl-C.")

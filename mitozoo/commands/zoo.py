"""`mitozoo zoo`: list, show, fetch and verify trained weights."""

from __future__ import annotations

import json

import click


@click.group(name="zoo")
def command() -> None:
    """List, show, fetch and verify trained weights."""


@command.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def list_entries(as_json: bool) -> None:
    """List the models that have trained weights."""
    from mitozoo.models import zoo

    rows = [zoo.summary(name) for name in zoo.entries()]
    if as_json:
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    if not rows:
        click.echo("The zoo has no trained weights yet. Train a model with 'mitozoo train'.")
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("name", "task", "params", "F1", "size", "weights", title="Trained weights (research use only)")
    for row in rows:
        f1 = f"{row['f1']:.3f}" if isinstance(row["f1"], int | float) else "–"
        size = f"{row['bytes'] / 1e6:.1f} MB"
        table.add_row(row["name"], row["task"], f"{row['params']:,}", f1, size, row["weights"])
    Console().print(table)


@command.command()
@click.argument("name")
def show(name: str) -> None:
    """Show the manifest and the card of the model NAME."""
    from rich.console import Console
    from rich.markdown import Markdown

    from mitozoo.models import zoo, zoo_manifest

    console = Console()
    console.print_json(zoo_manifest.to_json(zoo.manifest(name), name), highlight=console.is_terminal)
    if card := zoo.card(name):
        console.print(Markdown(card))


@command.command()
@click.argument("name")
def fetch(name: str) -> None:
    """Fetch the weights of the model NAME, so that it works offline."""
    from mitozoo.models import zoo

    click.echo(f"The weights of {name} are at {zoo.weights_path(name)}.")


@command.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
def verify(names: tuple[str, ...]) -> None:
    """Check the manifests, and the weights that are here, of all models or of those named."""
    from mitozoo.base.errors import MitozooError, WeightsError
    from mitozoo.models import zoo

    bad = 0
    for name in names or zoo.entries():
        try:
            where = zoo.verify(name)
            click.echo(f"{name}: {'not fetched yet' if where == 'remote' else f'whole ({where})'}")
        except MitozooError as error:
            bad += 1
            click.echo(f"{name}: {error}")
    if bad:
        raise WeightsError(f"{bad} of {len(names or zoo.entries())} entries of the zoo cannot be used; see above.")

"""`mitozoo data`: what a labelled data set holds, in other formats, divided, and where to get one."""

from __future__ import annotations

import click

from mitozoo.commands.lazy import LazyGroup

#: Command name: its module, and the line that `mitozoo data --help` shows.
COMMANDS = {
    "check": ("mitozoo.commands.data.check", "Say what a data set holds, and what is wrong with it."),
    "compose": ("mitozoo.commands.data.compose", "Place mitotic figures of patches into fields."),
    "convert": ("mitozoo.commands.data.convert", "Write labels in another format."),
    "fetch": ("mitozoo.commands.data.fetch", "Download a public data set."),
    "split": ("mitozoo.commands.data.split", "Divide a data set by case into train, validation and test."),
}


@click.group("data", cls=LazyGroup, table=COMMANDS)
def command() -> None:
    """Check, convert, fetch and split labelled data sets."""

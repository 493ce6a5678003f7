"""The command line. Each command is one file here, imported when it is called, so that `--help` stays quick."""

from __future__ import annotations

import difflib
import importlib
import os
import sys

import click

from mitozoo.base.errors import MitozooError
from mitozoo.commands.stopping import STOPPED

#: Command name: its module in this package, and the line that `mitozoo --help` shows.
COMMANDS = {
    "train": ("train", "Train a model of the zoo."),
    "predict": ("predict", "Find mitotic figures in images and folders."),
    "evaluate": ("evaluate", "Measure a model on labelled patches or fields."),
    "compare": ("compare", "Put reports of several models side by side."),
    "tune": ("tune", "Choose a threshold on validation cases."),
    "zoo": ("zoo", "List, show, fetch and verify trained weights."),
    "sample": ("sample", "Draw synthetic H&E fields with exact labels."),
}


class LazyGroup(click.Group):
    """A group that imports a command when it is asked for, and names the nearest one when it does not exist."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of `COMMANDS`."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"mitozoo.commands.{COMMANDS[cmd_name][0]}")
        return module.command

    def resolve_command(self, ctx: click.Context, args: list[str]):  # noqa: ANN201
        """Find the command of `args`; an unknown one ends with the nearest name."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            near = difflib.get_close_matches(name, COMMANDS, n=1, cutoff=0.5)
            hint = f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(COMMANDS)}."
            ctx.fail(f"No command named {name!r}. {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


def _version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from mitozoo import __version__

        click.echo(f"mitozoo {__version__}")
        ctx.exit()


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version.")
def cli() -> None:
    """Count mitotic figures in H&E tissue: train, predict, evaluate.

    A research tool, not a medical device.
    """


def main(argv: list[str] | None = None) -> None:
    """Run the command line and exit.

    Codes: 0; 1 where an image failed; 2 with one line for a `MitozooError` and for wrong usage; 130 after Ctrl-C. A bug
    ends with a traceback.
    """
    from mitozoo.base.quiet import quiet_tensorflow_import

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    quiet_tensorflow_import()
    sys.exit(_run(argv))


def _run(argv: list[str] | None) -> int:
    arguments = sys.argv[1:] if argv is None else list(argv)
    try:
        code = cli.main(args=argv, prog_name="mitozoo", standalone_mode=False, obj=arguments)
        sys.stdout.flush()
    except MitozooError as error:
        click.echo(f"Error: {error}", err=True)
        return 2
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("Stopped.", err=True)
        return STOPPED
    except BrokenPipeError:
        # Whoever read our output has gone; Python would complain once more when it closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code if isinstance(code, int) else 0

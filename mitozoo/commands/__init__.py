"""The command line. Each command is one file here, imported when it is called, so that `--help` stays quick."""

from __future__ import annotations

import os
import sys

import click

from mitozoo.base.errors import MitozooError
from mitozoo.commands.lazy import LazyGroup
from mitozoo.commands.stopping import STOPPED

#: Command name: its module, and the line that `mitozoo --help` shows.
COMMANDS = {
    "train": ("mitozoo.commands.train", "Train a model of the zoo."),
    "transfer": ("mitozoo.commands.transfer", "How few labels does new tissue need? Train on growing shares of it."),
    "predict": ("mitozoo.commands.predict", "Find mitotic figures in images and folders."),
    "evaluate": ("mitozoo.commands.evaluate", "Measure a model on labelled patches or fields."),
    "compare": ("mitozoo.commands.compare", "Put reports of several models side by side."),
    "tune": ("mitozoo.commands.tune", "Choose a threshold on validation cases."),
    "review": ("mitozoo.commands.review", "Correct what was found in QuPath, and train on the corrections."),
    "export": ("mitozoo.commands.export", "Export a model for TensorFlow Serving, ONNX or BioImage.IO."),
    "serve": ("mitozoo.commands.serve", "Serve exported models on this machine, over TensorFlow Serving's API."),
    "zoo": ("mitozoo.commands.zoo", "List, show, fetch and verify trained weights."),
    "data": ("mitozoo.commands.data", "Check, convert, fetch and split labelled data sets."),
    "sample": ("mitozoo.commands.sample", "Draw synthetic H&E fields with exact labels."),
}


def _version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from mitozoo import __version__

        click.echo(f"mitozoo {__version__}")
        ctx.exit()


@click.group(cls=LazyGroup, table=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
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

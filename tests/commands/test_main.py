"""How the command line ends: exit codes, one line for what the user can mend, a traceback for a bug."""

import os
import re
import signal
import subprocess
import sys
import time

import click
import pytest

import mitozoo.commands as commands
from mitozoo.base.errors import DataError, MitozooError
from mitozoo.commands import COMMANDS, main
from mitozoo.commands.options import DEFAULT_MODEL, command_line
from mitozoo.commands.stopping import Stopped, says_when_stopped


def ends(capsys, *arguments):
    """Run a command; its exit code, output and error output."""
    with pytest.raises(SystemExit) as left:
        main(list(arguments))
    printed = capsys.readouterr()
    return left.value.code, printed.out, printed.err


@pytest.fixture
def does(monkeypatch):
    """Let `mitozoo zoo` do something else."""

    def replace(action):
        command = click.Command("zoo", callback=action)
        monkeypatch.setattr(commands.LazyGroup, "get_command", lambda self, ctx, name: command)

    return replace


def fail(error):
    raise error


def test_version_and_help(capsys):
    code, out, err = ends(capsys, "--version")
    assert (code, err) == (0, "") and re.fullmatch(r"mitozoo \d+\.\d+\.\d+\n", out)
    code, out, err = ends(capsys, "--help")
    assert (code, err) == (0, "")
    assert re.findall(r"^  (\w+)  ", out, re.MULTILINE) == list(COMMANDS)


@pytest.mark.parametrize(
    ("arguments", "last"),
    [
        (["predct"], "Error: No command named 'predct'. Did you mean 'predict'?"),
        (["xyz"], f"Error: No command named 'xyz'. Known: {', '.join(COMMANDS)}."),
        (["predict"], "Error: Missing argument 'PATHS...'."),
        (["predict", "x"], "Error: Missing option '--out'."),
        (["sample", "x", "--count", "0"], "Error: Invalid value for '--count': 0 is not in the range 1<=x<=9999."),
    ],
)
def test_wrong_usage(capsys, arguments, last):
    code, out, err = ends(capsys, *arguments)
    assert (code, out, err.splitlines()[-1]) == (2, "", last)
    assert err.startswith("Usage: mitozoo ")


def test_an_option_nearly_right_names_the_right_one(capsys):
    code, _, err = ends(capsys, "predict", "x", "--out", "y", "--limit-memroy", "500")
    assert code == 2 and re.search(r"No such option:? '?--limit-memroy'?\. Did you mean '?--limit-memory'?\?", err)


@pytest.mark.parametrize("kind", [DataError, MitozooError])
def test_what_the_user_can_mend_is_one_line_and_2(capsys, does, kind):
    does(lambda: fail(kind("Give another file.")))
    assert ends(capsys, "zoo") == (2, "", "Error: Give another file.\n")


def test_a_bug_is_a_traceback(does):
    does(lambda: fail(ZeroDivisionError("a bug")))
    with pytest.raises(ZeroDivisionError, match="a bug"):
        main(["zoo"])


def test_exit_codes_of_commands(capsys, does):
    does(lambda: click.get_current_context().exit(1))
    assert ends(capsys, "zoo")[0] == 1
    does(lambda: sys.exit(1))
    assert ends(capsys, "zoo")[0] == 1
    does(lambda: None)
    assert ends(capsys, "zoo")[0] == 0


def test_ctrl_c_is_130(capsys, does):
    does(lambda: fail(KeyboardInterrupt()))
    assert ends(capsys, "zoo") == (130, "", "\nStopped.\n")


def test_ctrl_c_says_what_was_kept(capsys, does):
    def stopped():
        with says_when_stopped(lambda: "All is kept."):
            raise KeyboardInterrupt

    does(stopped)
    assert ends(capsys, "zoo") == (130, "", "\nStopped. All is kept.\n")
    assert Stopped("x").exit_code == 130


def test_the_command_as_it_was_given(does, capsys):
    does(lambda: click.echo(command_line()))
    assert ends(capsys, "zoo")[1] == "mitozoo zoo\n"
    command = click.Command("zoo", params=[click.Argument(["name"])], callback=lambda name: click.echo(command_line()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(commands.LazyGroup, "get_command", lambda self, ctx, name: command)
        assert ends(capsys, "zoo", "a b")[1] == "mitozoo zoo 'a b'\n"


def test_the_default_model_is_that_of_the_functions():
    from mitozoo import api

    assert DEFAULT_MODEL == api.DEFAULT_MODEL


def test_a_reader_that_goes_away_leaves_no_traceback():
    script = "from mitozoo.commands import main; main(['--help'])"
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([sys.executable, "-c", script], stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.skipif(sys.platform == "win32", reason="no signals")
def test_a_real_ctrl_c():
    script = """
import time, click
import mitozoo.commands as commands
command = click.Command("zoo", callback=lambda: (click.echo("ready"), time.sleep(60)))
commands.LazyGroup.get_command = lambda self, ctx, name: command
commands.main(["zoo"])
"""
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        # A suite that a shell started in the background ignores the signal, and so would its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (130, "\nStopped.\n")


@pytest.mark.parametrize(
    "words", ["predict {0}/none --out {0}/out", "evaluate {0}/none --out {0}/out", "serve {0}/none"]
)
def test_what_runs_for_long_shares_its_arenas_of_memory(words, monkeypatch, tmp_path, capsys):
    calls = []
    monkeypatch.setattr("mitozoo.base.allocator.share_arenas", lambda: calls.append(True))
    code, *_ = ends(capsys, *words.format(tmp_path).split())
    assert (code, calls) == (2, [True])

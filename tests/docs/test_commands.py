"""What README and guides show must exist: commands, options, files, and the table of models."""

import importlib.util
import re
import shlex
from pathlib import Path

import click
import pytest

from mitozoo.commands import COMMANDS, cli

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def shown(page: Path, language: str) -> list[str]:
    return [body for kind, body in BLOCK.findall(page.read_text(encoding="utf-8")) if kind == language]


def commands() -> list[str]:
    lines = [line for page in PAGES for body in shown(page, "sh") for line in body.splitlines()]
    return sorted({line.split("  #")[0].strip() for line in lines if line.startswith("mitozoo ")})


@pytest.mark.parametrize("line", commands())
def test_a_shown_command_parses(line, tmp_path, monkeypatch):
    words = shlex.split(line, comments=True)[1:]
    monkeypatch.chdir(tmp_path)
    for word in words:  # options that want existing paths get them
        if re.fullmatch(r"[\w./-]+", word) and not word.startswith("-"):
            (tmp_path / word).mkdir(parents=True, exist_ok=True)
    command: click.Command = cli
    context = click.Context(cli, info_name="mitozoo")
    while isinstance(command, click.Group) and words:
        found = command.get_command(context, words[0])
        assert found is not None, f"{line}: no command {words[0]}"
        command, words = found, words[1:]
        context = click.Context(command, parent=context, info_name=command.name)
    command.parse_args(context, list(words))


def test_there_are_commands_of_every_kind():
    first = {line.split()[1] for line in commands()}
    assert first >= {"train", "predict", "evaluate", "zoo"}
    assert first <= set(COMMANDS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_linked_files_exist(page):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[\w-]*)?\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_scripts_that_are_shown_exist(page):
    for name in re.findall(r"^(?:python )?((?:scripts|benchmarks)/[\w.]+)", "\n".join(shown(page, "sh")), re.MULTILINE):
        assert (ROOT / name).exists(), name


def test_the_table_of_models_is_the_manifests():
    place = importlib.util.spec_from_file_location("model_table", ROOT / "scripts" / "model_table.py")
    module = importlib.util.module_from_spec(place)
    place.loader.exec_module(module)
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert module.with_table(text) == text, "run python scripts/model_table.py"

"""What README and guides show must exist and work: commands, options, files, examples, tables.

A block after the line `<!-- run -->` is run, page by page and top to bottom, in a folder with drawn fields in
`fields/`.
"""

import re
import shlex
from pathlib import Path
from typing import NamedTuple

import click
import painted
import pytest
from painted import painted_weights  # noqa: F401

from mitozoo.commands import COMMANDS, cli, main
from mitozoo.commands.data import COMMANDS as DATA_COMMANDS
from mitozoo.data.formats import FORMATS as DATA_FORMATS
from mitozoo.data.synthetic import write_sample
from mitozoo.evaluation.matching import PROTOCOLS
from mitozoo.export.formats import FORMATS, RUN_FILE
from mitozoo.export.tables import DETECTIONS_HEADER, SUMMARY_HEADER
from mitozoo.models import zoo

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md"))]
BLOCK = re.compile(r"^(<!-- run -->\n)?```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SHELL = ("sh", "console")


class Block(NamedTuple):
    runs: bool
    language: str
    text: str


def name_of(page: Path) -> str:
    return page.name


def blocks(page: Path) -> list[Block]:
    found = BLOCK.findall(page.read_text(encoding="utf-8"))
    return [Block(bool(mark), language, text) for mark, language, text in found]


def lines_of(block: Block) -> list[str]:
    """Commands of a shell block: without prompts, output and comments, continued lines joined."""
    lines = block.text.replace("\\\n", " ").splitlines()
    if block.language == "console":
        lines = [line[2:] for line in lines if line.startswith("$ ")]
    return [shlex.join(words) for line in lines if (words := shlex.split(line, comments=True))]


def shown(pages) -> list[str]:
    return [line for page in pages for block in blocks(page) if block.language in SHELL for line in lines_of(block)]


def commands() -> list[str]:
    return sorted({line for line in shown(PAGES) if line.startswith("mitozoo ")})


def resolved(words: list[str]) -> tuple[click.Command, click.Context, list[str]]:
    """The command that words name, its context, and the words left for it."""
    command: click.Command = cli
    context = click.Context(cli, info_name="mitozoo")
    while isinstance(command, click.Group) and words:
        found = command.get_command(context, words[0])
        assert found is not None, f"no command {words[0]!r}"
        command, words = found, words[1:]
        context = click.Context(command, parent=context, info_name=command.name)
    return command, context, words


def options(*words: str) -> set[str]:
    command, _, _ = resolved(list(words))
    given = [item for item in command.params if isinstance(item, click.Option)]
    return {name for item in given for name in (*item.opts, *item.secondary_opts)}


def parse(line: str) -> None:
    command, context, words = resolved(shlex.split(line)[1:])
    command.parse_args(context, list(words))


@pytest.mark.parametrize("line", commands())
def test_a_shown_command_parses(line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for word in shlex.split(line)[1:]:  # options that want existing paths get them
        if re.fullmatch(r"[\w./-]+", word) and not word.startswith("-"):
            if word.endswith(".csv"):
                (tmp_path / word).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / word).touch()
            else:
                (tmp_path / word).mkdir(parents=True, exist_ok=True)
    parse(line)


@pytest.mark.parametrize(
    "line",
    [
        "mitozoo predct fields --out found",
        "mitozoo predict --out found",
        "mitozoo predict fields",
        "mitozoo predict fields --out found --treshold 0.5",
        "mitozoo predict fields --out found --threshold",
        "mitozoo zoo shw stn",
    ],
)
def test_a_wrong_command_would_be_noticed(line):
    with pytest.raises((AssertionError, click.UsageError)):
        parse(line)


def test_commands_are_found_in_all_kinds_of_blocks():
    block = Block(False, "console", "$ mitozoo zoo list  # all\nname  task\n$ mitozoo predict a \\\n    --out b\n")
    assert lines_of(block) == ["mitozoo zoo list", "mitozoo predict a --out b"]
    assert {line.split()[1] for line in commands()} == set(COMMANDS)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_and_options_in_the_text_exist(page):
    prose = BLOCK.sub("", page.read_text(encoding="utf-8"))
    for quoted in re.findall(r"`mitozoo ([^`]+)`", prose):
        # Neither options nor what stands for a name (MODEL) or is left out (…) names a command.
        words = [word for word in quoted.split() if re.fullmatch(r"-?-?[a-z][a-z0-9-]*", word)]
        command, _, _ = resolved([word for word in words if not word.startswith("-")][:1])
        known = {name for item in command.params for name in item.opts} | {"--help"}
        assert {word for word in words if word.startswith("--")} <= known, quoted
    every = {name for command in COMMANDS for name in options(command)} | options("zoo", "list") | {"--help"}
    every |= {name for command in DATA_COMMANDS for name in options("data", command)}
    for option in re.findall(r"`(--[a-z][a-z0-9-]*)", prose):
        assert option in every | {"--check", "--run", "--folds", "--detector"}, f"{page.name} names {option}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_options_of_benchmarks_and_scripts_exist(page):
    """Also in the text: a script has no help that could be asked without running it, so its source is looked into."""
    prose = BLOCK.sub("", page.read_text(encoding="utf-8"))
    for line in [*re.findall(r"`([^`]+)`", prose), *shown([page])]:
        found = re.search(r"\b((?:benchmarks|scripts)/[a-z_]+\.py)(.*)", line, re.DOTALL)
        if not found:
            continue
        script, rest = found.groups()
        source = (ROOT / script).read_text(encoding="utf-8")
        for option in re.findall(r"(?<!\S)--([a-z][a-z0-9-]*)", rest):
            assert option == "help" or re.search(f'"(--)?{option}"', source), f"{page.name}: {script} has no --{option}"


@pytest.mark.parametrize("command", ["predict", "evaluate", "export", "serve"])
def test_the_table_of_options_is_whole(command):
    page = (
        DOCS / {"predict": "predict.md", "evaluate": "measure.md", "export": "export.md", "serve": "serve.md"}[command]
    )
    rows = [line.split("|")[1] for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("| `--")]
    listed = {name for row in rows for name in re.findall(r"`(--[a-z0-9-]+)", row)}
    assert listed == options(command)


def test_all_options_of_training_are_told():
    text = (DOCS / "train.md").read_text(encoding="utf-8")
    assert sorted(name for name in options("train") if name not in text) == []


def first_cells(page: str) -> list[str]:
    lines = (DOCS / page).read_text(encoding="utf-8").splitlines()
    return [name for line in lines if line.startswith("| ") for name in re.findall(r"`([^`]+)`", line.split("|")[1])]


def test_the_tables_of_columns_and_formats_are_whole():
    names = first_cells("predict.md")
    columns = names[names.index(DETECTIONS_HEADER[0]) :]
    assert columns[: len(DETECTIONS_HEADER)] == list(DETECTIONS_HEADER)
    assert columns[len(DETECTIONS_HEADER) : len(DETECTIONS_HEADER) + len(SUMMARY_HEADER)] == list(SUMMARY_HEADER)
    text = (DOCS / "predict.md").read_text(encoding="utf-8")
    missing = [name for name, item in FORMATS.items() for file in item.run_files if f"`{file}`" not in text]
    missing += [name for name in FORMATS if f"`{name}`" not in text]
    assert not missing and f"`{RUN_FILE}`" in text


def test_the_table_of_protocols_is_theirs():
    names = [name for name in first_cells("measure.md") if name in PROTOCOLS]
    assert names == list(PROTOCOLS)
    rows = (DOCS / "measure.md").read_text(encoding="utf-8").splitlines()
    for name, rule in PROTOCOLS.items():
        cells = next(row for row in rows if row.startswith("|") and f"`{name}`" in row.split("|")[1]).split("|")
        radius = f"{rule.radius_um:g} µm" if rule.radius_um else f"{rule.radius_px:g} px"
        assert cells[2].strip() == radius
        assert ("several hits" in cells[3]) == (rule.rule == "many-to-one")


def test_the_table_of_label_formats_is_whole():
    assert [name for name in first_cells("data.md") if name in DATA_FORMATS] == list(DATA_FORMATS)


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", BLOCK.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    for target, anchor in re.findall(r"\]\(([^)#:]*)(?:#([\w-]*))?\)", page.read_text(encoding="utf-8")):
        file = page.parent / target if target else page
        # An empty zoo has no cards yet.
        if not zoo.entries() and file.name == "CARD.md":
            continue
        assert file.exists(), f"{page.name} links to {target}"
        assert not anchor or anchor in anchors(file), f"{page.name} links to {target}#{anchor}"


def test_every_guide_can_be_reached_from_the_readme():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [page.name for page in DOCS.glob("*.md") if f"(docs/{page.name}" not in text] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_files_that_are_named_exist(page):
    text = page.read_text(encoding="utf-8")
    for name in re.findall(r"\b((?:scripts|benchmarks|mitozoo|tests)/[\w./]*\w)", text):
        assert (ROOT / name).exists() or (ROOT / "mitozoo" / name).exists(), f"{page.name} names {name}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_path_of_one_machine(page):
    assert not re.findall(r"(?<![\w.~])/(?:home|root|work|tmp|mnt|Users)/\S*", page.read_text(encoding="utf-8"))


@pytest.fixture
def some_weights(painted_weights, tmp_path, monkeypatch):  # noqa: F811
    """The zoo as it is; a stand-in where it lacks the weights that the pages use."""
    if {"scout", "stn", "cnn12"} <= set(zoo.entries()):
        return
    folder = tmp_path / "zoo"
    monkeypatch.setattr(zoo, "folder", lambda: folder)
    for name, model, file in (("scout", "cnn12", "colour"), ("stn", "stn", "stn"), ("cnn12", "cnn12", "colour")):
        zoo.write_entry(folder / name, painted.manifest(name, model), painted_weights / f"{file}.weights.h5")


RUNNABLE = [page for page in PAGES if any(block.runs for block in blocks(page))]


def test_what_is_run():
    assert {page.stem for page in RUNNABLE} >= {"README", "quickstart", "measure", "compare", "zoo", "python"}


@pytest.mark.parametrize("page", RUNNABLE, ids=name_of)
def test_the_blocks_that_are_marked_run(page, some_weights, tmp_path, monkeypatch, capsys):
    place = tmp_path / "here"
    place.mkdir()
    monkeypatch.chdir(place)
    if "mitozoo sample fields" not in "\n".join(
        line for block in blocks(page) if block.runs for line in lines_of(block)
    ):
        write_sample(place / "fields", count=2, size_px=256, seed=0)
    for block in blocks(page):
        if not block.runs:
            continue
        if block.language == "python":
            exec(compile(block.text, page.name, "exec"), {})
            continue
        for line in lines_of(block):
            with pytest.raises(SystemExit) as left:
                main(shlex.split(line)[1:])
            assert left.value.code == 0, f"{line}\n{capsys.readouterr().err}"
    assert capsys.readouterr().out

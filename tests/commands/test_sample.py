import json

import openslide
import pytest
from click.testing import CliRunner

from mitozoo.base.errors import OutputError
from mitozoo.commands import cli


def test_sample_draws_what_was_asked(tmp_path):
    folder = tmp_path / "demo"
    result = CliRunner().invoke(cli, ["sample", str(folder), "--count", "2", "--size-px", "96", "--seed", "5"])
    assert result.exit_code == 0, result.output
    assert result.output == f"Drew 2 fields with labels in {folder}. Synthetic: not for accuracy claims.\n"
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    fields = ["field_0001.png", "field_0002.png"]
    assert names == {"MIDOG.json", "README.txt", *fields, "masks/field_0001.mask.png", "masks/field_0002.mask.png"}
    images = json.loads((folder / "MIDOG.json").read_text())["images"]
    assert [(image["width"], image["height"]) for image in images] == [(96, 96)] * 2


def test_sample_keeps_what_is_there(tmp_path):
    arguments = ["sample", str(tmp_path), "--count", "1", "--size-px", "64"]
    assert CliRunner().invoke(cli, arguments).exit_code == 0
    before = (tmp_path / "field_0001.png").read_bytes()
    refused = CliRunner().invoke(cli, [*arguments, "--seed", "9"])
    assert isinstance(refused.exception, OutputError)
    assert str(refused.exception) == (
        f"Already there: {tmp_path / 'field_0001.png'} and 3 more. Choose another folder, or replace with --overwrite."
    )
    assert (tmp_path / "field_0001.png").read_bytes() == before
    assert CliRunner().invoke(cli, [*arguments, "--seed", "9", "--overwrite"]).exit_code == 0
    assert (tmp_path / "field_0001.png").read_bytes() != before


def test_sample_refuses_a_size_that_cannot_be_drawn(tmp_path):
    result = CliRunner().invoke(cli, ["sample", str(tmp_path), "--size-px", "10"])
    assert result.exit_code == 2 and "64<=x<=400000" in result.output


def test_sample_draws_a_slide(tmp_path):
    folder = tmp_path / "slides"
    size = ["--slide", "--size-px", "2200", "--height-px", "1400", "--tissue-mm2", "0.04", "--mitoses", "4"]
    result = CliRunner().invoke(cli, ["sample", str(folder), *size, "--seed", "5", "--seams"])
    assert result.exit_code == 0, result.output
    slide = folder / "slide_0001.tif"
    assert result.output.endswith(
        f"Drew the slide {slide} with labels beside it. Synthetic: not for accuracy claims.\n"
    )
    assert {path.name for path in folder.iterdir()} == {"MIDOG.json", "README.txt", "slide_0001.tif"}
    with openslide.OpenSlide(str(slide)) as opened:
        assert opened.dimensions == (2200, 1400)
    labels = json.loads((folder / "MIDOG.json").read_text())
    assert sum(note["category_id"] == 1 for note in labels["annotations"]) == 4


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--slide", "--count", "2"], "--count is for fields; --slide draws one slide. Leave one of them out."),
        (["--tissue-mm2", "2"], "--tissue-mm2 is for whole slides. Add --slide, or leave it out."),
        (["--mitoses", "0"], "--mitoses is for whole slides. Add --slide, or leave it out."),
        (["--seams"], "--seams is for whole slides. Add --slide, or leave it out."),
        (["--size-px", "20000"], "A field has at most 16384 px a side. For a larger picture add --slide."),
    ],
)
def test_sample_refuses_options_that_do_not_go_together(tmp_path, arguments, text):
    result = CliRunner().invoke(cli, ["sample", str(tmp_path / "s"), *arguments])
    assert result.exit_code == 2 and text in " ".join(result.output.split())
    assert not (tmp_path / "s").exists()

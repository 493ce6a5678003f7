import pytest
from click.testing import CliRunner

from mitozoo.base.errors import LabelError, OutputError
from mitozoo.commands import cli
from mitozoo.commands.data import convert
from mitozoo.data import formats
from mitozoo.data.synthetic import write_sample
from mitozoo.export.labels import TARGETS


def run(*words):
    return CliRunner().invoke(cli, ["data", "convert", *map(str, words)])


def table(path, rows):
    path.write_text("image,x_px,y_px,label,labelled\n" + rows)
    return path


def test_the_choices_are_those_that_are_written():
    assert convert._TARGETS == tuple(TARGETS)


def test_a_conversion_says_what_it_wrote_and_what_it_could_not_carry(tmp_path):
    rows = "a.png,1,1,mf,\na.png,2,2,atypical,\na.png,3,3,look-alike,\na.png,4,4,eosinophil,\nb.png,,,,\nc.png,,,,no\n"
    source = table(tmp_path / "points.csv", rows)
    result = run(source, "--to", "geojson", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert result.output.splitlines() == [
        "3 of 3 images are not there: only their labels were read.",
        "1 images are unlabelled, as the table says: not counted as negative.",
        f"3 images, 2 mitotic figures (1 of them atypical), 1 look-alikes, 1 other cells (eosinophil) written to "
        f"{tmp_path / 'out'}.",
        "geojson does not carry: 1 unlabelled images (they get no file).",
        "QuPath drops when it exports a file again: case, spacing, domain, excluded places.",
        f"3 images are not there: put them into {tmp_path / 'out'} or into {tmp_path / 'out' / 'images'}.",
    ]


def test_drawn_fields_and_nothing_to_add(tmp_path):
    write_sample(tmp_path / "fields", count=2, size_px=256, seed=1)
    before = formats.read(tmp_path / "fields")
    out = tmp_path / "labels.json"
    result = run(tmp_path / "fields", "--to", "coco", "--out", out, "--um-per-px", "0.5")
    figures, others = before.count("mitotic_figure"), before.count("non_mitotic")
    assert result.output.splitlines()[1:] == [
        f"2 images, {figures} mitotic figures, {others} look-alikes written to {out}."
    ]
    after = formats.read(out)
    assert [field.cells for field in after.fields] == [field.cells for field in before.fields]
    assert {field.um_per_px for field in after.fields} == {0.5}


def test_many_notes_are_cut(tmp_path):
    rows = "".join(f"{n}.png,1,1,mf,\n{n}.png,1,1,mf,\n" for n in range(12))
    result = run(table(tmp_path / "points.csv", rows), "--to", "csv", "--out", tmp_path / "new.csv")
    lines = result.output.splitlines()
    # Twelve notes of doubles and one of missing images.
    assert lines[7:9] == ["7.png: 1 point was listed twice, kept once.", "… and 5 more notes of this kind."]


def test_the_format_may_have_to_be_named_and_files_stay(tmp_path):
    write_sample(tmp_path / "fields", count=1, size_px=128, seed=1)
    assert run(tmp_path / "fields", "--to", "csv", "--out", tmp_path / "fields" / "points.csv").exit_code == 0
    unclear = run(tmp_path / "fields", "--to", "coco", "--out", tmp_path / "c.json")
    assert str(unclear.exception).endswith("could be midog or points_csv. Say which with --data-format.")
    words = (tmp_path / "fields", "--data-format", "points_csv", "--to", "coco", "--out", tmp_path / "c.json")
    assert run(*words).exit_code == 0
    assert isinstance(run(*words).exception, OutputError)
    assert run(*words, "--overwrite").exit_code == 0


@pytest.mark.parametrize("words", [("--to", "yolo", "--out", "x"), ("--to", "csv"), ("--out", "x.csv")])
def test_wrong_usage(tmp_path, words):
    assert run(tmp_path, *words).exit_code == 2


def test_bad_labels_write_nothing(tmp_path):
    source = table(tmp_path / "points.csv", "a.png,nan,1,mf,\n")
    result = run(source, "--to", "csv", "--out", tmp_path / "new.csv")
    assert isinstance(result.exception, LabelError) and not (tmp_path / "new.csv").exists()

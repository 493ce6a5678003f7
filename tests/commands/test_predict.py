"""`mitozoo predict` from end to end, with weights set by hand (see painted.py)."""

import csv
import errno
import json
import os
import shlex
import subprocess
import sys

import cv2
import numpy as np
import painted
import pytest
from PIL import Image as PillowImage

from mitozoo.api import predicting, searching
from mitozoo.base import files
from mitozoo.commands import main

NOT_PLAUSIBLE = (
    "A spacing of {} µm per pixel is not plausible (0.05 to 20). Give the true one with --um-per-px (0.25 is usual at "
    "40x)."
)


@pytest.fixture
def predict(painted_zoo, tmp_path, capsys):
    """Run `mitozoo predict … --model colour --out found`; exit code, output and error output."""

    def run(*arguments, out=tmp_path / "found", model="colour"):
        with pytest.raises(SystemExit) as left:
            main(["predict", *map(str, arguments), "--model", model, "--out", str(out)])
        printed = capsys.readouterr()
        return left.value.code, printed.out, printed.err

    return run


@pytest.fixture
def field(tmp_path):
    """A field of 512 x 512 px at 0.25 µm with a red cell at x 200, y 150 and a green one at x 400, y 330."""
    return painted.save(tmp_path / "images" / "field.png", spots())


def spots():
    image = painted.spotted([(200, 150)])
    image[298:362, 368:432] = painted.GREEN
    return image


@pytest.fixture
def never_loaded(monkeypatch):
    """What is checked before any work is checked before the model is loaded."""

    def fail(*args):
        raise AssertionError("the model was loaded")

    monkeypatch.setattr(predicting, "load_all", fail)


def table(path):
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream))


def everything(folder):
    """All files but those that a run keeps for itself until it is done."""
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    return sorted(name for name in names if not name.startswith(".mitozoo-"))


def test_a_field_with_two_mitotic_figures(predict, field, tmp_path):
    code, out, err = predict(field)
    assert code == 0
    assert out == f"2 mitotic figures in 1 image, 0.02 mm² of tissue.\nResults: {tmp_path / 'found'}\n"
    assert err == "No spacing in 1 of 1 image: 0.25 µm per pixel was assumed. Give it with --um-per-px.\n"
    rows = table(tmp_path / "found" / "detections.csv")
    found = sorted((float(row["x_px"]), float(row["y_px"]), row["label"]) for row in rows)
    assert [label for _, _, label in found] == ["mitotic_figure", "atypical_mitotic_figure"]
    for (x, y, _), (true_x, true_y) in zip(found, [(200, 150), (400, 330)], strict=True):
        assert np.hypot(x - true_x, y - true_y) < 10
    (row,) = table(tmp_path / "found" / "summary.csv")
    assert (row["image"], row["mitotic_figures"], row["atypical"], row["status"]) == ("field.png", "2", "1", "ok")
    names = ["detections.csv", "doubtful.csv", "field.png.geojson", "field.png.overlay.png", "report.html", "run.json"]
    assert everything(tmp_path / "found") == [*names, "summary.csv"]


def test_run_json_says_all_that_it_takes_to_run_again(predict, field, tmp_path, painted_zoo):
    predict(field, "--um-per-px", "0.24", "--batch-size", "64", "--format", "csv,coco", "--hotspot-mm2", "1")
    run = json.loads((tmp_path / "found" / "run.json").read_text())
    given = ["predict", str(field), "--um-per-px", "0.24", "--batch-size", "64", "--format", "csv,coco"]
    given += ["--hotspot-mm2", "1", "--model", "colour", "--out", str(tmp_path / "found")]
    assert run["command"] == "mitozoo " + shlex.join(given)
    manifest = json.loads((painted_zoo / "colour" / "manifest.json").read_text())
    assert (run["model"], run["architecture"], run["weights_sha256"]) == (
        "colour",
        "cnn12",
        manifest["weights"]["sha256"],
    )
    assert (run["threshold"], run["um_per_px_flag"], run["model_um_per_px"]) == (0.5, 0.24, 0.25)
    assert (run["decoder"], run["formats"], run["hotspot_mm2"]) == ({"batch_size": 64}, ["csv", "coco"], 1)
    assert (run["images"], run["failed"], run["spacing_sources"]) == (1, 0, {"flag": 1})
    assert set(run["versions"]) >= {"mitozoo", "tensorflow", "keras", "numpy", "opencv", "python"}
    assert run["seconds"] > 0 and run["started"].endswith("+00:00")


def bad_files(folder):
    """Names of bad images, and what their rows say."""
    whole = painted.save(folder / "cut.png", np.random.default_rng(0).integers(0, 255, (90, 90, 3), np.uint8))
    content = whole.read_bytes()
    (folder / "cut.png").write_bytes(content[: len(content) // 2])
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.png").write_text("not an image")
    (folder / "huge.png").write_bytes(painted.png_header(60_000, 60_000))
    again = "Copy or download it again."
    return {
        "cut.png": f"{folder / 'cut.png'} is cut off: its end is missing. {again}",
        "empty.png": f"{folder / 'empty.png'} is empty (0 bytes). Give an image or leave this file out.",
        "text.png": f"{folder / 'text.png'} is not a PNG, JPEG, TIFF or BMP. Give an image or leave this file out.",
        "huge.png": (
            f"{folder / 'huge.png'} is 60000 x 60000 px (10.8 GB), more than the 400 million pixels that are read "
            "at once. Cut it into tiles or save it as a pyramidal slide (.svs or tiled .tif), which is read piece by "
            "piece."
        ),
    }


def test_bad_images_never_stop_the_good_ones(predict, field, tmp_path):
    said = bad_files(field.parent)
    code, out, err = predict(field.parent)
    assert code == 1
    assert out.startswith("2 mitotic figures in 1 image, ")
    lines = err.splitlines()
    assert lines[-1] == "4 of 5 images failed."
    assert lines[1:-1] == [f"Failed: {name}: {said[name]}" for name in sorted(said)]
    rows = {row["image"]: row["status"] for row in table(tmp_path / "found" / "summary.csv")}
    assert rows == {"field.png": "ok", **said}
    assert json.loads((tmp_path / "found" / "run.json").read_text())["failed"] == 4


def test_one_of_three_images_failed(predict, field):
    painted.save(field.parent / "other.png", painted.flat())
    (field.parent / "bad.png").write_bytes(b"")
    code, _, err = predict(field.parent)
    assert (code, err.splitlines()[-1]) == (1, "1 of 3 images failed.")


def test_only_a_bad_image(predict, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"")
    code, out, err = predict(tmp_path / "bad.png")
    assert code == 1 and out.startswith("0 mitotic figures in 0 images, 0.00 mm² of tissue.\n")
    assert err.splitlines()[-1] == "1 of 1 image failed."


def error_of(outcome):
    code, out, err = outcome
    assert (code, out) == (2, "") and err.startswith("Error: ") and err.count("\n") == 1
    return err.removeprefix("Error: ").removesuffix("\n")


def test_a_folder_without_images(predict, tmp_path, never_loaded):
    (tmp_path / "none").mkdir()
    assert error_of(predict(tmp_path / "none")) == (
        f"No image in {tmp_path / 'none'} (looked for .png, .jpg, .jpeg, .tif, .tiff, .bmp, .svs, .ndpi, .mrxs, .scn, "
        ".bif, .vms, .vmu, .svslide, .dcm). Give another folder or an image file."
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--um-per-px", "0"], NOT_PLAUSIBLE.format("0")),
        (["--um-per-px", "nan"], NOT_PLAUSIBLE.format("nan")),
        (["--um-per-px", "-1"], NOT_PLAUSIBLE.format("-1")),
        (["--um-per-px", "40"], NOT_PLAUSIBLE.format("40")),
        (["--threshold", "2"], "--threshold is a score between 0 and 1, got 2."),
        (["--batch-size", "0"], "--batch-size must be 1 or more, got 0."),
        (["--limit-memory", "10"], "--limit-memory 10 is not enough: the least that works is 928 MB."),
        (["--hotspot-mm2", "nan"], "--hotspot-mm2 is an area above 0, got nan."),
        (["--format", "csv,geojsn"], "No output format named 'geojsn'. Did you mean 'geojson'?"),
    ],
)
def test_settings_without_sense(predict, field, tmp_path, never_loaded, arguments, message):
    assert error_of(predict(field, *arguments)) == message
    assert not (tmp_path / "found").exists()


def test_a_map_that_the_model_does_not_give(predict, field, never_loaded):
    assert "mask" in error_of(predict(field, "--format", "mask"))


def test_a_path_that_does_not_exist(predict, field, never_loaded):
    wrong = field.with_name("feild.png")
    assert error_of(predict(wrong)) == f"No such file or folder: {wrong}. Did you mean 'field.png'?"


def test_an_unknown_model(predict, field):
    assert error_of(predict(field, model="color")) == "No zoo entry named 'color'. Did you mean 'colour'?"


def test_weights_with_another_hash(predict, field, painted_zoo):
    path = painted_zoo / "colour" / "colour.weights.h5"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    message = error_of(predict(field))
    assert message.startswith(f"The bundled weights {path} were changed or damaged: their SHA-256 is ")
    assert message.endswith(". Restore the file from the repository, or install mitozoo again.")


def test_results_are_kept(predict, field, tmp_path, monkeypatch):
    assert predict(field)[0] == 0
    before = {name: (tmp_path / "found" / name).read_bytes() for name in everything(tmp_path / "found")}
    with monkeypatch.context() as patch:
        patch.setattr(predicting, "load_all", None)
        assert error_of(predict(field)) == (
            f"{tmp_path / 'found' / 'detections.csv'} exists already. Choose another --out, or add --overwrite to "
            "replace it."
        )
    assert {name: (tmp_path / "found" / name).read_bytes() for name in everything(tmp_path / "found")} == before
    painted.save(field, painted.flat())
    code, out, _ = predict(field, "--overwrite")
    assert code == 0 and out.startswith("0 mitotic figures in 1 image")
    assert table(tmp_path / "found" / "detections.csv") == []


def test_a_stopped_run_has_no_run_json_of_the_one_before(predict, field, tmp_path, monkeypatch):
    painted.save(field.parent / "other.png", painted.flat())
    assert predict(field.parent)[0] == 0
    write = predicting.Counter  # what is called for the record, after the last image
    monkeypatch.setattr(predicting, "Counter", lambda *args: (_ for _ in ()).throw(KeyboardInterrupt()))
    code, out, err = predict(field.parent, "--overwrite")
    monkeypatch.setattr(predicting, "Counter", write)
    assert (code, out) == (130, "")
    assert err == (
        f"\nStopped. The files of 2 finished images are in {tmp_path / 'found'}, without the tables of the run. The "
        "same command with --resume goes on.\n"
    )
    assert not (tmp_path / "found" / "run.json").exists()


def test_stopped_before_the_first_image(predict, field, monkeypatch):
    def stop(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(predicting, "load_all", stop)
    assert predict(field) == (130, "", "\nStopped. No image was finished.\n")


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.ENOSPC, "the disk is full; free some space and run again"),
        (errno.EROFS, "the disk is read-only; choose another --out"),
    ],
)
@pytest.mark.parametrize("good", [0, 1, 2, 4])
def test_a_disk_that_takes_no_more(predict, field, tmp_path, monkeypatch, number, reason, good):
    # The first file that is moved to its place is the probe before the work.
    plain, moved = os.replace, []

    def replace(source, target):
        if len(moved) == good:
            raise OSError(number, os.strerror(number))
        moved.append(target)
        plain(source, target)

    monkeypatch.setattr(files.os, "replace", replace)
    message = error_of(predict(field, "--um-per-px", "0.25"))
    assert message.startswith(f"Cannot write {tmp_path / 'found'}") and message.endswith(f": {reason}.")
    own = [path.name for path in map(type(tmp_path), moved[1:]) if ".mitozoo-journal" not in path.parts]
    assert everything(tmp_path / "found") == sorted(own)


def test_out_is_a_file(predict, field, tmp_path, never_loaded):
    (tmp_path / "found").write_text("mine")
    assert error_of(predict(field)) == (
        f"Cannot write into {tmp_path / 'found'}: it is a file, not a folder. Choose another --out."
    )


def test_outputs_stay_inside_out(predict, field, tmp_path, never_loaded):
    painted.save(tmp_path / "images" / "sub" / "a.png", painted.flat())
    (tmp_path / "found").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "found" / "sub").symlink_to(tmp_path / "elsewhere")
    assert error_of(predict(tmp_path / "images")) == (
        f"sub/a.png.geojson would be written outside {tmp_path / 'found'}. Rename it and run again."
    )
    assert everything(tmp_path / "elsewhere") == []


def test_strange_names_stay_inside_out(predict, tmp_path):
    for name in ("a b.png", "ümlaut.png", "..hidden.png", "con: *?.png", "-x.png"):
        painted.save(tmp_path / "images" / "..sub" / name, painted.flat(width=70, height=70)) if name[
            0
        ] != "." else None
    painted.save(tmp_path / "images" / "plain" / "a b.png", painted.flat(width=70, height=70))
    code, _, _ = predict(tmp_path / "images" / "plain", tmp_path / "images" / "..sub", "--format", "geojson")
    assert code == 0
    names = everything(tmp_path / "found")
    assert names == sorted(
        ["-x.png.geojson", "con_ __.png.geojson", "..sub/a b.png.geojson", "plain/a b.png.geojson", "run.json"]
        + ["ümlaut.png.geojson"]
    )


def encode(path, mode, image):
    picture = PillowImage.fromarray(image)
    (picture.convert(mode) if mode else picture).save(path)
    return path


def test_inputs_of_every_kind_and_what_is_said_of_them(predict, tmp_path):
    folder = tmp_path / "kinds"
    folder.mkdir()
    image = spots()
    assert cv2.imwrite(str(folder / "deep.png"), image[..., ::-1].astype(np.uint16) * 257)
    encode(folder / "grey.png", "L", image)
    encode(folder / "rgba.png", "RGBA", image)
    encode(folder / "cmyk.tif", "CMYK", image)
    code, out, err = predict(folder)
    assert code == 0
    assert sorted(err.splitlines()[1:]) == [
        "Note (1 image): 16-bit samples were scaled to 8 bits by their full range (65535 became 255).",
        "Note (1 image): CMYK was converted to RGB.",
        "Note (1 image): Grey was converted to RGB.",
        "Note (1 image): Transparency was laid on white.",
    ]
    counts = {row["image"]: row["mitotic_figures"] for row in table(tmp_path / "found" / "summary.csv")}
    # In grey all three classes are equally likely: 2/3 of a mitotic figure everywhere.
    assert {name: counts[name] for name in ("deep.png", "rgba.png", "cmyk.tif")} == {
        "deep.png": "2",
        "rgba.png": "2",
        "cmyk.tif": "2",
    }


@pytest.mark.parametrize("model", ["colour", "stn"])
def test_images_of_strange_shapes(predict, tmp_path, model):
    for width, height in ((1, 1), (3000, 5), (60, 90)):
        painted.save(tmp_path / "shapes" / f"{width}x{height}.png", painted.flat(painted.RED, width, height))
    code, _, err = predict(tmp_path / "shapes", "--threshold", "0.2", model=model)
    assert code == 0, err
    rows = table(tmp_path / "found" / "summary.csv")
    assert [(row["image"], row["status"]) for row in rows] == [
        (n, "ok") for n in ("1x1.png", "3000x5.png", "60x90.png")
    ]


def test_an_image_that_is_too_coarse_to_be_true(predict, tmp_path):
    # 2540 pixels an inch: a scanner's default, not a microscope's 10 µm.
    PillowImage.fromarray(painted.flat(width=2500, height=2000)).save(tmp_path / "a.png", dpi=(2540, 2540))
    code, _, err = predict(tmp_path / "a.png")
    assert code == 1
    assert err.splitlines()[0] == (
        "Failed: a.png: At 10 µm per pixel the image covers 100000 x 80000 px of 0.25 µm, more than the 400 million "
        "that are searched at once. Give its true spacing with --um-per-px, or cut it into tiles."
    )


def test_the_masks_of_a_sample_are_not_searched(predict, tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["sample", str(tmp_path / "drawn"), "--count", "2", "--size-px", "128"])
    assert "masks/field_0001.mask.png" in everything(tmp_path / "drawn")
    capsys.readouterr()
    assert predict(tmp_path / "drawn", "--um-per-px", "0.25")[0] == 0
    rows = table(tmp_path / "found" / "summary.csv")
    assert [row["image"] for row in rows] == ["field_0001.png", "field_0002.png"]


@pytest.mark.parametrize("place", ["images", "images/found"])
def test_results_among_the_images_are_not_searched(predict, field, tmp_path, place):
    first = predict(field.parent, out=tmp_path / place)
    second = predict(field.parent, "--overwrite", out=tmp_path / place)
    assert first == second and first[0] == 0 and "in 1 image," in first[1]


def test_what_was_in_the_folder_before_changes_nothing(predict, field, tmp_path):
    painted.save(field.parent / "a.png", painted.spotted([(100, 300)]))
    assert predict(field.parent)[0] == 0
    assert predict(field.parent / "a.png", out=tmp_path / "second")[0] == 0
    assert predict(field.parent, "--overwrite", out=tmp_path / "second")[0] == 0
    for name in ("detections.csv", "a.png.overlay.png", "field.png.overlay.png"):
        assert (tmp_path / "found" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


def test_no_image_but_those_in_out(predict, tmp_path, never_loaded):
    painted.save(tmp_path / "images" / "found" / "a.png", painted.flat())
    out = tmp_path / "images" / "found"
    assert error_of(predict(tmp_path / "images", out=out)) == (
        f"All images are in {out}, where the results would go. Choose another --out."
    )


def test_files_appear_as_the_run_goes(predict, field, tmp_path, monkeypatch):
    for name in ("b.png", "c.png"):
        painted.save(field.parent / name, painted.flat())
    seen = []
    plain = searching.progress_bar

    def watched(*args, **settings):
        bar = plain(*args, **settings)

        class Bar:
            def __enter__(self):
                tell = bar.__enter__()
                return lambda done, note="": (seen.append(everything(tmp_path / "found")), tell(done, note))

            def __exit__(self, *error):
                return bar.__exit__(*error)

        return Bar()

    monkeypatch.setattr(searching, "progress_bar", watched)
    assert predict(field.parent, "--format", "csv,geojson")[0] == 0
    assert seen == [[f"{name}.png.geojson" for name in ("b", "c", "field")[:count]] for count in (1, 2, 3)]


def test_a_bug_in_one_image_is_not_swallowed(known_points, field, tmp_path):
    known_points.scores = [0.9]
    with pytest.raises(ValueError):
        main(["predict", str(field), "--model", "colour", "--out", str(tmp_path / "found")])


def test_nothing_but_its_own_lines_is_said(tmp_path, painted_zoo):
    path = painted.save(tmp_path / "a.png", painted.flat())
    code = (
        "import sys, pathlib, mitozoo.models.zoo as zoo, mitozoo.commands as commands; "
        f"zoo.folder = lambda: pathlib.Path({str(painted_zoo)!r}); commands.main(sys.argv[1:])"
    )
    arguments = ["predict", str(path), "--model", "stn", "--out", str(tmp_path / "found"), "--um-per-px", "0.25"]
    clean = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, env=clean)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith(f"Results: {tmp_path / 'found'}\n")


def test_resume_searches_only_what_is_new_and_writes_all(predict, field, tmp_path, monkeypatch):
    from mitozoo.inference.predictor import Predictor

    assert predict(field.parent, "--um-per-px", "0.25")[0] == 0
    first = (tmp_path / "found" / "detections.csv").read_text()
    painted.save(field.parent / "new.png", painted.flat())
    searched, plain = [], Predictor.field

    def spy(self, name, *args, **settings):
        searched.append(name)
        return plain(self, name, *args, **settings)

    monkeypatch.setattr(Predictor, "field", spy)
    assert predict(field.parent, "--um-per-px", "0.25", "--resume")[0] == 0
    assert searched == ["new.png"]
    assert (tmp_path / "found" / "detections.csv").read_text() == first
    rows = (tmp_path / "found" / "summary.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows[1:]] == ["field.png", "new.png"]
    # Other settings are another run.
    assert error_of(predict(field.parent, "--um-per-px", "0.25", "--threshold", "0.9", "--resume")) == (
        f"The run in {tmp_path / 'found'} had other settings, weights or another version. Resume with the same "
        "command, or start anew with --overwrite and without --resume."
    )

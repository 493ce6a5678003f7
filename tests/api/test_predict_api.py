"""`mitozoo.predict`, `build` and `load` as Python functions."""

import inspect
import weakref

import painted
import pytest

import mitozoo
from mitozoo.base.errors import InputError, UnknownNameError
from mitozoo.base.points import Detection
from mitozoo.data.images import read_image
from mitozoo.inference import many
from mitozoo.inference.result import FieldResult
from mitozoo.models import zoo


def test_results_are_typed_and_in_order(painted_zoo, tmp_path):
    for name in ("b.png", "a.png", "sub/a.png"):
        painted.save(tmp_path / "images" / name, painted.spotted([(200, 150)], width=300, height=256))
    results = mitozoo.predict(tmp_path / "images", model="colour")
    assert [type(result) for result in results] == [FieldResult] * 3
    assert [result.name for result in results] == ["a.png", "b.png", "sub/a.png"]
    first = results[0]
    assert (first.width_px, first.height_px, first.um_per_px, first.spacing_source) == (300, 256, 0.25, "assumed")
    assert first.ok and first.status == "ok" and first.seconds > 0 and len(first.detections) == 1
    assert isinstance(first.detections[0], Detection) and 0.5 <= first.detections[0].score <= 1
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file() and "zoo" not in path.parts) == [
        "a.png", "a.png", "b.png",
    ]  # fmt: skip


def test_one_path_as_text_and_several(known_points, tmp_path):
    paths = [painted.save(tmp_path / f"{name}.png", painted.flat()) for name in "ab"]
    assert len(mitozoo.predict(str(paths[0]), model="colour")) == 1
    assert len(mitozoo.predict(paths, model="colour")) == 2
    assert len(mitozoo.predict([*paths, tmp_path / "a.png"], model="colour")) == 2


def test_a_failed_image_says_why(known_points, tmp_path):
    painted.save(tmp_path / "images" / "good.png", painted.flat())
    (tmp_path / "images" / "bad.png").write_bytes(b"")
    bad, good = mitozoo.predict(tmp_path / "images", model="colour")
    assert (bad.ok, bad.detections, bad.um_per_px) == (False, (), None)
    assert bad.status == f"{tmp_path / 'images' / 'bad.png'} is empty (0 bytes). Give an image or leave this file out."
    assert good.ok and len(good.detections) == 1 and len(good.below) == 1


def test_each_result_is_told(known_points, tmp_path):
    paths = [painted.save(tmp_path / f"{name}.png", painted.flat()) for name in "ab"]
    told = []
    results = mitozoo.predict(paths, model="colour", on_result=told.append)
    assert told == results


@pytest.mark.parametrize("kept", [(), ("overlay", "report")])
def test_at_most_two_images_are_in_memory(known_points, monkeypatch, tmp_path, kept):
    images, most = [], []

    def counted(path, **settings):
        image = read_image(path, **settings)
        images.append(weakref.ref(image.pixels))
        most.append(sum(item() is not None for item in images))
        return image

    paths = [painted.save(tmp_path / f"{name}.png", painted.flat()) for name in "abcdef"]
    monkeypatch.setattr(many, "read_image", counted)
    mitozoo.predict(paths, model="colour", out=tmp_path / "out" if kept else None, formats=kept)
    assert len(most) == 6 and max(most) <= 2


def test_no_image():
    with pytest.raises(InputError) as caught:
        mitozoo.predict([])
    assert str(caught.value) == "No image was given. Name image files or folders."


def test_weights_of_a_file(painted_weights, painted_zoo, tmp_path):
    path = painted.save(tmp_path / "a.png", painted.spotted([(200, 150)]))
    (result,) = mitozoo.predict(path, model="cnn12", weights=str(painted_weights / "colour.weights.h5"))
    assert len(result.detections) == 1
    loaded = mitozoo.load("cnn12", painted_weights / "colour.weights.h5")
    assert (loaded.name, loaded.threshold, loaded.manifest) == ("cnn12", None, None)


def test_load_and_build(painted_zoo):
    loaded = mitozoo.load("colour")
    assert (loaded.name, loaded.threshold, loaded.spec.name) == ("colour", painted.THRESHOLD, "cnn12")
    with pytest.raises(UnknownNameError) as caught:
        mitozoo.build("cnn21")
    assert str(caught.value) == "No model named 'cnn21'. Did you mean 'cnn12'?"
    assert mitozoo.build("cnn12", classes=2).count_params() == mitozoo.build("cnn12").count_params() - 101


def test_the_public_names_are_these_five():
    assert mitozoo.__all__ == ["build", "evaluate", "export", "load", "predict"]
    public = {name for name in dir(mitozoo) if not name.startswith("_")}
    # The package export is the function of that name, too.
    modules = {name for name in public - {"export"} if inspect.ismodule(getattr(mitozoo, name))}
    assert public - modules - {"Any", "annotations"} == set(mitozoo.__all__)


BUNDLED = zoo.folder() / "stn" / "manifest.json"


@pytest.mark.skipif(not BUNDLED.exists(), reason="zoo/stn is not in this checkout yet")
def test_the_bundled_stn_finds_what_was_drawn(tmp_path):
    from mitozoo.data.synthetic import write_sample

    write_sample(tmp_path / "drawn", 2, 1024, 7)
    report = mitozoo.evaluate(tmp_path / "drawn", model="stn")
    assert report.counts.tp + report.counts.fn >= 8
    assert report.counts.recall >= 0.7 and report.counts.precision >= 0.5

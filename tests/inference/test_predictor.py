"""From pixels to points in the file's own pixels, with a network that is replaced or set by hand."""

import dataclasses
import math

import cv2
import numpy as np
import painted
import pytest

from mitozoo.base.errors import InputError
from mitozoo.base.points import ATYPICAL, MITOTIC_FIGURE
from mitozoo.data.images import Image
from mitozoo.inference import predictor as module
from mitozoo.inference.decoders import Candidates
from mitozoo.inference.many import predict_images
from mitozoo.inference.predictor import Predictor, with_threshold
from mitozoo.inference.resampling import at_spacing
from mitozoo.models import zoo


def points(detections):
    return [(item.x_px, item.y_px) for item in detections]


@pytest.mark.parametrize(
    ("um_per_px", "size", "decoded", "ratio"),
    [
        (0.25, (200, 160), (200, 160), 1.0),
        (0.2520, (200, 160), (200, 160), 1.0),
        (0.5, (200, 160), (400, 320), 2.0),
        (0.125, (200, 160), (100, 80), 0.5),
    ],
)
def test_points_come_back_in_the_files_own_pixels(known_points, um_per_px, size, decoded, ratio):
    found = Predictor(zoo.load("colour")).candidates(painted.flat(width=size[0], height=size[1]), um_per_px)
    assert known_points.shapes == [(decoded[1], decoded[0], 3)]
    # A pixel centre at i of the small image covers i * ratio to (i + 1) * ratio of the large one.
    np.testing.assert_allclose(found.xy, (known_points.xy + 0.5) / ratio - 0.5)


def test_sides_that_do_not_divide_keep_their_own_ratio(known_points):
    pixels, ratio = at_spacing(painted.flat(width=101, height=7), 0.2, 0.25)
    assert pixels.shape == (6, 81, 3)
    np.testing.assert_allclose(ratio, [81 / 101, 6 / 7])


def test_a_picture_drawn_at_half_the_resolution_gives_points_in_its_own_pixels(painted_zoo):
    fine = painted.spotted([(200, 150)])
    coarse = cv2.resize(fine, (256, 256), interpolation=cv2.INTER_AREA)
    search = Predictor(zoo.load("colour"))
    (here,), (there,) = (points(search.detections(image, at)) for image, at in ((fine, 0.25), (coarse, 0.5)))
    assert math.dist(here, (200, 150)) < 8
    assert math.dist(there, (99.75, 74.75)) < 4


def test_the_largest_picture_counts_at_the_models_spacing():
    with pytest.raises(InputError) as caught:
        at_spacing(painted.flat(width=2000, height=1500), 10.6, 0.25)
    assert str(caught.value) == (
        "At 10.6 µm per pixel the image covers 84800 x 63600 px of 0.25 µm, more than the 400 million that are "
        "searched at once. Give its true spacing with --um-per-px, or cut it into tiles."
    )


def test_a_resize_without_memory_is_a_memory_error(monkeypatch):
    def fail(*args, **settings):
        error = cv2.error("Failed to allocate 8000000000 bytes")
        error.code = cv2.Error.StsNoMem
        raise error

    monkeypatch.setattr(cv2, "resize", fail)
    with pytest.raises(MemoryError):
        at_spacing(painted.flat(), 0.5, 0.25)


def test_scores_labels_and_order(known_points, monkeypatch):
    # Score is the sum of both mitotic classes; the label the larger of the two; atypical its share of the score.
    rows = np.array([[0.5, 0.4, 0.1], [0.1, 0.3, 0.6], [0.5, 0.1, 0.4]])
    places = np.array([[9.0, 1.0], [5.0, 5.0], [2.0, 1.0]])
    search = Predictor(zoo.load("colour"))
    search.decoders = [lambda field: Candidates(places, rows)]
    found = search.detections(painted.flat(), 0.25)
    assert points(found) == [(5.0, 5.0), (2.0, 1.0), (9.0, 1.0)]
    assert [item.score for item in found] == pytest.approx([0.9, 0.5, 0.5])
    assert [item.label for item in found] == [ATYPICAL, ATYPICAL, MITOTIC_FIGURE]
    assert [item.atypical_score for item in found] == pytest.approx([0.6 / 0.9, 0.8, 0.2])


def test_a_model_without_atypical_says_nothing_of_it(known_points):
    loaded = zoo.load("colour")
    spec = dataclasses.replace(loaded.spec, classes=("non_mitotic", "mitotic_figure", "debris"))
    (first, _) = Predictor(dataclasses.replace(loaded, spec=spec)).detections(painted.flat(), 0.25)
    assert first.score == pytest.approx(0.9) and first.atypical_score is None


@pytest.mark.parametrize(("threshold", "cut"), [(None, None), (0.05, None), (0.01, 0.01), (0.0, 0.0)])
def test_a_low_threshold_lowers_the_decoders_cut(known_points, threshold, cut):
    Predictor(zoo.load("colour"), threshold=threshold)
    assert known_points.settings.get("cut") == cut


def test_threshold_splits_what_was_found(known_points):
    known_points.xy, known_points.scores = np.zeros((4, 2)) + np.arange(4)[:, None], [0.3, 0.5, 0.7, 0.499]
    result = Predictor(zoo.load("colour")).field("a", "a", Image(painted.flat()), None)
    assert [item.score for item in result.detections] == pytest.approx([0.7, 0.5])
    assert [item.score for item in result.below] == pytest.approx([0.499, 0.3])
    lower = with_threshold(result, 0.4)
    assert [len(lower.detections), len(lower.below)] == [3, 1]
    assert (result.um_per_px, result.spacing_source, result.width_px, result.height_px) == (0.25, "assumed", 200, 160)


@pytest.mark.parametrize(("um_per_px", "warns"), [(0.4, False), (0.41, True)])
def test_a_coarse_scan_is_said(known_points, um_per_px, warns):
    result = Predictor(zoo.load("colour")).field("a", "a", Image(painted.flat(), um_per_px=um_per_px), None)
    said = (
        "0.41 µm per pixel is coarser than the 0.25 that colour was trained at: expect missed mitotic figures. Use a "
        "40x scan."
    )
    assert result.notes == ((said,) if warns else ())


def run(search, paths):
    return [result for result, _ in predict_images(search, [(path.name, path) for path in paths])]


def test_the_order_of_the_images_does_not_matter(painted_zoo, tmp_path):
    search = Predictor(zoo.load("colour"))
    places = [[(100, 100)], [(300, 90), (80, 300)], [], [(200, 200)]]
    paths = [
        painted.save(tmp_path / f"{i}.png", painted.spotted(at, width=400, height=400)) for i, at in enumerate(places)
    ]
    forward, backward = run(search, paths), run(search, paths[::-1])
    assert [painted.without(item) for item in forward] == [painted.without(item) for item in backward[::-1]]
    assert [len(item.detections) for item in forward] == [1, 2, 0, 1]


@pytest.mark.parametrize("entry", ["colour", "stn"])
def test_the_batch_size_does_not_matter(painted_zoo, entry):
    field = painted.spotted([(100, 100), (250, 200)], width=330, height=280)
    found = []
    for batch_size in (1, 7, 1024):
        search = Predictor(zoo.load(entry), threshold=0.3, decoder_settings={"batch_size": batch_size})
        found.append(search.detections(field, 0.25))
    assert len(found[0]) >= 2
    for other in found[1:]:
        np.testing.assert_allclose(points(other), points(found[0]), atol=1e-3)
        np.testing.assert_allclose([i.score for i in other], [i.score for i in found[0]], atol=1e-5)


@pytest.mark.parametrize("entry", ["colour", "stn"])
@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 70), (130, 2), (64, 64), (3000, 5)])
def test_images_of_any_shape(painted_zoo, entry, width, height):
    search = Predictor(zoo.load(entry), threshold=0.0)
    for um_per_px in (0.25, 0.6, 0.1):
        for item in search.detections(painted.flat(painted.RED, width, height), um_per_px):
            assert -0.5 <= item.x_px <= width - 0.5 and -0.5 <= item.y_px <= height - 0.5


def test_a_bad_image_is_one_failed_result(known_points, tmp_path):
    good = painted.save(tmp_path / "good.png", painted.flat())
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"")
    results = run(Predictor(zoo.load("colour")), [good, bad, good, good])
    assert [item.ok for item in results] == [True, False, True, True]
    assert (results[1].name, results[1].width_px, results[1].um_per_px) == ("bad.png", 0, None)


def test_too_little_memory_fails_one_image(known_points, tmp_path, monkeypatch):
    import tensorflow as tf

    paths = [painted.save(tmp_path / f"{name}.png", painted.flat()) for name in "abc"]
    errors = iter([None, MemoryError(), tf.errors.ResourceExhaustedError(None, None, "OOM when allocating")])
    plain = module.tissue_mm2

    def count(*args):
        if error := next(errors):
            raise error
        return plain(*args)

    monkeypatch.setattr(module, "tissue_mm2", count)
    statuses = [item.status for item in run(Predictor(zoo.load("colour")), paths)]
    lack = "needs more memory than there is. Cut it into smaller fields."
    assert statuses == ["ok", f"{paths[1]} {lack}", f"{paths[2]} {lack}"]


def test_a_bug_is_not_swallowed(known_points, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "tissue_mm2", lambda *args: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        run(Predictor(zoo.load("colour")), [painted.save(tmp_path / "a.png", painted.flat())])

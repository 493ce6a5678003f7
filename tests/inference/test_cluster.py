"""A Ray cluster of two workers finds what this process finds, also when one of them dies."""

import cv2
import painted
import pytest
from painted import painted_weights, painted_zoo  # noqa: F401
from slide_files import tissue, write_slide

from mitozoo.base.errors import RecipeError
from mitozoo.inference import cluster, many
from mitozoo.inference.journal import RunJournal
from mitozoo.inference.session import Search, Settings
from mitozoo.inference.slide_search import search_slide
from mitozoo.models import zoo


@pytest.fixture
def slide(tmp_path):
    pixels = tissue(700, 900, (0, 0, 900, 700))
    for x, y in [(150, 150), (400, 300), (520, 520), (700, 200)]:
        cv2.circle(pixels, (x, y), 20, painted.RED, -1)
    return write_slide(tmp_path / "a.tif", pixels)


def same(one, other):
    return (one.detections, one.below, one.tissue_mm2, one.status) == (
        other.detections, other.below, other.tissue_mm2, other.status,
    )  # fmt: skip


def test_what_ray_finds_is_what_is_found_here(painted_zoo, slide, tmp_path, monkeypatch):  # noqa: F811
    ray = pytest.importorskip("ray")
    for module in (many, cluster):
        monkeypatch.setattr(module, "is_slide", lambda path: path.suffix == ".tif")
    cv2.imwrite(str(tmp_path / "b.png"), cv2.imread(str(slide))[:300, :300])
    (tmp_path / "c.png").write_bytes(b"nonsense")
    images = [("a.tif", slide), ("b.png", tmp_path / "b.png"), ("c.png", tmp_path / "c.png")]
    settings = Settings(um_per_px=0.25)
    here = [result for result, _ in Search(zoo.load("colour"), settings).images(images)]
    assert len(here[0].detections) >= 4 and len(here[1].detections) >= 1 and not here[2].ok

    there = cluster.RaySearch(zoo.load("colour"), settings, workers=2)
    assert there.mark() == Search(zoo.load("colour"), settings).mark()
    small = {"core_px": 256}
    whole, _ = search_slide(there.predictor, "a.tif", slide, 0.25, **small)
    died = []

    def kill(at):
        if at.tiles == 2:
            died.append(at)
            ray.kill(there.workers[0], no_restart=False)

    found, _ = search_slide(there.predictor, "a.tif", slide, 0.25, run_tiles=there._tiles, tell=kill, **small)
    assert died and same(found, whole)

    journal = RunJournal(tmp_path / "out", there.mark())
    results = list(there.images(images, journal=journal))
    assert all(same(one, result) for one, (result, _) in zip(here, results, strict=True))
    assert [view is not None for _, view in results] == [True, True, False]
    assert journal.image("b.png", images[1][1]).result.detections == here[1].detections
    assert not ray.is_initialized()


def test_without_ray_it_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(RecipeError) as error:
        cluster.ray_or_error()
    assert str(error.value) == '--engine ray needs Ray. Install it: pip install "mitozoo[ray]"'

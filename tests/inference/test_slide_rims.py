"""Tiles have as much around them as networks and decoders look at: where a tile begins changes nothing."""

from types import SimpleNamespace

import numpy as np
import pytest
from slide_files import Oracle

from mitozoo.data.synthetic.slide import write_slide
from mitozoo.inference.predictor import Predictor
from mitozoo.inference.slide_search import halo_for, search_slide
from mitozoo.models import zoo


@pytest.fixture(scope="module")
def slide(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn")
    return write_slide(folder, width_px=2400, height_px=1800, tissue_mm2=0.1, mitoses=12, look_alikes=30, seed=2)


@pytest.mark.parametrize(
    ("name", "reach_px"),
    [
        # Proposals within 128 px compete; one sees 64 px and gives way to others within 24.
        ("scout", 128 + 64 + 24),
        # Half a window of 128 px, a plateau of 64 px one and a half times, a step of 16.
        ("cnn12", 64 + 96 + 16),
    ],
)
def test_reach_by_hand(name, reach_px):
    predictor = Predictor(zoo.load(name))
    assert predictor.decoders[0].reach_px == reach_px
    assert predictor.reach_px == reach_px + 30


@pytest.mark.parametrize(("reach_px", "halo_px"), [(88, 128), (98, 128), (99, 192), (440, 512), (None, 256)])
def test_rims_are_the_next_step_of_the_grid(reach_px, halo_px):
    oracle = Oracle()
    oracle.decoders = [
        SimpleNamespace(reach_px=30),
        SimpleNamespace(**({} if reach_px is None else {"reach_px": reach_px})),
    ]
    assert halo_for(oracle) == halo_px


@pytest.mark.parametrize("name", ["scout", "cnn12"])
def test_where_tiles_begin_changes_nothing(slide, name):
    predictor = Predictor(zoo.load(name))
    every = []
    for shift in (0, 192):
        result, _ = search_slide(predictor, "a", slide, core_px=512, shift_px=shift)
        # Of places that are all alike, such as empty glass, any may stand for the others.
        found = [item for item in (*result.detections, *result.below) if item.score > 0.1]
        every.append(np.array(sorted((item.x_px, item.y_px, item.score) for item in found)))
    assert len(every[0]) > 10
    np.testing.assert_allclose(every[0], every[1], atol=1e-3)

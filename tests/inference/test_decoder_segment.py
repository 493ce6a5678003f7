"""Points from maps, with networks whose answers are known."""

import keras
import numpy as np
import pytest

from mitozoo.data.stain_normalisation import StainNormaliser
from mitozoo.inference.decoders.segment import Segment


class Dark(keras.layers.Layer):
    """A logit of 8 where a pixel is black, of -8 where it is white."""

    def call(self, pixels):
        return 8.0 - 16.0 * keras.ops.mean(pixels, axis=-1)


def one_map():
    field = keras.Input((None, None, 3))
    return keras.Model(field, {"mask": Dark()(field)})


def two_maps():
    """The concentric branch sees dark places, the strong one sees white places."""
    field = keras.Input((None, None, 3))
    dark = Dark()(field)
    zero = keras.ops.zeros_like(dark)
    return keras.Model(
        field, {"concentric": keras.ops.stack([zero, dark], -1), "strong": keras.ops.stack([dark, zero], -1)}
    )


def with_squares(*places, size=200, side=9, value=0):
    field = np.full((size, size, 3), 255, np.uint8)
    for x, y in places:
        field[y - side // 2 : y + side // 2 + 1, x - side // 2 : x + side // 2 + 1] = value
    return field


@pytest.mark.parametrize(("size", "tile_px"), [((96, 96), 96), ((20, 96), 96), ((20, 97), 160)])
def test_a_small_field_is_not_filled_up_with_its_reflections(size, tile_px):
    """Of a tile of 96 px over 96 px all but a rim is the field; one of 160 px would show it almost three times."""
    decoder, seen = Segment(one_map(), tile_px=160, small_px=96, overlap=0.0), []
    run = decoder._run
    decoder._run = lambda tiles: (seen.append(tiles.shape[1]), run(tiles))[1]
    assert decoder.maps(np.zeros((*size, 3), np.uint8)).shape == (*size, 1)
    assert seen == [tile_px]


def test_large_and_small_fields_go_through_one_decoder():
    """Bilinear up-sampling, as in SegMitos, cannot be traced for tiles of any size."""
    field = keras.Input((None, None, 3))
    small = keras.layers.AveragePooling2D(4)(Dark()(field)[..., None])
    mask = keras.layers.UpSampling2D(4, interpolation="bilinear")(small)[..., 0]
    decoder = Segment(keras.Model(field, {"mask": mask}), tile_px=128, small_px=64)
    for side in (200, 60, 64, 200, 30):
        assert decoder.maps(np.zeros((side, side, 3), np.uint8)).shape == (side, side, 1)


def test_a_square_is_found_at_its_middle_with_its_mean_chance():
    found = Segment(one_map(), tile_px=64, sigma_px=0.0)(with_squares((50, 70)))
    np.testing.assert_allclose(found.xy, [[50, 70]], atol=1e-4)
    np.testing.assert_allclose(found.probabilities, [[1 / (1 + np.exp(8)), 1 / (1 + np.exp(-8))]], rtol=1e-4)


@pytest.mark.parametrize("shift", [0, 1, 15, 16, 31, 32, 63])
def test_a_cell_on_a_seam_is_found_once(shift):
    found = Segment(one_map(), tile_px=64)(with_squares((64 + shift, 96), (30, 150 - shift)))
    assert len(found.xy) == 2
    np.testing.assert_allclose(found.xy[np.argsort(found.xy[:, 0])], [[30, 150 - shift], [64 + shift, 96]], atol=1e-3)


def test_the_plates_of_a_telophase_count_once():
    field = with_squares((80, 80), (104, 80))
    assert len(Segment(one_map(), merge_px=30.0)(field).xy) == 1
    assert len(Segment(one_map(), merge_px=20.0)(field).xy) == 2


def test_small_blobs_are_left_out():
    field = with_squares((50, 50), side=5)
    assert len(Segment(one_map(), sigma_px=0.0, min_area_px=25)(field).xy) == 1
    assert len(Segment(one_map(), sigma_px=0.0, min_area_px=26)(field).xy) == 0


def test_otsu_invents_nothing_in_a_field_without_mitotic_figures():
    noise = np.random.default_rng(0).integers(180, 256, (150, 150, 3)).astype(np.uint8)
    assert len(Segment(one_map())(noise).xy) == 0
    # Chances of 0.2 to 0.4, which are far above the cut: only the floor keeps Otsu from dividing them.
    doubtful = np.random.default_rng(0).integers(130, 165, (150, 150, 3)).astype(np.uint8)
    assert len(Segment(one_map())(doubtful).xy) == 0
    assert len(Segment(one_map(), floor=0.01)(doubtful).xy) > 0
    assert len(Segment(one_map())(np.full((90, 90, 3), 200, np.uint8)).xy) == 0


def test_branches_are_weighed():
    field = with_squares((50, 50), value=0)
    field[field == 255] = 128  # Logits of about 0: both branches are undecided there.
    black = Segment(two_maps(), fusion=1.0, sigma_px=0.0, level=0.9)
    assert len(black(field).xy) == 1
    assert len(Segment(two_maps(), fusion=0.0, sigma_px=0.0, level=0.9)(field).xy) == 0
    mixed = Segment(two_maps(), fusion=0.75, sigma_px=0.0, level=0.6)(field)
    np.testing.assert_allclose(mixed.probabilities[:, 1], 0.75 / (1 + np.exp(-8)) + 0.25 / (1 + np.exp(8)), rtol=1e-4)


def test_kept_maps_serve_other_settings(monkeypatch):
    first, kept, field = Segment(one_map(), sigma_px=0.0), {}, with_squares((50, 70))
    first.kept = kept
    expected = first(field)
    second = Segment(one_map(), sigma_px=0.0, min_area_px=500)
    second.kept = kept
    monkeypatch.setattr(Segment, "maps", None)
    assert len(second(field).xy) == 0
    np.testing.assert_array_equal(first(field).xy, expected.xy)


def test_kept_blobs_are_of_their_own_level_and_fusion():
    field = with_squares((50, 50), value=0)
    field[field == 255] = 128
    kept = {}
    for settings in ({"fusion": 1.0, "level": 0.9}, {"fusion": 0.0, "level": 0.9}, {"fusion": 0.0, "level": 0.4}):
        alone, other = (Segment(two_maps(), sigma_px=0.0, floor=0.3, **settings) for _ in range(2))
        other.kept = kept
        for _ in range(2):
            np.testing.assert_array_equal(other(field).probabilities, alone(field).probabilities)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"overlap": 0.6}, "overlap must be between 0 and 0.5."),
        ({"fusion": 1.1}, "fusion must be between 0 and 1."),
        ({"score": "median"}, "score must be one of mean, highest."),
    ],
)
def test_settings_are_checked(settings, message):
    with pytest.raises(ValueError) as error:
        Segment(one_map(), **settings)
    assert str(error.value) == message


def test_a_model_without_maps_is_refused():
    field = keras.Input((None, None, 3), name="f")
    model = keras.Model(field, {"logits": Dark()(field)}, name="other")
    with pytest.raises(ValueError, match="other has no output that is a map, only logits."):
        Segment(model)


@pytest.mark.parametrize("kind", ["macenko", "reinhard"])
def test_a_field_goes_through_the_normaliser_that_the_model_learnt_with(kind):
    generator = np.random.default_rng(2)
    density = generator.random((120, 120, 2)) @ np.array([[0.6, 0.72, 0.35], [0.2, 0.85, 0.49]])
    field = np.clip(256 * np.exp(-density) - 1, 0, 255).astype(np.uint8)
    normaliser = StainNormaliser.standard(kind)
    found = Segment(one_map(), normaliser=normaliser.as_json()).maps(field)
    plain = Segment(one_map())
    np.testing.assert_array_equal(found, plain.maps(normaliser(field)))
    assert np.abs(found - plain.maps(field)).max() > 0.01

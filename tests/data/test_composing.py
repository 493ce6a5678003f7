"""Composed fields: what is placed, where, and that nothing else changes."""

import csv
import json

import cv2
import numpy as np
import pytest
from composing_parts import patch, tissue, write_painted, write_patches

from mitozoo.base.errors import DataError, LabelError, OutputError
from mitozoo.base.points import MITOTIC_FIGURE, NON_MITOTIC
from mitozoo.data import formats
from mitozoo.data.composing.blending import WINDOW_PX, blended, densities, outline, restained, sharpened_like
from mitozoo.data.composing.cutouts import CONTROL_ROOM_PX, patch_cutouts
from mitozoo.data.composing.folder import ComposeSettings, compose_folder, of_part
from mitozoo.data.composing.ground import APART_PX, Ground
from mitozoo.data.field_masks import field_mask
from mitozoo.data.formats.icpr12_painted import painted_mask
from mitozoo.data.stain import optical_density

SETTINGS = ComposeSettings(per_mm2=500, seed=3)


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sources")
    return formats.read(write_patches(folder / "patches")), formats.read(write_painted(folder / "painted"))


@pytest.fixture(scope="module")
def composed(sources, tmp_path_factory):
    out = tmp_path_factory.mktemp("composed") / "out"
    told = []
    counts = compose_folder([sources[0]], [sources[1]], out, SETTINGS, tell=lambda *item: told.append(item), note="x")
    return out, counts, told


def rows_of(out):
    with (out / "cells.csv").open() as stream:
        return list(csv.DictReader(stream))


def pixels_of(out, name, kind="images"):
    return cv2.imread(str(out / kind / name))[..., ::-1]


def test_an_outline_covers_what_it_must_and_reaches_no_farther():
    covered = np.zeros((WINDOW_PX, WINDOW_PX), bool)
    covered[50:62, 30:80] = True
    kept_out = np.zeros_like(covered)
    kept_out[72:, 56:] = True
    line = np.arange(WINDOW_PX) - (WINDOW_PX - 1) / 2
    away = np.hypot(line[:, None], line[None])
    seen = set()
    for seed in range(5):
        alpha = outline(covered, kept_out, 17.0, 45.0, np.random.default_rng(seed))
        assert alpha[kept_out].max() == 0
        assert alpha[covered].min() > 0.99 and alpha[away > 46].max() == 0
        assert 0 < ((alpha > 0.05) & (alpha < 0.95)).sum()
        # A soft seam: no step of more than a quarter from pixel to pixel.
        assert max(np.abs(np.diff(alpha, axis=axis)).max() for axis in (0, 1)) < 0.25
        seen.add(alpha.tobytes())
    assert len(seen) == 5


def test_white_stays_white_and_tissue_takes_the_stain():
    pixels = tissue(64, 64)
    pixels[:8] = 255
    own, wanted = densities(pixels), densities(tissue(64, 64, 1, colour=(190, 120, 170)))
    changed = restained(pixels, own, wanted)
    assert changed[:8].max() < 0.01
    before, after = (np.abs(d[8:].mean(axis=(0, 1)) - wanted.mean).mean() for d in (optical_density(pixels), changed))
    assert after < 0.35 * before


def test_densities_leave_out_glass_and_what_is_not_kept():
    pixels = np.full((40, 40, 3), 255, np.uint8)
    pixels[:20] = 127
    found = densities(pixels)
    np.testing.assert_allclose(found.mean, -np.log10(128 / 256), rtol=1e-5)
    assert found.tissue == 0.5
    pixels[:10] = 63
    kept = np.zeros((40, 40), bool)
    kept[10:] = True
    np.testing.assert_allclose(densities(pixels, kept).mean, -np.log10(128 / 256), rtol=1e-5)


def test_a_blurred_ground_gets_a_blurred_cell():
    cell = optical_density(tissue(112, 112, 3))
    kept = np.ones((112, 112), bool)
    soft = np.dstack([cv2.GaussianBlur(cell[..., i], (0, 0), 1.2) for i in range(3)])

    def fine(density):
        grey = density.mean(axis=2)
        return (grey - cv2.GaussianBlur(grey, (0, 0), 1))[28:-28, 28:-28].std()

    assert fine(sharpened_like(cell, soft, kept)) < 0.7 * fine(cell)
    # And the other way round: a blurred cell in sharp ground is sharpened.
    assert fine(sharpened_like(soft, cell, kept)) > 1.1 * fine(soft)


def test_ground_outside_the_outline_is_untouched_and_the_seam_has_no_step():
    ground, cell = tissue(112, 112, 1), tissue(112, 112, 2, colour=(180, 130, 160))
    alpha = outline(*np.zeros((2, 112, 112), bool), 18.0, 40.0, np.random.default_rng(0))
    done = blended(ground, np.zeros((112, 112), bool), cell, densities(cell), densities(ground), alpha)
    np.testing.assert_array_equal(done.pixels[alpha == 0], ground[alpha == 0])
    raw = np.abs(optical_density(cell) - optical_density(ground))[(alpha > 0) & (alpha < 1)].mean()
    left = np.abs(optical_density(done.pixels) - optical_density(ground))[(alpha > 0) & (alpha < 1)].mean()
    assert left < 0.6 * raw


def test_cutouts_hold_the_figure_or_a_nucleus_far_from_it(sources):
    figures, controls = patch_cutouts([sources[0]])
    assert len(figures) == 4 and controls
    for figure in figures:
        assert figure.found and figure.label == MITOTIC_FIGURE and 150 < figure.mask.sum() < 400
    for control in controls:
        assert control.label == NON_MITOTIC and not control.mask.any() and control.room_px >= CONTROL_ROOM_PX
        line = np.arange(WINDOW_PX) - (WINDOW_PX - 1) / 2
        near = np.hypot(line[:, None], line[None]) < control.room_px
        # No pixel of a plate, which is darker than any nucleus, is ever taken.
        dark = near & (control.pixels.max(axis=2) < 115)
        alpha = outline(control.mask, control.kept_out, 20.0, control.room_px, np.random.default_rng(0))
        assert control.kept_out[dark].all() and alpha[dark].sum() == 0 and alpha.max() == 1


def test_a_turned_cutout_has_the_same_pixels(sources):
    figure = patch_cutouts([sources[0]])[0][0]
    seen = {figure.turned(np.random.default_rng(seed)).pixels.tobytes() for seed in range(60)}
    assert len(seen) == 8
    turned = figure.turned(np.random.default_rng(1))
    assert sorted(turned.pixels[turned.mask].tolist()) == sorted(figure.pixels[figure.mask].tolist())


def test_free_places_are_on_tissue_and_apart(sources):
    field = sources[1].fields[0]
    pixels = cv2.imread(str(field.path))[..., ::-1].copy()
    pixels[:, 250:] = 255
    ground = Ground.of(field, pixels, 1.0)
    places = ground.places(200, np.random.default_rng(0))
    assert places
    for x, y in places:
        assert x < 250
        assert min(np.hypot(x - u, y - v) for u, v, _ in field.excluded) >= APART_PX


def test_counts_masks_and_places(composed):
    out, counts, told = composed
    rows = rows_of(out)
    assert counts["fields"] == counts["strong_fields"] == 2
    assert counts["mitotic_figures"] == sum(row["label"] == MITOTIC_FIGURE for row in rows) >= 6
    assert abs(counts["mitotic_figures"] - counts["controls"]) <= 2
    assert counts["uncovered"] == 2  # those at the side
    assert [item for item in told if item[0] == "Fields"] == [("Fields", 1, 2), ("Fields", 2, 2)]
    for name in {row["image"] for row in rows}:
        own = [row for row in rows if row["image"] == name]
        xy = np.array([[float(row["x"]), float(row["y"])] for row in own])
        apart = np.hypot(*(xy[:, None] - xy[None]).transpose(2, 0, 1)) + 1e6 * np.eye(len(xy))
        assert apart.min() > APART_PX - 12
        mask = pixels_of(out, name, "masks")[..., 0]
        count, _, stats, centres = cv2.connectedComponentsWithStats((mask > 0).astype(np.uint8))
        figures = np.array([p for p, row in zip(xy, own, strict=True) if row["label"] == MITOTIC_FIGURE])
        assert count - 1 == len(figures) and set(np.unique(mask)) == {0, 255}
        assert max(np.hypot(*(centres[1:] - p).T).min() for p in figures) < 1
        image = pixels_of(out, name)
        assert image[mask > 0].mean() < 110 < 160 < image[mask == 0].mean()


def test_painted_cells_are_covered_and_the_one_at_the_side_is_excluded(composed, sources):
    out, _, _ = composed
    dataset = formats.read(out)
    for field in dataset.fields:
        yellow = painted_mask(pixels_of(out, field.path.name))
        (circle,) = field.excluded
        np.testing.assert_allclose(circle, (20 * 0.9824, 200 * 0.9824, 40 * 0.9824), atol=1)
        rows, columns = np.nonzero(yellow)
        assert len(rows) and (np.hypot(columns - circle[0], rows - circle[1]) < circle[2]).all()
    origins = [row["origin"] for row in rows_of(out)]
    assert origins.count("painted patch") + origins.count("painted field") == 4
    assert abs(origins.count("painted patch") - origins.count("painted field")) <= 2


def test_the_folder_is_read_as_a_data_set(composed):
    out, counts, _ = composed
    assert formats.recognise(out) == "composed"
    dataset = formats.read(out)
    assert dataset.cases == ["ICPR12/00", "ICPR12/01"]
    assert dataset.count(MITOTIC_FIGURE) == counts["mitotic_figures"]
    assert dataset.count(NON_MITOTIC) == counts["controls"]
    for field in dataset.fields:
        assert field.complete and field.labelled and field.um_per_px == 0.25 and field.domain == "Aperio"
        assert field_mask(field).sum() > 100 * len(field.mitoses)
    record = json.loads((out / "composed.json").read_text())
    assert record["settings"] == {"per_mm2": 500, "rounds": 1, "seed": 3, "strong": 1.0} and record["note"] == "x"
    assert record["counts"] == counts


def test_the_same_seed_gives_the_same_fields_and_another_one_others(composed, sources, tmp_path):
    out, _, _ = composed
    compose_folder([sources[0]], [sources[1]], tmp_path / "again", SETTINGS)
    other = ComposeSettings(per_mm2=500, seed=4, rounds=2, strong=0.5)
    counts = compose_folder([sources[0]], [sources[1]], tmp_path / "other", other)
    for name in ("cells.csv", "composed.json"):
        same = (tmp_path / "again" / name).read_text() == (out / name).read_text()
        assert same or name == "composed.json"  # which holds the note too
    name = rows_of(out)[0]["image"]
    np.testing.assert_array_equal(pixels_of(tmp_path / "again", name), pixels_of(out, name))
    assert (pixels_of(tmp_path / "other", name) != pixels_of(out, name)).any()
    assert counts["fields"] == 4 and counts["strong_fields"] == 2
    fields = formats.read(tmp_path / "other").fields
    assert sum(field.mask is not None for field in fields) == 2
    assert sum(field_mask(field) is None for field in fields) == 2


def test_only_cases_of_the_part_are_used(sources):
    kept = of_part(list(sources), ["MIDOG21/002.tiff", "ICPR12/01"])
    assert [item.cases for item in kept] == [["MIDOG21/002.tiff"], ["ICPR12/01"]]
    assert of_part(list(sources), ["nothing"]) == []


def test_nothing_to_compose_of(sources, tmp_path):
    with pytest.raises(DataError, match="^The patches hold no mitotic figure with 10 µm of tissue"):
        compose_folder([], [sources[1]], tmp_path / "out", SETTINGS)
    with pytest.raises(DataError, match="^There is no field to place mitotic figures into"):
        compose_folder([sources[0]], [], tmp_path / "out", SETTINGS)
    (tmp_path / "out").mkdir()
    with pytest.raises(OutputError, match="is there already"):
        compose_folder([sources[0]], [sources[1]], tmp_path / "out", SETTINGS)
    assert [path.name for path in tmp_path.iterdir()] == ["out"] and not any((tmp_path / "out").iterdir())


def test_patches_without_room_or_with_padding_are_left_out(tmp_path):
    folder = write_patches(tmp_path / "patches", each=1)
    black = patch(0)
    black[:50] = 0
    cv2.imwrite(str(folder / "patches" / "p0.png"), black)
    glass = patch(1)
    glass[:, 80:] = 255
    cv2.imwrite(str(folder / "patches" / "p1.png"), glass)
    assert patch_cutouts([formats.read(folder)])[0] == []


@pytest.mark.parametrize(
    ("file", "before", "after", "said"),
    [
        ("cells.csv", "mitotic_figure", "mitosys", "line 2: 'mitosys' is no class. Write one of non_mitotic, "),
        ("cells.csv", "A00_00_1_000.png", "b.png", "names b.png, which composed.json does not. Remove its rows."),
        ("composed.json", '"images"', '"pictures"', "is no record of composed fields: 'images'. Compose them again."),
        ("composed.json", "A01_00_1_001.png", "c.png", "c.png, which does not exist. Compose the fields again."),
    ],
)
def test_a_damaged_folder(composed, tmp_path, file, before, after, said):
    out, _, _ = composed
    for name in ("cells.csv", "composed.json"):
        (tmp_path / name).write_text((out / name).read_text())
    (tmp_path / "images").symlink_to(out / "images")
    text = (tmp_path / file).read_text()
    if file == "cells.csv":
        head, rest = text.split("\n", 1)
        text = head + "\n" + rest.replace("non_mitotic", "mitotic_figure", 1).replace(before, after, 1)
    else:
        text = text.replace(before, after)
        if "c.png" in after:
            table = tmp_path / "cells.csv"
            table.write_text(table.read_text().replace(before, after))
    (tmp_path / file).write_text(text)
    with pytest.raises(LabelError) as error:
        formats.read(tmp_path)
    assert said in str(error.value)

"""Pictures of held-out tiles: outlines by hand, for maps and for boxes."""

import numpy as np

from mitozoo.training.tile_pictures import FOUND, GAP, GAP_PX, LABELLED, masks_of, pictured


def test_outlines_by_hand():
    images = np.full((2, 12, 10, 3), 0.5)
    labels, found = np.zeros((2, 12, 10), np.uint8), np.zeros((2, 12, 10), bool)
    labels[0, 2:7, 3:8] = 1
    labels[0, 0, 0] = 255  # damaged: not drawn
    found[1, 5:8, 0:3] = True
    picture = pictured(images, labels, found)
    assert picture.shape == (2 * 12 + GAP_PX, 2 * 10 + GAP_PX, 3)
    assert (picture[:12, :10] == 128).all() and (picture[12 : 12 + GAP_PX] == GAP).all()
    green = np.argwhere((picture == LABELLED).all(axis=-1))
    # A square of 5 px has an edge of 16; it begins at (2, 3) of the lower picture.
    assert len(green) == 16 and green.min(axis=0).tolist() == [12 + GAP_PX + 2, 3]
    red = np.argwhere((picture == FOUND).all(axis=-1))
    assert len(red) == 8 and red.min(axis=0).tolist() == [12 + GAP_PX + 5, 10 + GAP_PX]


def test_maps_are_averaged_and_boxes_filled():
    far = np.log(9.0)  # a chance of 0.9
    logits = np.array([[[far, -far]]])
    assert masks_of({"mask": logits}, (1, 2)).tolist() == [[[True, False]]]
    two = np.stack([np.zeros_like(logits), logits], axis=-1)
    # 0.9 and 0.05 are 0.475 in the mean, 0.9 and 0.2 are 0.55.
    for chance, expected in ((0.05, False), (0.2, True)):
        other = np.zeros_like(two)
        other[..., 1] = np.log(chance / (1 - chance))
        assert masks_of({"concentric": two, "strong": other}, (1, 2))[0, 0, 0] == expected
    boxes = {"boxes": np.array([[[1.0, 0.0, 3.0, 2.0], [0.0, 0.0, 1.0, 1.0]]]), "scores": np.array([[0.7, 0.2]])}
    assert masks_of(boxes, (2, 4)).astype(int).tolist() == [[[0, 1, 1, 0], [0, 1, 1, 0]]]

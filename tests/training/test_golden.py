"""What replaces tensorflow-addons gives the numbers that it gave; see tests/golden/README.md."""

from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
from scipy import ndimage

from mitozoo.training.pixel_losses import focal_loss


@pytest.fixture(scope="module")
def golden():
    path = Path(__file__).parents[1] / "golden" / "tensorflow_addons_0.23.0.npz"
    with np.load(path, allow_pickle=False) as stored:
        return {key: stored[key] for key in stored.files}


def test_the_focal_loss(golden):
    found = np.array(focal_loss(golden["focal_labels"], golden["focal_logits"], alpha=0.25, gamma=2.0))[:, 0]
    np.testing.assert_allclose(found, golden["focal_loss"], rtol=2e-5, atol=1e-9)


def test_the_gaussian_filter(golden):
    for image, wanted in zip(golden["image"], golden["gaussian_filter2d_k9_s2_reflect"], strict=True):
        found = cv2.GaussianBlur(image, (9, 9), 2.0, borderType=cv2.BORDER_REFLECT_101)
        np.testing.assert_allclose(found, wanted, atol=2e-6)
        # SciPy's name for a reflection that does not repeat the edge is "mirror"; 2 sigma to each side are 9 pixels.
        found = ndimage.gaussian_filter(image, sigma=(2, 2, 0), mode="mirror", truncate=2.0)
        np.testing.assert_allclose(found, wanted, atol=2e-6)


@pytest.mark.parametrize("degrees", [30, 90, 137])
def test_rotation(golden, degrees):
    for image, wanted in zip(golden["image"], golden[f"rotate_{degrees}deg_bilinear_constant"], strict=True):
        height, width = image.shape[:2]
        matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1.0)
        found = cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        # OpenCV may round places to 1/32 of a pixel: half of that on each axis, of noise between 0 and 1.
        np.testing.assert_allclose(found, wanted, atol=2 / 64)
        np.testing.assert_allclose(found.mean(), wanted.mean(), atol=1e-3)


@pytest.mark.parametrize(
    ("key", "optimizer"),
    [
        ("adamw_after4", lambda: keras.optimizers.AdamW(learning_rate=1e-3, weight_decay=1e-2 / 1e-3)),
        ("sgdw_after4", lambda: keras.optimizers.SGD(learning_rate=0.0025, momentum=0.9, weight_decay=5e-4 / 0.0025)),
    ],
)
def test_optimizers_with_decoupled_decay(golden, key, optimizer):
    variable, step = keras.Variable(golden["opt_w0"]), optimizer()
    for gradient in golden["opt_grads"]:
        step.apply([keras.ops.convert_to_tensor(gradient)], [variable])
    np.testing.assert_allclose(variable.numpy(), golden[key], rtol=2e-6, atol=1e-7)
    # The decay is most of what AdamW does here, and not to be overlooked in SGDW.
    assert np.abs(golden[key] - golden["opt_w0"]).max() > 1e-3

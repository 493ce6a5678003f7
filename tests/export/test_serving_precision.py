"""Fewer bits for a model whose layers use each other's weights."""

import dataclasses
from pathlib import Path

import numpy as np

from mitozoo.export.serving.precision import Weights, in_int8
from mitozoo.models import registry
from mitozoo.models.precision import in_precision
from mitozoo.models.zoo import LoadedModel


def test_of_8_bits_the_strong_scores_follow_the_concentric_ones_that_were_rounded_too():
    settings = {"encoder": "mobilenet", "alpha": 0.25, "width": 600, "hidden": 4, "dropout": 0.0}
    spec = registry.spec("partmitosis")
    spec = dataclasses.replace(spec, settings={**spec.settings, **settings})
    model = registry.build("partmitosis", **settings)
    loaded = LoadedModel(name="a", spec=spec, manifest=None, model=model, weights=Path("a"), sha256="")
    image = np.random.default_rng(0).random((1, 32, 32, 3)).astype("float32")
    rounded = in_int8(loaded).model
    kernels = [m.get_layer("concentric").get_layer("score").kernel.numpy() for m in (model, rounded)]
    assert 0 < np.abs(kernels[1] - kernels[0]).max() < 0.01
    # What is stored and what is computed with here are the same, in both branches.
    with Weights(model, int8=True).in_use():
        stored = model(image)
    for key, value in rounded(image).items():
        np.testing.assert_allclose(stored[key], value, atol=1e-6)


def test_what_computes_in_16_bits_still_does_in_8_bits():
    spec = registry.spec("unet")
    spec = dataclasses.replace(spec, settings={**spec.settings, "widths": (4,)})
    model = registry.build("unet", widths=(4,))
    loaded = LoadedModel(name="a", spec=spec, manifest=None, model=model, weights=Path("a"), sha256="")
    rounded = in_int8(in_precision(loaded, "bfloat16")).model
    assert rounded.get_layer("down1a").compute_dtype == "bfloat16"
    assert in_int8(loaded).model.get_layer("down1a").compute_dtype == "float32"

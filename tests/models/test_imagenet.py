"""ImageNet weights for encoders that are cut short, have several outputs, or are several in one model."""

import keras
import numpy as np
import pytest

from mitozoo.base.errors import WeightsError
from mitozoo.models import registry
from mitozoo.models.imagenet import encoders_of, load_imagenet
from mitozoo.models.layers.encoder import BY_STRIDE, ENCODERS, encoder, prepared

PART = {"encoder": "mobilenet", "alpha": 0.25, "width": 2}
TWO = {"proposer": "vgg16", "depth": 3, "width": 0, "verifier": "mobilenet", "alpha": 0.25}


def whole(name, **settings):
    """An encoder as Keras has it, with weights that say which is which."""
    model = getattr(keras.applications, ENCODERS[name])(
        input_shape=(None, None, 3), include_top=False, weights=None, **settings
    )
    for number, weight in enumerate(model.weights):
        weight.assign(np.full(weight.shape, 1 + number / 1000))
    return model


def arrays_of(model):
    return {f"{layer.name}/{w.name}": w.numpy() for layer in model.layers for w in layer.weights}


def assert_has(found, wanted):
    for layer in found.layers:
        if not layer.weights:
            continue
        for mine, theirs in zip(layer.weights, wanted.get_layer(layer.name).weights, strict=True):
            np.testing.assert_array_equal(mine.numpy(), theirs.numpy(), err_msg=mine.path)


@pytest.mark.parametrize("suffix", [".npz", ".h5", ".weights.h5"])
def test_an_encoder_that_ends_early_takes_what_it_has(tmp_path, suffix):
    source, path = whole("vgg16"), tmp_path / f"vgg16{suffix}"
    if suffix == ".npz":
        np.savez(path, **arrays_of(source))
    elif suffix == ".h5":
        source.save(path)
    else:
        source.save_weights(path)
    model = registry.build("vgg16-unet", depth=2, widths=(4, 4))
    decoder = model.get_layer("up1a").get_weights()[0]
    assert load_imagenet(model, path) == "vgg16"
    assert_has(model.get_layer("vgg16"), source)
    np.testing.assert_array_equal(model.get_layer("up1a").get_weights()[0], decoder)


def test_each_of_two_encoders_gets_the_weights(tmp_path):
    source = whole("mobilenet", alpha=0.25)
    np.savez(tmp_path / "w.npz", **arrays_of(source))
    model = registry.build("partmitosis", **PART)
    assert [found.name for found in encoders_of(model)] == ["mobilenet", "mobilenet"]
    assert load_imagenet(model, tmp_path / "w.npz") == "mobilenet"
    for branch in ("concentric", "strong"):
        assert_has(model.get_layer(branch).get_layer("mobilenet"), source)


@pytest.mark.parametrize(
    ("name", "settings", "part"), [("vgg16", {}, "proposer"), ("mobilenet", {"alpha": 0.25}, "verifier")]
)
def test_of_two_kinds_of_encoders_that_which_a_file_fits_gets_it(tmp_path, name, settings, part):
    model, source = registry.build("two-stage", **TWO), whole(name, **settings)
    other = {"proposer": "verifier", "verifier": "proposer"}[part]
    before = model.get_layer(other).get_weights()
    np.savez(tmp_path / "w.npz", **arrays_of(source))
    assert load_imagenet(model, tmp_path / "w.npz") == name
    assert_has(model.get_layer(part).get_layer(name), source)
    for mine, theirs in zip(model.get_layer(other).get_weights(), before, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_two_files_are_for_two_kinds_of_encoders_and_all_count_or_none(tmp_path):
    model, vgg16, mobilenet = registry.build("two-stage", **TWO), whole("vgg16"), whole("mobilenet", alpha=0.25)
    np.savez(tmp_path / "m.npz", **arrays_of(mobilenet))
    np.savez(tmp_path / "v.npz", **arrays_of(vgg16))
    before = model.get_weights()
    with pytest.raises(WeightsError, match=r"none.npz cannot be read"):
        load_imagenet(model, tmp_path / "m.npz", tmp_path / "none.npz")
    for mine, theirs in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert load_imagenet(model, tmp_path / "m.npz", tmp_path / "v.npz") == "vgg16, mobilenet"
    assert_has(model.get_layer("proposer").get_layer("vgg16"), vgg16)
    assert_has(model.get_layer("verifier").get_layer("mobilenet"), mobilenet)


def test_a_file_that_fits_none_names_the_first_fault_and_changes_nothing(tmp_path):
    model = registry.build("two-stage", **TWO)
    before = model.get_weights()
    np.savez(tmp_path / "w.npz", **arrays_of(whole("mobilenet", alpha=0.5)))
    with pytest.raises(WeightsError, match=r"w.npz does not fit vgg16: block1_conv1/kernel .* and is missing\."):
        load_imagenet(model, tmp_path / "w.npz")
    whole("mobilenet", alpha=0.5).save(tmp_path / "w.h5")
    with pytest.raises(WeightsError, match="w.h5 cannot be read as weights of vgg16"):
        load_imagenet(model, tmp_path / "w.h5")
    for mine, theirs in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_keras_own_weights_reach_every_encoder(monkeypatch):
    asked = []
    model = registry.build("two-stage", **TWO)
    sources = {"vgg16": whole("vgg16"), "mobilenet": whole("mobilenet", alpha=0.25)}
    monkeypatch.setattr(keras.applications, "VGG16", lambda **given: asked.append(given) or sources["vgg16"])
    monkeypatch.setattr(keras.applications, "MobileNet", lambda **given: asked.append(given) or sources["mobilenet"])
    assert load_imagenet(model) == "vgg16, mobilenet"
    common = {"input_shape": (None, None, 3), "include_top": False, "weights": "imagenet"}
    assert asked == [common, common | {"alpha": 0.25}]
    assert_has(model.get_layer("proposer").get_layer("vgg16"), sources["vgg16"])
    assert_has(model.get_layer("verifier").get_layer("mobilenet"), sources["mobilenet"])


def test_weights_that_cannot_be_fetched(monkeypatch):
    def offline(**_):
        raise Exception("URL fetch failure")

    model = registry.build("segmitos", encoder="mobilenet", alpha=0.25, width=2)
    monkeypatch.setattr(keras.applications, "MobileNet", offline)
    with pytest.raises(WeightsError) as error:
        load_imagenet(model)
    assert str(error.value) == (
        "The ImageNet weights of mobilenet are not in Keras' cache and cannot be fetched (URL fetch failure). "
        "Give their file with --imagenet FILE."
    )


@pytest.mark.parametrize("name", sorted(ENCODERS))
def test_the_strides_of_every_encoder(name):
    strides = BY_STRIDE[name]
    assert list(strides) == [2, 4, 8, 16, 32]
    field = keras.Input((None, None, 3))
    model = encoder(name, list(strides.values()))
    assert model.name == name
    shapes = model.compute_output_shape((1, 64, 96, 3))
    assert [shape[1:3] for shape in shapes] == [(64 // s, 96 // s) for s in strides]
    assert prepared(field, name).shape == (None, None, None, 3)


def test_what_the_encoders_are_fed_is_what_keras_feeds_them():
    image = np.random.default_rng(0).integers(0, 256, (1, 4, 5, 3)).astype("float32")
    for name, module in (("vgg16", "vgg16"), ("mobilenet", "mobilenet"), ("resnet101", "resnet")):
        field = keras.Input((None, None, 3))
        feed = keras.Model(field, prepared(field, name))
        wanted = getattr(keras.applications, module).preprocess_input(image.copy())
        np.testing.assert_allclose(feed(image / 255), wanted, atol=1e-4)

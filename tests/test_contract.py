"""What every architecture of the registry must keep."""

import ast
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from mitozoo.base.errors import UnknownNameError
from mitozoo.base.points import CLASSES
from mitozoo.models import registry
from mitozoo.training.losses import cross_entropy, guided_loss, heat_loss, heat_truth
from mitozoo.training.pixel_losses import concentric_loss, dice_loss, focal_loss, masked_mean, softmax_loss, valid
from mitozoo.training.rcnn_trainer import trainer

sys.path.insert(0, str(Path(__file__).parent / "models"))
from symbolic import parameters  # noqa: E402

MODELS = registry.names()
#: Settings with which the large ones are built for real: of the paper's widths some fill gigabytes.
SMALL = {
    "unet": {"widths": (8, 8, 8), "dropout": 0.0},
    "vgg16-unet": {"depth": 5, "widths": (8, 8, 8, 8, 8)},
    "segmitos": {"width": 16, "dropout": 0.0},
    "partmitosis": {"width": 16, "hidden": 8, "dropout": 0.0},
    "two-stage": {"width": 0, "depth": 3, "verifier": "mobilenet", "alpha": 0.25, "dropout": 0.0},
    "maskrcnn": {"backbone": "mobilenet", "pyramid": 16, "head": 16, "tile_px": 64},
}
POLICIES = ("float32", "mixed_bfloat16")


def small(name, **more):
    """A model of a registered name in its small settings, and the side of the input for it."""
    spec = registry.spec(name)
    # Fields may be of any size: of the smallest that has a middle and a rim.
    fields = spec.task.startswith("segment")
    model = registry.build(name, **{**SMALL.get(name, {}), **more})
    return model, 64 if fields else model.input_shape[1]


def images(side_px, count=4):
    """Noise, darker in a disc of 12 px about the middle."""
    generator = np.random.default_rng(0)
    found = generator.random((count, side_px, side_px, 3)).astype("float32")
    return found * np.where(disc(side_px), 0.3, 1.0)[..., None].astype("float32")


def disc(side_px, radius_px=12.0):
    y, x = np.mgrid[:side_px, :side_px] - (side_px - 1) / 2
    return np.hypot(y, x) <= radius_px


def test_there_are_models():
    assert MODELS == sorted(
        ["cnn12", "maskrcnn", "partmitosis", "scout", "segmitos", "stn", "two-stage", "unet", "vgg16-unet"]
    )


@pytest.mark.parametrize("name", MODELS)
def test_parameters_are_those_of_the_spec(name):
    spec = registry.spec(name)
    assert parameters(name) == spec.params
    assert spec.name == name
    assert spec.source


@pytest.mark.parametrize("name", MODELS)
def test_the_spec_makes_sense(name):
    spec = registry.spec(name)
    assert spec.input_px % spec.stride_px == 0
    assert set(spec.classes) <= set(CLASSES) and spec.classes[0] == "non_mitotic"
    assert spec.task in LOSSES


@pytest.mark.parametrize("name", MODELS)
def test_outputs_are_those_of_the_spec(name):
    spec = registry.spec(name)
    settings = {"tile_px": spec.input_px} if "tile_px" in spec.settings else {}
    model, _ = small(name, **settings)
    found = model(images(spec.input_px, 1))
    assert {key: tuple(value.shape[1:]) for key, value in found.items()} == dict(spec.outputs)


@pytest.mark.parametrize("name", MODELS)
def test_fields_may_have_any_sides_that_are_multiples_of_the_stride(name):
    spec, (model, side) = registry.spec(name), small(name)
    high, wide = 2 * spec.stride_px, 3 * spec.stride_px
    if spec.task.startswith("segment"):
        for found in model(np.zeros((1, high, wide, 3), "float32")).values():
            assert found.shape[1:3] == (high, wide)
    elif spec.task == "propose-verify":
        stride_px = side // model.output["heat"].shape[1]
        assert model.get_layer("proposer")(np.zeros((1, 16, 24, 3), "float32")).shape == (
            1,
            16 // stride_px,
            24 // stride_px,
        )
    else:
        # Of one size: windows, or tiles whose anchors are laid out when the model is built.
        assert model.input_shape[1:3] == (side, side)


@pytest.mark.parametrize("name", MODELS)
def test_saved_weights_give_equal_outputs(name, tmp_path):
    (first, side), (second, _) = small(name), small(name)
    batch = images(side)
    first.save_weights(tmp_path / "a.weights.h5")
    assert not all(np.allclose(value, second(batch)[key]) for key, value in first(batch).items())
    second.load_weights(tmp_path / "a.weights.h5")
    for key, value in first(batch).items():
        np.testing.assert_array_equal(value, second(batch)[key])


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", MODELS)
def test_a_training_step_lowers_the_loss(name, policy):
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(policy)
    try:
        model, side = small(name)
        loss = LOSSES[registry.spec(name).task](model, registry.spec(name), side)
        for value in model(images(side, 2)).values():
            assert value.dtype == "float32"
        optimizer = keras.optimizers.Adam(1e-4)
        losses = []
        for _ in range(3):
            with tf.GradientTape() as tape:
                losses.append(loss())
            variables = model.trainable_variables
            optimizer.apply(tape.gradient(losses[-1], variables), variables)
        assert float(loss()) < float(losses[0])
    finally:
        keras.config.set_dtype_policy("float32")


def of_windows(model, spec, side):
    """The loss of models of windows with one cell: its class, and its place where the model tells it."""
    batch, labels = images(side, 6), np.arange(6) % len(spec.classes)
    truth = np.tile(np.array([[0.5, 0, 0.2], [0, 0.5, -0.1]], "float32"), (6, 1, 1))

    def loss():
        # Normalised by the batch: a deep network with fresh statistics gives hardly any signal.
        found = model(batch, training=spec.task == "propose-verify")
        if "theta" in found:
            return tf.reduce_mean(guided_loss(truth, found["theta"], labels, found["logits"], kappa=0.1))
        loss = tf.reduce_mean(cross_entropy(labels, found["logits"]))
        if "heat" in found:
            side = spec.outputs["heat"][0]
            truth_heat = heat_truth(truth[:, 0, 2], truth[:, 1, 2], labels > 0, side=side, stride_px=8)
            loss += tf.reduce_mean(heat_loss(truth_heat, found["heat"]))
        return loss

    return loss


def of_masks(model, spec, side):
    labels = np.tile(disc(side), (2, 1, 1)).astype("uint8")

    def loss():
        logits = model(images(side, 2), training=True)["mask"]
        focal = masked_mean(focal_loss(labels, logits), valid(labels))
        return tf.reduce_mean(focal + dice_loss(labels, logits))

    return loss


def of_scores(model, spec, side):
    strong = np.tile(disc(side), (2, 1, 1)).astype("uint8")
    concentric = np.where(disc(side, 8), 1, np.where(disc(side, 20), 255, 0)).astype("uint8")[None].repeat(2, axis=0)

    def loss():
        found = model(images(side, 2), training=True)
        loss = concentric_loss(concentric, found["concentric"], normalised=True)
        if "strong" in found:
            loss += softmax_loss(strong, found["strong"], normalised=True)
        return tf.reduce_mean(loss)

    return loss


def of_boxes(model, spec, side):
    middle = np.array([side / 2 - 12, side / 2 - 12, side / 2 + 12, side / 2 + 12], "float32")
    boxes = np.full((2, 4, 4), -1, "float32")
    boxes[:, 0] = middle
    masks = np.where((boxes[..., :1] > 0)[..., None], disc(28, 14.0), -1).astype("float32")
    learner = trainer(model, truths=4)

    def loss():
        for name in ("rpn_targets", "roi_targets"):
            # What is drawn is the same at every step.
            learner.get_layer(name).seed_generator.state.assign([0, 0])
        found = learner({"image": images(side, 2), "boxes": boxes, "masks": masks}, training=True)
        return sum(tf.reduce_mean(value) for value in found.values())

    return loss


#: By task: what is lowered, a function of model, spec and side of its input that returns a function without arguments.
LOSSES = {
    "classify": of_windows,
    "locate-classify": of_windows,
    "propose-verify": of_windows,
    "segment": of_masks,
    "segment-concentric": of_scores,
    "segment-fused": of_scores,
    "detect": of_boxes,
}


@pytest.mark.parametrize("name", MODELS)
def test_an_unknown_setting_is_named(name):
    known = max(registry.spec(name).settings, key=len)
    with pytest.raises(UnknownNameError) as error:
        registry.build(name, **{f"{known}x": 3})
    assert str(error.value) == f"No setting of {name} named '{known}x'. Did you mean '{known}'?"


def test_an_unknown_model_is_named():
    with pytest.raises(UnknownNameError) as error:
        registry.build("sttn")
    assert str(error.value) == "No model named 'sttn'. Did you mean 'stn'?"


def test_a_name_is_registered_once():
    spec = registry.spec("stn")
    with pytest.raises(ValueError, match="A model named 'stn' is registered already."):
        registry.register(spec)(lambda: None)


def test_a_fresh_stn_looks_at_the_middle_at_half_scale():
    theta = registry.build("stn")(images(128))["theta"]
    np.testing.assert_array_equal(theta, np.tile([[0.5, 0, 0], [0, 0.5, 0]], (4, 1, 1)))


def test_no_network_is_bound_to_a_backend():
    folder = Path(registry.__file__).parent
    files = [*folder.glob("layers/**/*.py"), *folder.glob("architectures/*.py")]
    assert len(files) > 10
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            assert not {name.partition(".")[0] for name in names} & {"tensorflow", "jax", "torch"}, path.name

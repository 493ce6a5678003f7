"""Networks for ONNX Runtime, and models for BioImage.IO: the numbers are those of Keras."""

import json
import sys
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf

import mitozoo
from mitozoo.base.errors import OutputError, RecipeError
from mitozoo.export import onnx as onnx_export
from mitozoo.export.serving.check import ExportError
from mitozoo.models import zoo


@pytest.mark.parametrize(
    ("model", "networks"),
    [
        ("cnn12", {"classifier.onnx": (None, (5, 128, 128, 3))}),
        ("stn", {"localizer.onnx": ("localizer", (2, 128, 128, 3)), "classifier.onnx": ("classifier", (3, 32, 32, 3))}),
        (
            "scout",
            {
                "proposer.onnx": ("proposer", (1, 96, 200, 3)),
                "verifier.onnx": ("verifier", (2, 80, 80, 3)),
                "verifier2.onnx": ("verifier2", (2, 80, 80, 3)),
            },
        ),
    ],
)
def test_networks_give_what_keras_gives(model, networks, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("tf2onnx")
    folder = mitozoo.export(model, out=tmp_path, to="onnx").folder
    about = json.loads((folder / "onnx.json").read_text())
    assert {item.name for item in folder.iterdir()} == {*networks, "onnx.json"}
    assert set(about["networks"]) == set(networks) and about["opset"] == 17
    whole = zoo.load(model).model
    for file, (layer, shape) in networks.items():
        images = np.random.default_rng(7).random(shape, np.float32)
        session = runtime.InferenceSession(str(folder / file), providers=["CPUExecutionProvider"])
        assert [item.name for item in session.get_inputs()] == ["image"]
        names = [item.name for item in session.get_outputs()]
        assert names == about["networks"][file]["outputs"]
        wanted = (whole if layer is None else whole.get_layer(layer))(images, training=False)
        wanted = wanted if isinstance(wanted, dict) else {"output": wanted}
        for name, values in zip(names, session.run(names, {"image": images}), strict=True):
            np.testing.assert_allclose(values, wanted[name], atol=1e-4, rtol=1e-4)


def test_a_network_with_other_numbers_is_not_written(tmp_path, monkeypatch):
    pytest.importorskip("tf2onnx")
    monkeypatch.setattr(onnx_export, "TOLERANCE", -1.0)
    with pytest.raises(
        ExportError, match="classifier.onnx gives other numbers than Keras: logits is up to .* off. Noth"
    ):
        mitozoo.export("cnn12", out=tmp_path, to="onnx")
    assert list(tmp_path.rglob("*.onnx")) == []


@pytest.mark.parametrize(("to", "module"), [("onnx", "tf2onnx"), ("bioimageio", "bioimageio.spec")])
def test_what_is_missing_is_named(to, module, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(RecipeError) as caught:
        mitozoo.export("cnn12", out=tmp_path, to=to)
    assert str(caught.value).endswith(f'needs {module}: pip install "mitozoo[{to}]".')


@pytest.mark.parametrize("model", ["cnn12", "stn", "scout"])
def test_bioimageio_accepts_the_description(model, tmp_path):
    spec = pytest.importorskip("bioimageio.spec")
    folder = mitozoo.export(model, out=tmp_path, to="bioimageio", check=False).folder
    found = spec.load_description(folder / "rdf.yaml")
    assert not isinstance(found, spec.InvalidDescr), found.validation_summary.format()
    # "passed" would need the model to be run by another package.
    assert found.validation_summary.status == "valid-format"
    assert [item.id for item in found.inputs] == ["image"]

    with zipfile.ZipFile(folder / "saved_model.zip") as archive:
        archive.extractall(tmp_path / "unpacked")
    images = np.load(folder / "image.npy")
    unpacked = tf.saved_model.load(str(tmp_path / "unpacked"))
    outputs = unpacked.serve(images)
    assert images.shape == (1, 128, 128, 3) and images.max() <= 1
    wanted = zoo.load(model).model(images, training=False)
    assert {item.id for item in found.outputs} == set(outputs) == set(wanted)
    for name, values in outputs.items():
        np.testing.assert_allclose(values, np.load(folder / f"{name}.npy"), atol=1e-4)
        np.testing.assert_allclose(values, keras.ops.convert_to_numpy(wanted[name]), atol=1e-4)
    with pytest.raises(OutputError, match="1 is there already"):
        mitozoo.export(model, out=tmp_path, to="bioimageio", version=1)


def test_what_the_validator_refuses_is_not_written(tmp_path, monkeypatch):
    pytest.importorskip("bioimageio.spec")
    from mitozoo.export import bioimageio as written

    monkeypatch.setattr(written, "_cite", lambda source: [{"text": "no DOI"}])
    with pytest.raises(ExportError) as caught:
        mitozoo.export("cnn12", out=tmp_path / "out", to="bioimageio")
    assert str(caught.value).startswith("The description is not one of BioImage.IO. Nothing was written. Report this:")
    assert list((tmp_path / "out").rglob("rdf.yaml")) == []

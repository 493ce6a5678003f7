"""Versions, files beside the model, the check before it is published, and what is refused."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from painted import RED, painted_weights, painted_zoo, png_header, save, spotted  # noqa: F401

import mitozoo
from mitozoo.base.errors import MitozooError, OutputError
from mitozoo.export.serving import agreement as measuring
from mitozoo.export.serving import publish as publishing
from mitozoo.export.serving import warmup
from mitozoo.export.serving.agreement import Agreement
from mitozoo.export.serving.check import ExportError, check_saved, difference
from mitozoo.export.serving.configs import models_config, parse_serve, versions_of
from mitozoo.export.serving.precision import in_int8, quantised
from mitozoo.inference.predictor import Predictor
from mitozoo.models import zoo

pytestmark = pytest.mark.usefixtures("painted_zoo")


@pytest.fixture(scope="module")
def served(painted_weights, tmp_path_factory):  # noqa: F811
    """Folder with "colour" (a cnn12 that sees colours), exported and checked."""
    out = tmp_path_factory.mktemp("served")
    mitozoo.export("cnn12", weights=painted_weights / "colour.weights.h5", name="colour", out=out)
    return out


@pytest.fixture
def quick(monkeypatch):
    """Nothing is traced: a SavedModel is an empty file."""

    class Nothing:
        def save(self, folder):
            (folder / "saved_model.pb").write_bytes(b"")

    monkeypatch.setattr(publishing, "_served", lambda *args: Nothing())
    monkeypatch.setattr(publishing, "check_saved", lambda *args: None)


def test_what_is_in_the_folder(served, painted_weights):  # noqa: F811
    assert {item.name for item in served.iterdir()} == {
        "colour", "colour.json", "models.config", "batching.config", "monitoring.config"
    }  # fmt: skip
    version = served / "colour" / "1"
    assert {item.name for item in (version / "assets.extra").iterdir()} == {warmup.FILE_NAME, "mitozoo.json"}
    about = json.loads((version / "assets.extra" / "mitozoo.json").read_text())
    beside = json.loads((served / "colour.json").read_text())
    assert beside == {**about, "serve": "all"}
    assert about["classes"] == ["non_mitotic", "mitotic_figure", "atypical_mitotic_figure"]
    assert about == about | {
        "name": "colour", "model": "cnn12", "task": "classify", "um_per_px": 0.25, "threshold": 0.5,
        "look_again": 0.5 / 1.5, "radius_px": 30.0, "precision": "float32", "quantize": None, "version": 1,
        "mitozoo": mitozoo.__version__, "decoder": {}, "max_px": 100_000_000,
        "weights_sha256": zoo.load("cnn12", painted_weights / "colour.weights.h5").sha256,
    }  # fmt: skip


@pytest.fixture(scope="module")
def signatures(served):
    return tf.saved_model.load(str(served / "colour" / "1")).signatures


def test_red_is_a_mitotic_figure_for_the_server(signatures):
    run = signatures["image_tensor"]
    found = run(image_tensor=tf.constant(spotted([(200, 300)], RED)[None]))
    assert found["valid"].numpy().tolist() == [1]
    np.testing.assert_allclose(found["points"][0, 0, :2], (200, 300), atol=8)
    assert found["points"][0, 0, 3] == 1


def test_the_signatures_and_their_defaults(served):
    from tensorflow.core.protobuf import saved_model_pb2

    model = saved_model_pb2.SavedModel()
    model.ParseFromString((served / "colour" / "1" / "saved_model.pb").read_bytes())
    signatures = model.meta_graphs[0].signature_def
    inputs = {name: sorted(item.inputs) for name, item in signatures.items() if not name.startswith("__")}
    assert inputs == {
        "serving_default": ["image_bytes"],
        "image_bytes": ["image_bytes"],
        "image_tensor": ["image_tensor"],
        "image_bytes_at": ["image_bytes", "radius_px", "threshold"],
        "image_tensor_at": ["image_tensor", "radius_px", "threshold"],
    }
    for name in ("image_bytes_at", "image_tensor_at"):
        defaults = {key: tf.make_ndarray(value).tolist() for key, value in signatures[name].defaults.items()}
        assert defaults == {"threshold": [0.5], "radius_px": [30.0]}
        # The batch has no fixed size, neither of images nor of what goes with them.
        assert {item.tensor_shape.dim[0].size for item in signatures[name].inputs.values()} == {-1}


def test_saved_model_cli_shows_it(served):
    command = [sys.executable, "-m", "tensorflow.python.tools.saved_model_cli", "show", "--all", "--dir"]
    done = subprocess.run([*command, str(served / "colour" / "1")], capture_output=True, text=True, check=True)
    for name in ("serving_default", "image_bytes", "image_tensor", "image_bytes_at", "image_tensor_at"):
        assert f"signature_def['{name}']" in done.stdout
    assert "shape: (-1, -1, 4)" in done.stdout and "DT_STRING" in done.stdout


def test_warm_up_requests_run(served, signatures):
    pytest.importorskip("tensorflow_serving")
    seen = []
    for name, inputs in warmup.read(served / "colour" / "1" / "assets.extra" / warmup.FILE_NAME):
        outputs = signatures[name](**{key: tf.constant(value) for key, value in inputs.items()})
        seen.append((name, int(outputs["valid"].shape[0])))
    names = ("image_bytes", "image_tensor", "image_bytes_at")
    assert seen == [(name, count) for count in (1, 2) for name in names]


def test_without_the_messages_of_the_server_there_is_a_note(quick, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tensorflow_serving.apis", None)
    done = mitozoo.export("colour", out=tmp_path)
    assert done.notes == ('No warm-up requests were written: they need pip install "mitozoo[serving]".',)
    assert not (done.folder / "assets.extra" / warmup.FILE_NAME).exists()


def test_versions_rise_and_none_is_replaced(quick, tmp_path):
    assert mitozoo.export("colour", out=tmp_path).folder.name == "1"
    assert mitozoo.export("colour", out=tmp_path, version=7).folder.name == "7"
    assert mitozoo.export("colour", out=tmp_path).folder.name == "8"
    (tmp_path / "colour" / "notes").mkdir()
    assert versions_of(tmp_path / "colour") == [1, 7, 8]
    with pytest.raises(OutputError) as caught:
        mitozoo.export("colour", out=tmp_path, version=7)
    wanted = f"{tmp_path}/colour/7 is there already. Choose another --version, or leave it out to take the next one."
    assert str(caught.value) == wanted


def test_what_answers_otherwise_is_not_published(monkeypatch, tmp_path):
    def other(temporary, predictor, precision, radius_px):
        raise ExportError("no")

    out = tmp_path / "out"
    monkeypatch.setattr(publishing, "check_saved", other)
    monkeypatch.setattr(publishing, "_served", lambda *args: type("S", (), {"save": lambda self, folder: None})())
    with pytest.raises(ExportError, match="no"):
        mitozoo.export("colour", out=out)
    assert list(out.iterdir()) == []


def test_the_check_notices_other_weights_and_a_broken_file(served, tmp_path):
    folder = tmp_path / "1"
    shutil.copytree(served / "colour" / "1", folder)
    with pytest.raises(ExportError) as caught:
        check_saved(folder, Predictor(zoo.load("stn"), threshold=0.0), "float32", 30.0)
    assert str(caught.value).startswith(
        "The exported model does not answer as predict does (image_bytes, drawn image 1: "
    )
    (folder / "saved_model.pb").write_bytes(b"not a model")
    with pytest.raises(ExportError, match="The exported model cannot be run alone: .* Nothing was published."):
        check_saved(folder, Predictor(zoo.load("colour")), "float32", 30.0)


@pytest.mark.parametrize(
    ("points", "said"),
    [
        ([(10, 20, 0.9, 1)], None),
        ([(10.4, 20, 0.90005, 1)], None),
        ([], "0.9000 at 10.0, 20.0 px is missing"),
        ([(10, 20, 0.8, 1)], "0.9000 at 10.0, 20.0 px is missing"),
        ([(10, 21, 0.9, 1)], "0.9000 at 10.0, 20.0 px is missing"),
        ([(10, 20, 0.9, 1), (10, 20, 0.9, 1)], "0.9000 at 10.0, 20.0 px is not there"),
        ([(10, 20, 0.9, 1), (50, 50, 0.50001, 1)], None),
    ],
)
def test_what_counts_as_a_difference(points, said):
    from mitozoo.base.points import Detection

    wanted = [Detection(10, 20, 0.9), Detection(70, 70, 0.50002), Detection(90, 90, 0.3)]
    assert difference(wanted, np.array(points, float).reshape(-1, 4), 0.5, 0.5, 1e-4) == said


def test_kernels_in_8_bits_by_hand():
    kernel = np.array([[127.0, 0.5], [-63.6, -1.0]], np.float32)
    whole, scale = quantised(kernel)
    assert whole.dtype == np.int8 and whole.tolist() == [[127, 64], [-64, -127]]
    np.testing.assert_allclose(scale, [[1.0, 1 / 127]])
    depthwise = np.arange(-6.0, 6.0, dtype=np.float32).reshape(2, 2, 3, 1)
    whole, scale = quantised(depthwise)
    assert scale.shape == (1, 1, 3, 1) and np.abs(whole * scale - depthwise).max() <= scale.max() / 2
    assert quantised(np.zeros((3, 2), np.float32))[0].tolist() == [[0, 0]] * 3


def test_int8_is_stored_so_and_answers_so(monkeypatch, tmp_path):
    monkeypatch.setattr(measuring, "DRAWN_FIELDS", 1)
    monkeypatch.setattr(measuring, "DRAWN_PX", 256)
    done = mitozoo.export("stn", out=tmp_path, quantize="int8", force=True, threshold=0.3)
    about = json.loads((done.folder / "assets.extra" / "mitozoo.json").read_text())
    assert about["quantize"] == "int8" and about["agreement"]["images"] == 1
    stored = (done.folder / "variables" / "variables.data-00000-of-00001").stat().st_size
    assert stored < 1.1 * 1_497_993
    # The check compared the graph with these very weights.
    exact, rounded = zoo.load("stn"), in_int8(zoo.load("stn"))
    pairs = list(zip(exact.model.get_weights(), rounded.model.get_weights(), strict=True))
    assert any((a != b).any() for a, b in pairs)
    assert max(float(np.abs(a - b).max()) for a, b in pairs) <= max(float(np.abs(a).max()) for a, _ in pairs) / 254


@pytest.mark.parametrize(("same", "calls"), [(94, 100), (0, 0)])
def test_int8_that_calls_other_cells_is_refused(same, calls, quick, monkeypatch, tmp_path):
    found = Agreement(images=6, same=same, calls=calls, largest_change=0.25)
    monkeypatch.setattr(publishing, "agreement", lambda *args: found)
    monkeypatch.setattr(publishing, "drawn", lambda um_per_px: [])
    with pytest.raises(ExportError) as caught:
        mitozoo.export("colour", out=tmp_path, quantize="int8")
    said = (
        "94 of 100 calls the same (94.0%) in 6 images, largest change of a score 0.2500"
        if calls
        else "no mitotic figure in 6 images, with or without fewer bits"
    )
    assert str(caught.value) == (
        f"With int8 the model does not call the same cells as with float32: {said}; 95% are needed. Measure it on your "
        "own images with --measure FOLDER, leave --quantize out, or take it with --force."
    )
    assert mitozoo.export("colour", out=tmp_path, quantize="int8", force=True).agreement == found
    assert mitozoo.export("colour", out=tmp_path, precision="float16").agreement == found


def test_agreement_by_hand(monkeypatch):
    from mitozoo.base.points import Detection

    class Says:
        threshold = 0.5

        def __init__(self, *found):
            self.found = found

        def detections(self, pixels, um_per_px):
            return list(self.found)

    first = Says(Detection(10, 10, 0.9), Detection(200, 10, 0.6), Detection(300, 10, 0.4))
    # 20 px are 5 µm, 40 px are 10 µm.
    second = Says(Detection(30, 10, 0.8), Detection(240, 10, 0.6), Detection(300, 10, 0.7))
    found = measuring.agreement(first, second, [(np.zeros((4, 4, 3), np.uint8), 0.25)] * 2)
    assert (found.images, found.same, found.calls) == (2, 2, 8) and found.share == 0.25
    assert found.largest_change == pytest.approx(0.1)


def test_images_to_measure_on_are_read(quick, tmp_path):
    save(tmp_path / "images" / "a.png", spotted([(200, 300), (400, 100)], RED))
    done = mitozoo.export("colour", out=tmp_path / "out", precision="bfloat16", measure=tmp_path / "images")
    assert (done.agreement.images, done.agreement.same, done.agreement.calls) == (1, 2, 2)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"name": "a/b"}, "--name takes letters, digits and _ . + -, got 'a/b'."),
        ({"version": 0}, "--version is a whole number from 1 up, got 0."),
        ({"precision": "int4"}, "--precision is one of float32, bfloat16, float16, got 'int4'."),
        ({"quantize": "int4"}, "--quantize knows int8 alone, got 'int4'."),
        ({"max_mpx": 500}, "--max-mpx must be above 0 and at most 400, got 500."),
        ({"serve": "1,x"}, "--serve is all, latest, or versions such as 1,3, got '1,x'."),
        ({"threshold": 2}, "--threshold is a score between 0 and 1, got 2."),
        ({"to": "onix"}, "No target of an export named 'onix'. Did you mean 'onnx'?"),
    ],
)
def test_settings_that_make_no_sense(settings, said, tmp_path):
    with pytest.raises(MitozooError) as caught:
        mitozoo.export("colour", out=tmp_path, **settings)
    assert str(caught.value) == said


def parsed(text, name, fields):
    """Read a text protocol buffer by a message with these fields: name, number, type, repeated."""
    kinds = {"int64": 3, "bool": 8, "string": 9}
    file = descriptor_pb2.FileDescriptorProto(name=f"{name}.proto", package="t", syntax="proto3")
    value = file.message_type.add(name="Int64Value")
    value.field.add(name="value", number=1, type=3, label=1)
    for message, members in fields.items():
        item = file.message_type.add(name=message)
        for key, number, kind, repeated in members:
            own = {"type": kinds[kind]} if kind in kinds else {"type": 11, "type_name": f".t.{kind}"}
            item.field.add(name=key, number=number, label=3 if repeated else 1, **own)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return text_format.Parse(text, message_factory.GetMessageClass(pool.FindMessageTypeByName(f"t.{name}"))())


def test_batching_and_monitoring_are_what_the_server_reads(served):
    # Fields of session_bundle_config.proto and monitoring_config.proto of TensorFlow Serving.
    batching = {
        "BatchingParameters": [
            ("max_batch_size", 1, "Int64Value", False),
            ("batch_timeout_micros", 2, "Int64Value", False),
            ("max_enqueued_batches", 3, "Int64Value", False),
            ("num_batch_threads", 4, "Int64Value", False),
            ("allowed_batch_sizes", 6, "int64", True),
        ]
    }
    found = parsed((served / "batching.config").read_text(), "BatchingParameters", batching)
    sizes = list(found.allowed_batch_sizes)
    assert sizes == sorted(sizes) and sizes[-1] == found.max_batch_size.value == 8
    assert found.batch_timeout_micros.value > 0 < found.max_enqueued_batches.value and found.num_batch_threads.value > 0
    monitoring = {
        "MonitoringConfig": [("prometheus_config", 1, "PrometheusConfig", False)],
        "PrometheusConfig": [("enable", 1, "bool", False), ("path", 2, "string", False)],
    }
    found = parsed((served / "monitoring.config").read_text(), "MonitoringConfig", monitoring)
    assert found.prometheus_config.enable and found.prometheus_config.path == "/monitoring/prometheus/metrics"


def test_models_config_is_what_the_server_reads(quick, tmp_path):
    config = pytest.importorskip("tensorflow_serving.config.model_server_config_pb2")
    for name, serve in (("a", "all"), ("b", "latest"), ("c", "3,1")):
        mitozoo.export("colour", out=tmp_path, name=name, serve=serve)
    (tmp_path / "nothing").mkdir()
    (tmp_path / "batching.config").write_text("max_batch_size { value: 2 }")
    mitozoo.export("colour", out=tmp_path, name="a")
    found = text_format.Parse((tmp_path / "models.config").read_text(), config.ModelServerConfig())
    entries = found.model_config_list.config
    assert [(item.name, item.base_path, item.model_platform) for item in entries] == [
        (name, f"/models/{name}", "tensorflow") for name in "abc"
    ]
    policies = [item.model_version_policy for item in entries]
    assert [item.WhichOneof("policy_choice") for item in policies] == ["all", "latest", "specific"]
    assert list(policies[2].specific.versions) == [1, 3]
    assert (tmp_path / "batching.config").read_text() == "max_batch_size { value: 2 }"


def test_versions_that_are_served():
    assert parse_serve("all") == "all" and parse_serve("12") == [12]
    assert 'name: "x"' in models_config({"x": "all"})


def test_a_small_file_of_many_pixels_is_refused(signatures):
    run = signatures["image_bytes"]
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"image_bytes\[0\] is 20000 x 20000 px; between 1 and"):
        run(image_bytes=tf.constant([png_header(20_000, 20_000)]))


@pytest.mark.parametrize(
    ("threshold", "radius_px", "said"),
    [
        ([0.5, 0.5, 0.5], [30.0], "threshold: 3 values for 2 images. Send one, or one for each image."),
        ([0.5], [], "radius_px: 0 values for 2 images. Send one, or one for each image."),
        ([1.5], [30.0], "threshold must be a score from 0 to 1."),
        ([float("nan")], [30.0], "threshold must be a score from 0 to 1."),
        ([0.5], [-1.0], "radius_px must be a number of pixels, 0 or more."),
    ],
)
def test_a_threshold_that_makes_no_sense_is_refused(signatures, threshold, radius_px, said):
    run = signatures["image_tensor_at"]
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        run(
            image_tensor=tf.zeros((2, 8, 8, 3), tf.uint8),
            threshold=tf.constant(threshold, tf.float32),
            radius_px=tf.constant(radius_px, tf.float32),
        )
    assert said in str(caught.value)

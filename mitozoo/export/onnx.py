"""The networks of a model as ONNX files. What comes before and after them (tiles, peaks, merging) stays in mitozoo.

The whole graph cannot be converted: ONNX has no operators that decode images.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mitozoo import __version__
from mitozoo.base.errors import RecipeError
from mitozoo.base.files import whole_folder
from mitozoo.base.quiet import errors_held_back
from mitozoo.export.documents import write_json
from mitozoo.export.serving.check import ExportError
from mitozoo.export.serving.publish import Options, Published, next_folder
from mitozoo.models.verifiers import verifiers_of
from mitozoo.models.zoo import LoadedModel

#: Operator set of the files.
OPSET = 17
#: Largest difference between the outputs of ONNX Runtime and of Keras, absolute and relative to the largest.
TOLERANCE = 1e-4
#: Networks of a task: file, and the layer of the model, or None for the whole.
NETWORKS: dict[str, dict[str, str | None]] = {
    "classify": {"classifier": None},
    "locate-classify": {"localizer": "localizer", "classifier": "classifier"},
    "propose-verify": {"proposer": "proposer", "verifier": "verifier"},
}
#: Side of the images that networks for any size are compared on: not that of any window.
_TRIAL_PX = 200


def write_onnx(loaded: LoadedModel, out: Path, options: Options) -> Published:
    """Write a model's networks as ONNX into `out/<name>/<version>/`, with onnx.json, which describes them.

    All take float32 (batch, h, w, 3), RGB in [0, 1]; they are compared with Keras in ONNX Runtime first.
    Args: loaded; out, folder of all exported models; options, of which name, version and check count.
    Raises: RecipeError for an unknown task, or where tf2onnx or onnxruntime is missing; OutputError for a version that
        is there; ExportError for a network that gives other numbers.
    """
    if loaded.spec.task not in NETWORKS:
        raise RecipeError(f"Models of the task {loaded.spec.task!r} cannot be exported to ONNX yet.")
    tf2onnx, runtime = _needed()
    target = next_folder(out / (options.name or loaded.name), options.version)
    with whole_folder(target) as temporary:
        networks = {}
        for file, layer in _networks(loaded).items():
            network = loaded.model if layer is None else loaded.model.get_layer(layer)
            path = temporary / f"{file}.onnx"
            signature = [tf.TensorSpec(network.input_shape, tf.float32, name="image")]
            with errors_held_back():
                tf2onnx.convert.from_function(_named(network, signature), signature, opset=OPSET, output_path=str(path))
            if options.check:
                _compare(runtime, path, network)
            networks[path.name] = {"input": list(network.input_shape), "outputs": sorted(_outputs(network))}
        about = {
            "name": options.name or loaded.name,
            "classes": list(loaded.spec.classes),
            "um_per_px": loaded.spec.um_per_px,
            "task": loaded.spec.task,
            "decoder": dict(loaded.decoder),
            "threshold": loaded.threshold,
            "weights_sha256": loaded.sha256,
            "mitozoo": __version__,
            "opset": OPSET,
            "networks": networks,
        }
        write_json(temporary / "onnx.json", about, indent=2)
    return Published(target)


def _networks(loaded: LoadedModel) -> dict[str, str | None]:
    """File and layer of every network of a model."""
    found = dict(NETWORKS[loaded.spec.task])
    if "verifier" in found:
        found |= {layer.name: layer.name for layer in verifiers_of(loaded.model)}
    return found


def _needed() -> tuple[Any, Any]:
    try:
        import onnxruntime
        import tf2onnx
    except ImportError as error:
        raise RecipeError(f'Export to ONNX needs {error.name}: pip install "mitozoo[onnx]".') from None
    return tf2onnx, onnxruntime


def _outputs(network: keras.Model) -> list[str]:
    return list(network.output) if isinstance(network.output, dict) else ["output"]


def _named(network: keras.Model, signature: list[tf.TensorSpec]) -> Any:
    def run(image: tf.Tensor) -> dict[str, tf.Tensor]:
        found = network(image, training=False)
        return found if isinstance(found, dict) else {"output": found}

    return tf.function(run, input_signature=signature, autograph=False)


def _compare(runtime: Any, path: Path, network: keras.Model) -> None:
    """Raises: ExportError where ONNX Runtime gives other numbers than Keras for two images of noise."""
    shape = [2, *(_TRIAL_PX if side is None else side for side in network.input_shape[1:])]
    images = np.random.default_rng(0).random(shape, np.float32)
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [item.name for item in session.get_outputs()]
    found = dict(zip(names, session.run(names, {session.get_inputs()[0].name: images}), strict=True))
    wanted = network(images, training=False)
    wanted = wanted if isinstance(wanted, dict) else {"output": wanted}
    for name, values in wanted.items():
        exact = keras.ops.convert_to_numpy(values)
        furthest = float(np.abs(found[name] - exact).max())
        if not furthest <= TOLERANCE * max(1.0, float(np.abs(exact).max())):
            raise ExportError(
                f"{path.name} gives other numbers than Keras: {name} is up to {furthest:.2g} off. Nothing was written. "
                "Report this, or take it as it is with --no-check."
            )

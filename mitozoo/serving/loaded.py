"""One version of a model: a SavedModel that runs without any of the code that made it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mitozoo.serving.images import MAX_PX, check_images
from mitozoo.serving.signature import Signature, Tensors, pick, read_signatures
from mitozoo.serving.status import Code, Refused, graph_message, plain

#: What an export says of its model for clients, in the SavedModel's folder.
ABOUT_FILE = Path("assets.extra") / "mitozoo.json"
WARMUP_FILE = Path("assets.extra") / "tf_serving_warmup_requests"


class ServedVersion:
    """A loaded version. Attributes: name, version, folder, signatures, definitions (protocol buffers), about."""

    def __init__(self, name: str, version: int, folder: Path) -> None:
        """Load it and run its warm-up requests. Raises: Refused saying why that is not possible."""
        import tensorflow as tf

        self.name, self.version, self.folder = name, version, folder
        try:
            self.signatures, self.definitions = read_signatures(folder)
            self.about = read_about(folder)
            self._model = tf.saved_model.load(str(folder))
            self._warm_up()
        except Exception as error:
            # Whatever is wrong with the files of one version must not stop the others.
            text = str(error) if isinstance(error, Refused) else f"{type(error).__name__}: {graph_message(str(error))}"
            raise Refused(Code.UNAVAILABLE, f"{name} {version} cannot be loaded: {text}") from error

    def _warm_up(self) -> None:
        path = self.folder / WARMUP_FILE
        if not path.is_file():
            return
        from mitozoo.export.serving import warmup

        for signature, inputs in warmup.read(path):
            self.run(signature, inputs)

    @property
    def max_px(self) -> int:
        """Largest image, in pixels, that the model searches at once."""
        return int(self.about.get("max_px", MAX_PX))

    def prepare(self, signature: str, given: Mapping[str, np.ndarray]) -> tuple[Signature, Tensors]:
        """The signature and its inputs, all checked. Raises: Refused."""
        wanted = pick(self.signatures, signature)
        inputs = wanted.complete(given)
        check_images(inputs, self.max_px)
        return wanted, inputs

    def run(self, signature: str, inputs: Mapping[str, np.ndarray]) -> Tensors:
        """Run a signature.

        Raises: Refused with the reason that the graph or TensorFlow gives.
        """
        import tensorflow as tf

        function = self._model.signatures[pick(self.signatures, signature).name]
        try:
            found = function(**{name: tf.constant(value) for name, value in inputs.items()})
            return {name: value.numpy() for name, value in found.items()}
        except (tf.errors.ResourceExhaustedError, MemoryError):
            text = f"{self.name}: not enough memory for this request. Send smaller images, or fewer at once."
            raise Refused(Code.RESOURCE_EXHAUSTED, text) from None
        except tf.errors.InvalidArgumentError as error:
            raise Refused(Code.INVALID_ARGUMENT, graph_message(error.message)) from None
        except (tf.errors.OpError, TypeError, ValueError) as error:
            # What a graph cannot compute is the input's fault as far as this server can tell.
            raise Refused(Code.INVALID_ARGUMENT, graph_message(str(error))) from None


def read_about(folder: Path) -> dict[str, Any]:
    """What the export says of a version; empty where it says nothing."""
    path = folder / ABOUT_FILE
    if not path.is_file():
        return {}
    found = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(found, dict):
        raise Refused(Code.INTERNAL, f"{plain(str(path))} is no JSON object.")
    return found

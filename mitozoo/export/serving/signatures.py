"""The SavedModel: its signatures, and what they take and give.

`image_bytes` (also `serving_default`): PNG or JPEG, string (batch,). `image_tensor`: uint8 (batch, h, w, 3), RGB. Both
also with `_at` behind their name, with threshold and radius_px, float32 (batch,) or (1,), which have defaults: score
from which a point counts, and pixels within which two are one cell.

All give `points`, float32 (batch, k, 4) of x_px, y_px, score and class (index into the model's classes), by falling
score, -1 where an image has fewer; `valid`, int32 (batch,), how many count; `probabilities`, float32 (batch, k,
classes). Those with `_at` also give `heatmap`, float32 (batch, h, w) at the model's stride, -1 beyond an image, if the
model proposes places.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from mitozoo.export.serving.graph import Found, search_batch, search_of
from mitozoo.export.serving.images import check_pixels, decoded
from mitozoo.export.serving.precision import Weights
from mitozoo.models.folding import folded
from mitozoo.models.zoo import LoadedModel

Outputs = dict[str, tf.Tensor]


class Served(tf.Module):
    """A model with its search, ready to be saved."""

    def __init__(
        self,
        loaded: LoadedModel,
        settings: Mapping[str, Any],
        *,
        threshold: float,
        cut: float,
        radius_px: float,
        int8: bool,
        most_px: int,
    ) -> None:
        """Prepare.

        Args: loaded; settings of its decoder; threshold, cut and radius_px where a request does not say otherwise;
            int8, whether kernels are stored so; most_px, pixels of the largest image that is searched.
        Raises: RecipeError for a task that has no graph.
        """
        super().__init__()
        model = folded(loaded.model)
        search = search_of(loaded.spec.task, model, settings)
        self._weights = Weights(model, int8=int8)
        self.variables_of_model = self._weights.stored

        def of_one(image: tf.Tensor, cut: tf.Tensor, radius_px: tf.Tensor) -> Found:
            with self._weights.in_use():
                return search(image, cut, radius_px)

        # One function that all signatures call: traced once, and in the file once.
        numbers = [tf.TensorSpec((), tf.float64)] * 2
        pixels = tf.TensorSpec((None, None, 3), tf.uint8)
        self._search = tf.function(of_one, input_signature=[pixels, *numbers], autograph=False)
        self._classes, self._cut, self._most_px = loaded.spec.classes, cut, most_px
        self._threshold, self._radius_px = threshold, radius_px

    def save(self, folder: Path) -> None:
        """Write the SavedModel."""
        tf.saved_model.save(self, str(folder), signatures=self._signatures())

    def _signatures(self) -> dict[str, Any]:
        contents = tf.TensorSpec((None,), tf.string, name="image_bytes")
        pixels = tf.TensorSpec((None, None, None, 3), tf.uint8, name="image_tensor")
        image_bytes = self._plain(contents, self._of_bytes)
        return {
            "serving_default": image_bytes,
            "image_bytes": image_bytes,
            "image_tensor": self._plain(pixels, self._of_pixels),
            "image_bytes_at": self._at(contents, self._of_bytes),
            "image_tensor_at": self._at(pixels, self._of_pixels),
        }

    def _of_bytes(self, contents: tf.Tensor) -> Callable[[tf.Tensor], tf.Tensor]:
        return lambda i: decoded(contents, i, self._most_px)

    def _of_pixels(self, images: tf.Tensor) -> Callable[[tf.Tensor], tf.Tensor]:
        checked = check_pixels(images, self._most_px)
        return lambda i: checked[i]

    def _plain(self, spec: tf.TensorSpec, image_at: Callable[[tf.Tensor], Callable]) -> Any:
        def outputs(images: tf.Tensor) -> Outputs:
            count = tf.shape(images)[0]
            found = self._run(image_at(images), tf.fill((count,), self._threshold), tf.fill((count,), self._radius_px))
            found.pop("heatmap", None)
            return found

        # The name of an argument is that of the signature's input.
        def of_bytes(image_bytes: tf.Tensor) -> Outputs:
            return outputs(image_bytes)

        def of_tensor(image_tensor: tf.Tensor) -> Outputs:
            return outputs(image_tensor)

        function = of_bytes if spec.dtype == tf.string else of_tensor
        return tf.function(function, input_signature=[spec], autograph=False)

    def _at(self, spec: tf.TensorSpec, image_at: Callable[[tf.Tensor], Callable]) -> Any:
        def outputs(images: tf.Tensor, threshold: tf.Tensor, radius_px: tf.Tensor) -> Outputs:
            count = tf.shape(images)[0]
            threshold = _for_each("threshold", threshold, count, "a score from 0 to 1", 1.0)
            radius_px = _for_each("radius_px", radius_px, count, "a number of pixels, 0 or more", float("inf"))
            return self._run(image_at(images), threshold, radius_px)

        specs = [spec, *(tf.TensorSpec((None,), tf.float32, name=name) for name in ("threshold", "radius_px"))]
        # Default values of arguments become those of the signature, which a server fills in.
        score, radius = tf.constant([self._threshold], tf.float32), tf.constant([self._radius_px], tf.float32)

        def of_bytes(image_bytes: tf.Tensor, threshold: tf.Tensor = score, radius_px: tf.Tensor = radius) -> Outputs:
            return outputs(image_bytes, threshold, radius_px)

        def of_tensor(image_tensor: tf.Tensor, threshold: tf.Tensor = score, radius_px: tf.Tensor = radius) -> Outputs:
            return outputs(image_tensor, threshold, radius_px)

        function = of_bytes if spec.dtype == tf.string else of_tensor
        return tf.function(function, input_signature=specs, autograph=False)

    def _run(self, image_at: Callable[[tf.Tensor], tf.Tensor], threshold: tf.Tensor, radius_px: tf.Tensor) -> Outputs:
        return search_batch(self._search, self._classes, self._cut, image_at, threshold, radius_px)


def _for_each(name: str, values: tf.Tensor, count: tf.Tensor, what: str, most: float) -> tf.Tensor:
    """One value for each image: as given, or the only one given.

    Raises, when the graph runs: InvalidArgumentError for another number of values, or one that makes no sense.
    """
    given = tf.size(values)
    numbers = [f"{name}: ", tf.strings.as_string(given), " values for ", tf.strings.as_string(count), " images. "]
    many = tf.strings.join([*numbers, "Send one, or one for each image."])
    sound = tf.reduce_all((values >= 0.0) & (values <= most) & tf.math.is_finite(values))
    checks = [
        tf.debugging.Assert((given == 1) | (given == count), [many]),
        tf.debugging.Assert(sound, [f"{name} must be {what}."]),
    ]
    with tf.control_dependencies(checks):
        return tf.broadcast_to(values, (count,))

"""From a batch of images to rows of points, in the graph. A task's decoder is one file here, see `BUILDERS`."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from mitozoo.base.errors import RecipeError
from mitozoo.base.points import MITOTIC_CLASSES
from mitozoo.export.serving.merging import strongest_first
from mitozoo.inference.decoders import decoder

#: Task of a model: the module whose `build` gives the search of its decoder.
BUILDERS = {
    "classify": "mitozoo.export.serving.classify",
    "detect": "mitozoo.export.serving.detect",
    "locate-classify": "mitozoo.export.serving.locate_classify",
    "propose-verify": "mitozoo.export.serving.propose_verify",
    "segment": "mitozoo.export.serving.segment",
    "segment-concentric": "mitozoo.export.serving.segment",
    "segment-fused": "mitozoo.export.serving.segment",
}
#: What stands where an image of the batch has fewer points, or is smaller, than the largest.
PADDING = -1.0


class Found(NamedTuple):
    """What a search finds in one image.

    Attributes: xy float64 (n, 2) in pixels, centres at integers; probabilities float64 (n, classes); heat float32
    (h, w), a map at the model's stride, or None.
    """

    xy: tf.Tensor
    probabilities: tf.Tensor
    heat: tf.Tensor | None = None


#: From an image uint8 (H, W, 3), the score under which candidates are dropped and the radius within which they are one
#: (both float64) to candidates.
Search = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], Found]


def search_of(task: str, model: Any, settings: Mapping[str, Any]) -> Search:
    """Return the search of one image by a model, as its decoder does it. Raises: RecipeError for an unknown task."""
    if task not in BUILDERS:
        raise RecipeError(
            f"Models of the task {task!r} cannot be exported with everything in the graph yet. "
            f"Export one of these: {', '.join(sorted(BUILDERS))}."
        )
    search: Search = importlib.import_module(BUILDERS[task]).build(decoder(task, model, settings))
    return search


def search_batch(
    search: Search,
    classes: Sequence[str],
    cut: float,
    image_at: Callable[[tf.Tensor], tf.Tensor],
    threshold: tf.Tensor,
    radius_px: tf.Tensor,
) -> dict[str, tf.Tensor]:
    """Search the images of a batch one after another, which bounds memory.

    Args: search; classes, names in the model's order; cut, score under which the decoder drops candidates; image_at,
        from the number of an image to its pixels uint8 (H, W, 3); threshold, radius_px, float32 (batch,).
    Returns: points, valid, probabilities and heatmap as `mitozoo.export.serving.signatures` describes them; heatmap
        only where the search gives one.
    """
    heated = False

    def step(i: tf.Tensor, *stacks: tf.Tensor) -> list[tf.Tensor]:
        nonlocal heated
        limit = tf.cast(threshold[i], tf.float64)
        # What the decoder drops, no threshold brings back.
        found = search(image_at(i), tf.minimum(limit, cut), tf.cast(radius_px[i], tf.float64))
        rows, probabilities = _rows(found, classes, limit)
        heated = found.heat is not None
        heat = found.heat if heated else tf.zeros((0, 0))
        items = (rows, tf.shape(rows)[0], probabilities, heat)
        return [i + 1, *(_appended(stack, item) for stack, item in zip(stacks, items, strict=True))]

    count = len(classes)
    stacks = [tf.zeros((0, 0, 4)), tf.zeros((0,), tf.int32), tf.zeros((0, 0, count)), tf.zeros((0, 0, 0))]
    shapes = [(None, None, 4), (None,), (None, None, count), (None, None, None)]
    invariants = [tf.TensorShape(()), *(tf.TensorShape(shape) for shape in shapes)]
    _, points, valid, probabilities, heat = tf.while_loop(
        lambda i, *_: i < tf.shape(threshold)[0],
        step,
        [0, *stacks],
        shape_invariants=invariants,
        parallel_iterations=1,
    )
    found = {"points": points, "valid": valid, "probabilities": probabilities}
    return {**found, "heatmap": heat} if heated else found


def _rows(found: Found, classes: Sequence[str], threshold: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Points float32 (k, 4) and probabilities (k, classes) from the threshold up, by falling score, then y, then x."""
    mitotic = [i for i, name in enumerate(classes) if name in MITOTIC_CLASSES]
    among = tf.gather(found.probabilities, mitotic, axis=1)
    score = tf.reduce_sum(among, axis=1)
    label = tf.cast(tf.gather(tf.constant(mitotic), tf.argmax(among, axis=1)), tf.float64)
    order = strongest_first(found.xy, score)
    order = tf.boolean_mask(order, tf.gather(tf.minimum(score, 1.0), order) >= threshold)
    rows = tf.concat([found.xy, tf.minimum(score, 1.0)[:, None], label[:, None]], axis=1)
    return tuple(tf.cast(tf.gather(item, order), tf.float32) for item in (rows, found.probabilities))


def _appended(stack: tf.Tensor, item: tf.Tensor) -> tf.Tensor:
    """A stack (n, *sizes) with one more item, both padded to the larger size."""
    if item.shape.rank == 0:
        return tf.concat([stack, item[None]], axis=0)
    sizes = tf.maximum(tf.shape(stack)[1:], tf.shape(item))

    def padded(value: tf.Tensor) -> tf.Tensor:
        lack = tf.concat([[0], sizes - tf.shape(value)[1:]], axis=0)
        return tf.pad(value, tf.stack([tf.zeros_like(lack), lack], axis=1), constant_values=PADDING)

    grown = tf.concat([padded(stack), padded(item[None])], axis=0)
    return tf.ensure_shape(grown, [None, *([None] * (stack.shape.rank - 2)), stack.shape[-1]])

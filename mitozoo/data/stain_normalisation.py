"""Stain normalisation: every image gets the stain of one reference, by Macenko's or by Reinhard's method.

The reference belongs to a model and is stored with it. What an image has before is measured on that image itself; glass
and images of one colour have no stain and stay as they are.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mitozoo.base.errors import DataError, UnknownNameError

if TYPE_CHECKING:
    import tensorflow as tf

KINDS = ("macenko", "reinhard")
#: Optical density (natural logarithm) that tissue has in every channel, and the share of angles left out at both ends.
_BETA, _ALPHA = 0.15, 1.0
#: Fewer pixels of tissue than this tell no stain.
_LEAST_PX = 200
#: More pixels of an image are not measured: its stain is the same all over.
_MOST_PX = 200_000
#: Reference of Macenko et al. 2009 in their own program: haematoxylin and eosin, and their greatest amounts.
_MACENKO = ((0.5626, 0.7201, 0.4062, 0.2159, 0.8012, 0.5581), (1.9705, 1.0308))
#: Means and spreads of l, alpha and beta over 300 patches of AMi-Br (MIDOG21 and TUPAC16).
_REINHARD = ((8.482, -0.1526, 0.0591), (0.5453, 0.1214, 0.0214))
#: To the cones' response and back, and from its logarithm to l, alpha and beta. Source: Reinhard et al. 2001, Eq. 4, 6.
_LMS = np.array([[0.3811, 0.5783, 0.0402], [0.1967, 0.7244, 0.0782], [0.0241, 0.1288, 0.8444]])
_LAB = np.diag([1 / np.sqrt(3), 1 / np.sqrt(6), 1 / np.sqrt(2)]) @ np.array([[1, 1, 1], [1, 1, -2], [1, -1, 0]])
#: Spreads are changed by no more than this factor: an even image would be blown up to noise.
_MOST_CONTRAST = 2.5


@dataclass(frozen=True)
class Stain:
    """What was measured on an image, or what all images shall have.

    Attributes: first, (6,) unit vectors of haematoxylin and eosin in red, green, blue (Macenko) or (3,) means of l,
    alpha, beta (Reinhard); second, (2,) 99th percentiles of their amounts, or (3,) spreads.
    """

    first: tuple[float, ...]
    second: tuple[float, ...]


@dataclass(frozen=True)
class StainNormaliser:
    """Gives images the stain of a reference.

    Attributes: kind, one of `KINDS`; reference.
    Source: Macenko et al. 2009, doi 10.1109/ISBI.2009.5193250; Reinhard et al. 2001, doi 10.1109/38.946629.
    """

    kind: str
    reference: Stain

    def __post_init__(self) -> None:
        """Raises: UnknownNameError for an unknown kind."""
        if self.kind not in KINDS:
            raise UnknownNameError("stain normalisation", self.kind, KINDS)

    @classmethod
    def standard(cls, kind: str) -> StainNormaliser:
        """The normaliser with the reference that needs no fitting. Raises: UnknownNameError."""
        first, second = _REINHARD if kind == "reinhard" else _MACENKO
        return cls(kind, Stain(first, second))

    @classmethod
    def fit(cls, kind: str, images: Iterable[np.ndarray]) -> StainNormaliser:
        """Take the median stain of images uint8 (H, W, 3) as reference. Raises: DataError if none shows tissue."""
        normaliser = cls.standard(kind)
        found = [stain for stain in map(normaliser.measure, images) if stain is not None]
        if not found:
            raise DataError("No image shows stained tissue to fit the normalisation on. Give images with tissue.")
        first, second = (np.median([getattr(s, name) for s in found], axis=0) for name in ("first", "second"))
        if kind == "macenko":
            first = np.ravel(_unit(first.reshape(2, 3)))
        return cls(kind, Stain(tuple(map(float, first)), tuple(map(float, second))))

    def measure(self, pixels: np.ndarray) -> Stain | None:
        """The stain of an image uint8 (H, W, 3), or None where there is none to measure."""
        flat = pixels.reshape(-1, 3)
        flat = flat[:: max(1, len(flat) // _MOST_PX)]
        return (_measure_macenko if self.kind == "macenko" else _measure_reinhard)(flat)

    def transform(self, stain: Stain | None) -> np.ndarray:
        """What `apply` and `apply_graph` do to an image of this stain: float32 (4, 3), a matrix and a shift.

        The matrix acts on rows of optical densities (Macenko, natural logarithm, no shift) or of l, alpha, beta.
        """
        out = np.concatenate([np.eye(3), np.zeros((1, 3))])
        if stain is not None and self.kind == "macenko":
            own, wanted = (np.reshape(s.first, (2, 3)) for s in (stain, self.reference))
            scale = np.divide(self.reference.second, stain.second)
            out[:3] = np.linalg.pinv(own) @ np.diag(scale) @ wanted
        elif stain is not None:
            ratio = np.divide(self.reference.second, np.maximum(stain.second, 1e-6))
            ratio = np.clip(ratio, 1 / _MOST_CONTRAST, _MOST_CONTRAST)
            out[:3] = np.diag(ratio)
            out[3] = np.subtract(self.reference.first, ratio * stain.first)
        return out.astype(np.float32)

    def __call__(self, pixels: np.ndarray, stain: Stain | None = None) -> np.ndarray:
        """Normalise uint8 (H, W, 3); `stain` is that of the image, or of the larger one that it was cut from."""
        stain = self.measure(pixels) if stain is None else stain
        if stain is None:
            return pixels
        change = self.transform(stain)
        values = np.log(_toned(pixels.astype(np.float32), self.kind)) @ _coder(self.kind)
        changed = _untoned(np.exp((values @ change[:3] + change[3]) @ np.linalg.inv(_coder(self.kind))), self.kind)
        if self.kind == "reinhard":
            stained = _stained(np.log((pixels.astype(np.float32) + 1) / 256).mean(axis=-1, keepdims=True))
            changed = stained * changed + (1 - stained) * pixels
        return np.clip(np.round(changed), 0, 255).astype(np.uint8)

    def apply_graph(self, images: tf.Tensor, changes: tf.Tensor) -> tf.Tensor:
        """The same in a graph: images (B, H, W, 3) in [0, 255] and changes (B, 4, 3) of `transform`.

        Returns: float32 (B, H, W, 3) in [0, 255], not rounded.
        """
        import tensorflow as tf

        coder = tf.constant(_coder(self.kind), tf.float32)
        flat = tf.reshape(tf.cast(images, tf.float32), (tf.shape(images)[0], -1, 3))
        if self.kind == "reinhard":
            values = tf.math.log(tf.matmul(flat + 1.0, tf.constant(_LMS.T, tf.float32)))
        else:
            values = tf.math.log((flat + 1.0) / 256.0)
        values = tf.matmul(tf.matmul(values, coder), changes[:, :3]) + changes[:, 3:]
        values = tf.exp(tf.matmul(values, tf.linalg.inv(coder)))
        if self.kind == "reinhard":
            values = tf.matmul(values, tf.constant(np.linalg.inv(_LMS).T, tf.float32)) - 1.0
            level = tf.reduce_mean(tf.math.log((flat + 1.0) / 256.0), axis=-1, keepdims=True)
            stained = tf.clip_by_value(-level / _BETA, 0.0, 1.0)
            values = stained * values + (1.0 - stained) * flat
        else:
            values = values * 256.0 - 1.0
        return tf.reshape(tf.clip_by_value(values, 0.0, 255.0), tf.shape(images))

    def as_json(self) -> str:
        """The state, to be stored with a model."""
        state = {"kind": self.kind, "first": self.reference.first, "second": self.reference.second}
        return json.dumps(state)

    @classmethod
    def from_json(cls, text: str) -> StainNormaliser:
        """From what `as_json` gave. Raises: DataError if it is something else."""
        state = _loaded(text, ("kind", "first", "second"))
        return cls(state["kind"], Stain(tuple(state["first"]), tuple(state["second"])))


@dataclass(frozen=True)
class PixelMean:
    """Subtracts the mean of the training pixels from each channel. Attributes: mean (3,) in [0, 1]."""

    mean: tuple[float, float, float]

    @classmethod
    def fit(cls, images: Iterable[np.ndarray]) -> PixelMean:
        """Mean over all pixels of images uint8 (H, W, 3). Raises: DataError where there is no image."""
        total, count = np.zeros(3), 0
        for image in images:
            total += image.reshape(-1, 3).sum(axis=0, dtype=np.float64)
            count += image.shape[0] * image.shape[1]
        if not count:
            raise DataError("There is no image to take the mean of. Give images.")
        red, green, blue = total / count / 255
        return cls((float(red), float(green), float(blue)))

    def __call__(self, images: Any) -> Any:
        """Subtract from images (…, 3) in [0, 1], an array or tensor."""
        return images - np.asarray(self.mean, np.float32)

    def as_json(self) -> str:
        """The state, to be stored with a model."""
        return json.dumps({"mean": self.mean})

    @classmethod
    def from_json(cls, text: str) -> PixelMean:
        """From what `as_json` gave. Raises: DataError if it is something else."""
        red, green, blue = _loaded(text, ("mean",))["mean"]
        return cls((red, green, blue))


def _loaded(text: str, keys: tuple[str, ...]) -> dict[str, Any]:
    try:
        state = json.loads(text)
    except ValueError as error:
        raise DataError(f"The state of the normalisation is no JSON: {error}. Fit it again.") from None
    if not isinstance(state, dict) or set(state) != set(keys):
        raise DataError(f"The state of the normalisation should hold {', '.join(keys)}. Fit it again.")
    return state


def _coder(kind: str) -> np.ndarray:
    """From rows of logarithms to the space in which is normalised."""
    return _LAB.T if kind == "reinhard" else -np.eye(3)


def _toned(values: np.ndarray, kind: str) -> np.ndarray:
    """What the logarithm is taken of. Args: values (…, 3) in [0, 255]."""
    return (values + 1) @ _LMS.T if kind == "reinhard" else (values + 1) / 256


def _untoned(values: np.ndarray, kind: str) -> np.ndarray:
    return values @ np.linalg.inv(_LMS).T - 1 if kind == "reinhard" else values * 256 - 1


def _stained(level: np.ndarray) -> np.ndarray:
    """How far a pixel is tissue, 0 to 1, by the mean logarithm of its light: glass takes no stain."""
    return np.asarray(np.clip(-level / _BETA, 0, 1))


def _unit(rows: np.ndarray) -> np.ndarray:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def _measure_macenko(flat: np.ndarray) -> Stain | None:
    density = -np.log((flat.astype(np.float64) + 1) / 256)
    tissue = density[(density > _BETA).all(axis=1)]
    if len(tissue) < _LEAST_PX:
        return None
    spread, vectors = np.linalg.eigh(np.cov(tissue.T))
    if spread[1] < 1e-5:
        return None
    plane = vectors[:, [2, 1]] * np.where(vectors[:, [2, 1]].sum(axis=0) < 0, -1, 1)
    angle = np.arctan2(*(tissue @ plane).T[::-1])
    low, high = np.percentile(angle, [_ALPHA, 100 - _ALPHA])
    rows = _unit(np.array([plane @ (np.cos(at), np.sin(at)) for at in (low, high)]))
    # Haematoxylin takes more of the red light.
    rows = rows[np.argsort(-rows[:, 0])]
    amounts = density @ np.linalg.pinv(rows)
    most = np.percentile(amounts, 99, axis=0)
    if (most <= 1e-3).any() or np.linalg.cond(rows) > 50:
        return None
    return Stain(tuple(map(float, rows.ravel())), tuple(map(float, most)))


def _measure_reinhard(flat: np.ndarray) -> Stain | None:
    tissue = flat[(-np.log((flat.astype(np.float64) + 1) / 256)).mean(axis=1) > _BETA]
    if len(tissue) < _LEAST_PX:
        return None
    values = np.log(_toned(tissue.astype(np.float64), "reinhard")) @ _LAB.T
    if values[:, 0].std() < 1e-3:
        return None
    return Stain(tuple(map(float, values.mean(axis=0))), tuple(map(float, values.std(axis=0))))

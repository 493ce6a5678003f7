"""Points from a map of every pixel's chance to belong to a mitotic figure."""

from __future__ import annotations

import hashlib
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mitozoo.data.stain_normalisation import StainNormaliser
from mitozoo.inference.blending import blended
from mitozoo.inference.blobs import Blobs, blobs, histogram_of, otsu, smooth
from mitozoo.inference.decoders import Candidates
from mitozoo.inference.merging import merge_hits

#: By the task of the model: the outputs that are maps.
MAPS = {
    "segment": ("mask",),
    "segment-concentric": ("concentric",),
    "segment-fused": ("concentric", "strong"),
}
SCORES = ("mean", "highest")


class Segment:
    """Decoder of models that classify every pixel: "segment", "segment-concentric" and "segment-fused"."""

    def __init__(
        self,
        model: keras.Model,
        *,
        tile_px: int = 512,
        small_px: int = 256,
        overlap: float = 0.5,
        fusion: float = 0.6,
        sigma_px: float = 2.0,
        level: float = 0.0,
        floor: float = 0.5,
        min_area_px: int = 30,
        score: str = "mean",
        cut: float = 0.05,
        merge_px: float = 30.0,
        normaliser: str = "",
        batch_size: int = 1,
    ) -> None:
        """Prepare.

        Args:
            model: with one of the outputs in `MAPS`.
            tile_px, overlap: tiles that the network sees, and the share that neighbours have in common.
            small_px: tiles of fields that are no larger than this, which would fill a tile of tile_px with reflections:
                every cell four times and more, which networks that see 200 px and further take for none.
            fusion: weight w of the concentric branch where there are two, S = w S_concentric + (1 - w) S_strong (Sebai
                et al. 2020, doi 10.1109/ACCESS.2020.2978754, Eq. 2).
            sigma_px: of the Gaussian filter of the map.
            level: chance from which a pixel belongs to a blob; 0 takes Otsu's threshold of each field, but not under
                `floor`: in a field without mitotic figures Otsu's threshold divides noise. A level that was fitted on
                other fields makes the answer independent of what else the field shows.
            min_area_px: smaller blobs are left out.
            score: of a blob, the "mean" of the map (as in the paper) or the "highest".
            cut: blobs with a lower score are dropped.
            merge_px: blobs nearer than this are one cell (7.5 µm: the plates of a telophase count once).
            normaliser: state of the stain normaliser that the model learnt with; empty for none. Every field is then
                measured and normalised by itself.
            batch_size: tiles at a time.
        """
        if not 0 <= overlap <= 0.5:
            raise ValueError("overlap must be between 0 and 0.5.")
        if not 0 <= fusion <= 1:
            raise ValueError("fusion must be between 0 and 1.")
        if score not in SCORES:
            raise ValueError(f"score must be one of {', '.join(SCORES)}.")
        self.model, self.outputs = model, outputs_of(model)
        self.tile_px, self.small_px, self.overlap = tile_px, min(small_px, tile_px), overlap
        self.fusion, self.sigma_px = fusion, sigma_px
        self.level, self.floor, self.min_area_px, self.score = level, floor, min_area_px, score
        self.cut, self.merge_px, self.batch_size = cut, merge_px, batch_size
        self.normaliser = StainNormaliser.from_json(normaliser) if normaliser else None
        #: Where maps and their blobs are kept, so that other settings of what follows them need no second run.
        self.kept: dict[bytes, Any] | None = None
        # Not with reduce_retracing: of tiles of two sizes it makes a graph for any, which UpSampling2D refuses.
        self._run = tf.function(self.chances)

    def chances(self, tiles: tf.Tensor) -> tf.Tensor:
        """Chances float32 (B, T, T, maps) of tiles uint8 (B, T, T, 3)."""
        found = self.model(tf.cast(tiles, tf.float32) / 255.0, training=False)
        maps = []
        for name in self.outputs:
            logits = tf.cast(found[name], tf.float32)
            # Of two classes, softmax is the sigmoid of the difference.
            maps.append(tf.sigmoid(logits if name == "mask" else logits[..., 1] - logits[..., 0]))
        return tf.stack(maps, axis=-1)

    def maps(self, field: np.ndarray) -> np.ndarray:
        """Chances float32 (H, W, maps) of a field uint8 (H, W, 3)."""
        return blended(
            field if self.normaliser is None else self.normaliser(field),
            lambda tiles: self._run(tf.constant(tiles)).numpy(),
            tile_px=self.small_px if max(field.shape[:2]) <= self.small_px else self.tile_px,
            overlap=self.overlap,
            channels=len(self.outputs),
            batch_size=self.batch_size,
        )

    def fused(self, maps: np.ndarray) -> np.ndarray:
        """One smooth map float32 (H, W) of all."""
        both = maps.shape[-1] == 2
        one = self.fusion * maps[..., 0] + (1 - self.fusion) * maps[..., 1] if both else maps[..., 0]
        return smooth(np.ascontiguousarray(one, np.float32), self.sigma_px)

    def level_of(self, chances: np.ndarray) -> float:
        """The level for a smooth map: the given one, or Otsu's; a flat map has only the floor."""
        return self.level or max(otsu(histogram_of(chances)) or self.floor, self.floor)

    def blobs(self, maps: np.ndarray) -> Blobs:
        """Blobs of maps (H, W, maps)."""
        chances = self.fused(maps)
        return blobs(chances, self.level_of(chances))

    def points(self, found: Blobs) -> Candidates:
        """Candidates of blobs: those that are large and sure enough, two that are near as one."""
        score = found.mean if self.score == "mean" else found.highest
        kept = (found.area_px >= self.min_area_px) & (score >= self.cut)
        xy, score = found.xy[kept], score[kept]
        first = [group[0] for group in merge_hits(xy, score, self.merge_px)]
        xy, score = xy[first].reshape(-1, 2), score[first]
        return Candidates(xy, np.column_stack([1.0 - score, score]).reshape(-1, 2))

    def __call__(self, field: np.ndarray) -> Candidates:
        """Find candidates in a field, uint8 (H, W, 3)."""
        if self.kept is None:
            return self.points(self.blobs(self.maps(field)))
        about = f"{field.shape} {self.tile_px} {self.overlap}".encode()
        key = hashlib.sha256(about + np.ascontiguousarray(field).tobytes()).digest()
        of_blobs = key + f"{self.fusion} {self.sigma_px} {self.level} {self.floor}".encode()
        if of_blobs not in self.kept:
            if key not in self.kept:
                self.kept[key] = self.maps(field)
            self.kept[of_blobs] = self.blobs(self.kept[key])
        return self.points(self.kept[of_blobs])


def outputs_of(model: keras.Model) -> tuple[str, ...]:
    """The maps that a model gives. Raises: ValueError for one that gives none."""
    names = set(model.output)
    for wanted in sorted(MAPS.values(), key=len, reverse=True):
        if names >= set(wanted):
            return wanted
    raise ValueError(f"{model.name} has no output that is a map, only {', '.join(sorted(names))}.")

"""From an image to points: resample, decode, take the threshold, go back to the file's own pixels."""

from __future__ import annotations

import dataclasses
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from mitozoo.base.errors import InputError, MitozooError
from mitozoo.base.points import ATYPICAL, MITOTIC_CLASSES, Detection
from mitozoo.data.images import MAX_PX, Image, read_image
from mitozoo.data.spacing import resolve_spacing
from mitozoo.data.tissue import tissue_mm2
from mitozoo.inference.decoders import Candidates, decoder
from mitozoo.inference.result import FieldResult
from mitozoo.models.zoo import LoadedModel

#: Spacings this near to the model's are taken as they are.
SAME_SPACING = 0.01
#: Images that are decoded ahead of the network.
AHEAD = 2
#: Score that counts where nobody has tuned one.
UNTUNED_THRESHOLD = 0.5
#: Share of the model's spacing above which the image is coarser than the model expects (20x for 40x).
COARSE = 1.6


class Predictor:
    """A loaded model that finds mitotic figures in images."""

    def __init__(
        self, loaded: LoadedModel, *, threshold: float | None = None, decoder_settings: dict | None = None
    ) -> None:
        """Args: loaded model; threshold on the score instead of the tuned one; settings that replace the tuned ones."""
        self.loaded, self.spec = loaded, loaded.spec
        tuned = loaded.threshold if loaded.threshold is not None else UNTUNED_THRESHOLD
        self.threshold = tuned if threshold is None else threshold
        self.settings = {**loaded.decoder, **(decoder_settings or {})}
        self.decode = decoder(self.spec.task, loaded.model, self.settings)

    def candidates(self, pixels: np.ndarray, um_per_px: float) -> Candidates:
        """All candidates in an image uint8 (H, W, 3) at a spacing, in the image's pixels."""
        factor = um_per_px / self.spec.um_per_px
        if abs(factor - 1) <= SAME_SPACING:
            return self.decode(pixels)
        size = [max(1, round(side * factor)) for side in (pixels.shape[1], pixels.shape[0])]
        mode = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
        found = self.decode(cv2.resize(pixels, size, interpolation=mode))
        ratio = np.array([pixels.shape[1] / size[0], pixels.shape[0] / size[1]])
        return Candidates((found.xy + 0.5) * ratio - 0.5, found.probabilities)

    def detections(self, pixels: np.ndarray, um_per_px: float) -> list[Detection]:
        """All candidates as detections, by falling score; those under the threshold are among them."""
        return self._as_detections(self.candidates(pixels, um_per_px))

    def _as_detections(self, found: Candidates) -> list[Detection]:
        classes = self.spec.classes
        mitotic = [i for i, name in enumerate(classes) if name in MITOTIC_CLASSES]
        score = found.probabilities[:, mitotic].sum(axis=1)
        out = []
        for i in np.lexsort((found.xy[:, 0], found.xy[:, 1], -score)):
            row = found.probabilities[i]
            label = classes[max(mitotic, key=lambda k: row[k])]
            atypical = float(row[classes.index(ATYPICAL)] / max(score[i], 1e-9)) if ATYPICAL in classes else None
            x, y = found.xy[i]
            out.append(Detection(float(x), float(y), float(min(score[i], 1.0)), label, atypical))
        return out

    def field(self, name: str, path: Path, image: Image, um_per_px: float | None) -> FieldResult:
        """Search one decoded image; `um_per_px` overrides what its file says."""
        start = time.perf_counter()
        spacing, source = resolve_spacing(image.um_per_px, um_per_px, self.spec.um_per_px)
        notes = list(image.notes)
        if spacing > COARSE * self.spec.um_per_px:
            notes.append(
                f"{spacing:g} µm per pixel is coarser than the {self.spec.um_per_px:g} that {self.loaded.name} was trained "
                "at: expect missed mitotic figures. Use a 40x scan."
            )
        found = self.detections(image.pixels, spacing)
        height, width = image.pixels.shape[:2]
        return FieldResult(
            name=name,
            path=path,
            width_px=width,
            height_px=height,
            um_per_px=spacing,
            spacing_source=source,
            tissue_mm2=tissue_mm2(image.pixels, spacing),
            detections=tuple(item for item in found if item.score >= self.threshold),
            below=tuple(item for item in found if item.score < self.threshold),
            seconds=time.perf_counter() - start,
            notes=tuple(notes),
        )


def predict_images(
    predictor: Predictor,
    images: Sequence[tuple[str, Path]],
    *,
    um_per_px: Callable[[Path], float | None] = lambda _: None,
    max_px: int = MAX_PX,
) -> Iterator[tuple[FieldResult, np.ndarray | None]]:
    """Search images one after another while the next ones are decoded.

    Args: predictor; (name, path) pairs; um_per_px, spacing of a path in place of its file's, or None; max_px, larger
    images are refused.
    Yields: the result and the pixels, or a failed result (`status` says why) and None: one bad image never stops the rest.
    """
    with ThreadPoolExecutor(AHEAD) as readers:
        waiting = deque(readers.submit(read_image, path, max_px=max_px) for _, path in images[:AHEAD])
        for i, (name, path) in enumerate(images):
            future = waiting.popleft()
            if i + AHEAD < len(images):
                waiting.append(readers.submit(read_image, images[i + AHEAD][1], max_px=max_px))
            yield _search(predictor, name, path, future, um_per_px(path))


def _search(
    predictor: Predictor, name: str, path: Path, image: Future[Image], um_per_px: float | None
) -> tuple[FieldResult, np.ndarray | None]:
    try:
        decoded = image.result()
        return predictor.field(name, path, decoded, um_per_px), decoded.pixels
    except MitozooError as error:
        return FieldResult(name=name, path=path, status=_one_line(error)), None
    except MemoryError:
        lack = InputError(f"{path} needs more memory than there is. Cut it into smaller fields.")
        return FieldResult(name=name, path=path, status=_one_line(lack)), None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def with_threshold(result: FieldResult, threshold: float) -> FieldResult:
    """The same result at another threshold."""
    every = (*result.detections, *result.below)
    return dataclasses.replace(
        result,
        detections=tuple(item for item in every if item.score >= threshold),
        below=tuple(item for item in every if item.score < threshold),
    )

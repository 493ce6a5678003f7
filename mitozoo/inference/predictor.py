"""From an image to points: resample, decode, take the threshold, go back to the file's own pixels."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from mitozoo.base.errors import RecipeError
from mitozoo.base.points import ATYPICAL, MITOTIC_CLASSES, Detection
from mitozoo.base.units import um_to_px
from mitozoo.data.images import MAX_PX, Image
from mitozoo.data.spacing import resolve_spacing
from mitozoo.data.tissue import tissue_mm2
from mitozoo.inference.decoders import Candidates, decoder
from mitozoo.inference.doubtful import check_look_again, half_odds
from mitozoo.inference.ensemble import check_views, combine, in_order, ordered, shared_classes, views_of
from mitozoo.inference.resampling import at_spacing
from mitozoo.inference.result import FieldResult
from mitozoo.models.folding import folded
from mitozoo.models.zoo import LoadedModel

#: Score that counts where nobody has tuned one.
UNTUNED_THRESHOLD = 0.5
#: Score under which candidates are dropped where nobody has said otherwise: of a search (as in the decoders), and of an
#: evaluation, whose curves need what no threshold would keep. An opinion that is dropped counts as zero in an ensemble.
DEFAULT_CUT, DEEP_CUT = 0.05, 0.01
#: Pixels of a model within which its decoder takes candidates for one cell where nobody has said otherwise.
DEFAULT_MERGE_PX = 30.0
#: Share of the model's spacing above which the image is coarser than the model expects (20x for 40x).
COARSE = 1.6


class Predictor:
    """A loaded model, or several together, that find mitotic figures in images."""

    def __init__(
        self,
        loaded: LoadedModel | Sequence[LoadedModel],
        *,
        threshold: float | None = None,
        decoder_settings: dict | None = None,
        max_px: int = MAX_PX,
        tta: int = 1,
        look_again: float | None = None,
    ) -> None:
        """Prepare.

        Args: loaded model, or models that are asked together, in any order; threshold on the score instead of the
        tuned one (of several, the mean of theirs); decoder_settings that replace the tuned ones; max_px, larger images
        are refused, also where they would become larger at a model's spacing; tta, views of each image that are
        searched, 1, 2, 4 or 8; look_again, score from which detections under the threshold are doubtful (where it is
        None, that of half the odds at the threshold, or the decoder's cut if that is higher).
        Raises: RecipeError for models that cannot be asked together, a number of views that there is not, or a
            look_again above the threshold or under the decoder's cut.
        """
        self.members = [loaded] if isinstance(loaded, LoadedModel) else ordered(loaded)
        self.classes = shared_classes(self.members)
        check_views(tta)
        self.loaded, self.spec, self.max_px, self.tta = self.members[0], self.members[0].spec, max_px, tta
        tuned = [UNTUNED_THRESHOLD if item.threshold is None else item.threshold for item in self.members]
        self.threshold = sum(tuned) / len(tuned) if threshold is None else threshold
        self.every_settings = [self._settings_of(item, decoder_settings or {}) for item in self.members]
        self.settings = self.every_settings[0]
        self.look_again = self._look_again(look_again)
        pairs = zip(self.members, self.every_settings, strict=True)
        self.decoders = [decoder(item.spec.task, folded(item.model), settings) for item, settings in pairs]

    def _settings_of(self, member: LoadedModel, given: dict) -> dict:
        settings = {**member.decoder, **given}
        # What the decoder drops, no threshold brings back.
        if self.threshold < settings.get("cut", DEFAULT_CUT):
            settings["cut"] = self.threshold
        return settings

    def _look_again(self, given: float | None) -> float:
        # A lower cut would move the detections too: what counts must not depend on what is looked at again.
        if given is None:
            return min(max(half_odds(self.threshold), self.cut), self.threshold)
        check_look_again(given, self.threshold)
        if given < self.cut:
            raise RecipeError(
                f"--look-again {given:g} is under {self.cut:g}, below which the search keeps nothing. Raise it."
            )
        return given

    @property
    def opinions(self) -> int:
        """How often an image is searched: models times views."""
        return len(self.members) * self.tta

    @property
    def cut(self) -> float:
        """Score under which nothing is kept, at most the threshold: the highest of the models' own."""
        return max(item.get("cut", DEFAULT_CUT) for item in self.every_settings)

    @property
    def merge_um(self) -> float:
        """Distance within which candidates of several opinions are one cell: the largest of the models' own."""
        pairs = zip(self.members, self.every_settings, strict=True)
        return max(item.get("merge_px", DEFAULT_MERGE_PX) * member.spec.um_per_px for member, item in pairs)

    @property
    def reach_px(self) -> float:
        """How far from a cell what is found there depends on the image, in pixels of the model's spacing.

        Infinite where a decoder does not say so, such as one that looks at whole tiles.
        """
        merging = um_to_px(self.merge_um, self.spec.um_per_px)
        return merging + max((float(getattr(item, "reach_px", np.inf)) for item in self.decoders), default=np.inf)

    def candidates(self, pixels: np.ndarray, um_per_px: float, tell: Callable[[], None] = lambda: None) -> Candidates:
        """All candidates in an image uint8 (H, W, 3) at a spacing, in the image's pixels; `tell` after each opinion.

        Raises: InputError for an image that is too large at the model's spacing.
        """
        parts = []
        for member, decode in zip(self.members, self.decoders, strict=True):
            resampled, ratio = at_spacing(pixels, um_per_px, member.spec.um_per_px, max_px=self.max_px)
            for found in views_of(decode, resampled, self.tta, tell):
                own = in_order(found, member.spec.classes, self.classes)
                parts.append(Candidates((own.xy + 0.5) / ratio - 0.5, own.probabilities))
        return combine(parts, um_to_px(self.merge_um, um_per_px), self.classes)

    def detections(
        self, pixels: np.ndarray, um_per_px: float, tell: Callable[[], None] = lambda: None
    ) -> list[Detection]:
        """All candidates as detections, by falling score; those under the threshold are among them."""
        found = self.as_detections(self.candidates(pixels, um_per_px, tell))
        # What one of several opinions has just above the cut is under it in their mean.
        return found if self.opinions == 1 else [item for item in found if item.score >= self.cut]

    @property
    def mitotic(self) -> list[int]:
        """Numbers of the classes that are mitotic figures."""
        return [i for i, name in enumerate(self.classes) if name in MITOTIC_CLASSES]

    def scores(self, probabilities: np.ndarray) -> np.ndarray:
        """Scores (n,) of candidates with probabilities (n, classes)."""
        return probabilities[:, self.mitotic].sum(axis=1)

    def as_detections(self, found: Candidates) -> list[Detection]:
        """Candidates as detections, by falling score, then by y and x."""
        classes, mitotic = self.classes, self.mitotic
        score = self.scores(found.probabilities)
        out = []
        for i in np.lexsort((found.xy[:, 0], found.xy[:, 1], -score)):
            row = found.probabilities[i]
            label = classes[max(mitotic, key=lambda k: row[k])]
            atypical = float(row[classes.index(ATYPICAL)] / max(score[i], 1e-9)) if ATYPICAL in classes else None
            x, y = found.xy[i]
            out.append(Detection(float(x), float(y), float(min(score[i], 1.0)), label, atypical))
        return out

    def field(
        self,
        name: str,
        path: Path,
        image: Image,
        um_per_px: float | None,
        tell: Callable[[], None] = lambda: None,
    ) -> FieldResult:
        """Search one decoded image; `um_per_px` overrides what its file says; `tell` after each opinion."""
        start = time.perf_counter()
        spacing, source = resolve_spacing(image.um_per_px, um_per_px, self.spec.um_per_px)
        notes = list(image.notes)
        if spacing > COARSE * self.spec.um_per_px:
            notes.append(
                f"{spacing:g} µm per pixel is coarser than the {self.spec.um_per_px:g} that {self.loaded.name} was "
                "trained at: expect missed mitotic figures. Use a 40x scan."
            )
        found = self.detections(image.pixels, spacing, tell)
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
            threshold=self.threshold,
            look_again=self.look_again,
        )


def with_threshold(result: FieldResult, threshold: float) -> FieldResult:
    """The same result at another threshold; nobody has said which are doubtful there."""
    every = (*result.detections, *result.below)
    return dataclasses.replace(
        result,
        detections=tuple(item for item in every if item.score >= threshold),
        below=tuple(item for item in every if item.score < threshold),
        threshold=threshold,
        look_again=None,
    )

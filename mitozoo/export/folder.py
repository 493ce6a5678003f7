"""The folder that a prediction writes into: checked before the work, filled image by image, closed with the tables."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mitozoo.base.errors import OutputError
from mitozoo.base.files import inside, make_folder, safe_name, write_bytes
from mitozoo.base.points import Detection
from mitozoo.base.units import HOTSPOT_MM2
from mitozoo.export.coco import write_coco
from mitozoo.export.doubtful import Gallery
from mitozoo.export.formats import DEFAULT_FORMATS, FORMATS, RUN_FILE, check_formats
from mitozoo.export.geojson import write_geojson
from mitozoo.export.heatmap import density_map, write_heatmap_png, write_heatmap_tiff
from mitozoo.export.maps import missing_map, write_map
from mitozoo.export.midog import write_midog
from mitozoo.export.overlay import draw_overlay, encode_overlay, overlay_suffix
from mitozoo.export.pictures import crop, crop_side_px, encode, resized, thumbnail
from mitozoo.export.record import versions, write_run
from mitozoo.export.report import ReportEntry, write_report
from mitozoo.export.summary import ImageSummary, summarise
from mitozoo.export.tables import write_detections, write_doubtful, write_summary
from mitozoo.export.tissue_outline import outlined
from mitozoo.inference.result import FieldResult
from mitozoo.inference.view import View

#: Reads the square (side, side, 3) RGB uint8 around x_px, y_px of the file, given x_px, y_px, side_px.
CropReader = Callable[[float, float, int], np.ndarray]
#: Grand Challenge's name for the one file of one image.
_ONE_IMAGE_MIDOG = "mitotic-figures.json"
_OVERVIEW_SIDE_PX = 400
_HEATMAP_SIDE_PX = 2000


class OutputFolder:
    """Writes the results of a run in the formats asked for.

    Order of calls: `check` before any work, `add` for each image, `finish`. Every file appears whole or not at all,
    and inside `out`.
    """

    def __init__(
        self,
        out: Path,
        formats: Sequence[str] = DEFAULT_FORMATS,
        *,
        overwrite: bool = False,
        hotspot_mm2: float = HOTSPOT_MM2,
        model: str = "",
        gives: Collection[str] | None = None,
    ) -> None:
        """Prepare; nothing is touched yet.

        Args:
            out: the folder; made where it is missing.
            formats: names in `FORMATS`.
            overwrite: replace files that are there.
            hotspot_mm2: area of the hotspot's window.
            model: name of the model, for messages.
            gives: maps the model gives ("mask"), or None where that shows only in `add`.
        Raises: UnknownNameError for a format that does not exist.
        """
        self.out = Path(out)
        self.formats = check_formats(formats)
        self.overwrite = overwrite
        self.hotspot_mm2 = hotspot_mm2
        self.model = model
        self.gives = gives
        self._entries: list[ReportEntry] = []
        self._gallery = Gallery()
        self._stems: dict[str, str] = {}
        self._taken: set[str] = set()
        self._one_image = False

    def check(self, names: Sequence[str] = ()) -> None:
        """Make sure, before any work, that the results can be written.

        Args: names of the images to come (`FieldResult.name`); without them only the files of the run are looked for.
        Raises: OutputError if a map is asked for that the model does not give, if `out` cannot be written into, or if
            a file that would be written exists and `overwrite` is not set.
        """
        for name in self._maps():
            if self.gives is not None and name not in self.gives:
                raise missing_map(self.model, name)
        self._one_image = len(names) == 1
        make_folder(self.out)
        probe = self.out / ".mitozoo-check"
        write_bytes(probe, b"")
        probe.unlink(missing_ok=True)
        paths = [self.out / name for name in self._run_files()]
        paths += [path for name in names for path in self._image_files(name)]
        for path in paths:
            self._refuse_existing(path)

    def add(
        self,
        result: FieldResult,
        image: np.ndarray | None,
        *,
        maps: Mapping[str, np.ndarray] | None = None,
        crop_reader: CropReader | None = None,
        origin_px: tuple[float, float] = (0.0, 0.0),
    ) -> ImageSummary:
        """Write the files of one image and keep what the tables and the report need.

        Args:
            result: what was found; a failed image gets no file of its own, only its row.
            image: (H, W, 3) RGB uint8, the whole file or, for a slide, a smaller copy; None leaves out its pictures.
            maps: (H, W) arrays by name, for `mask`.
            crop_reader: reads crops where `image` is a smaller copy.
            origin_px: level-0 pixel that QuPath counts from (the bounds of a slide).
        Returns: the image's counts, hotspot and score.
        Raises: OutputError where a file cannot be written, exists already, or the model does not give a map.
        """
        summary = summarise(result, self.hotspot_mm2)
        entry = ReportEntry(_without_the_rest(summary))
        if result.ok:
            self._write_image_files(summary, image, maps or {}, origin_px)
            if "report" in self.formats:
                picture = _pictures(result, image, crop_reader)
                thumbnails = tuple(map(picture, result.detections)) if picture else ()
                entry = dataclasses.replace(entry, thumbnails=thumbnails, overview=_overview(image, summary))
                self._gallery.add(result, picture)
        self._entries.append(entry)
        return entry.summary

    def add_view(self, result: FieldResult, view: View | None) -> ImageSummary:
        """Write the files of one image, as `add`, drawn from its view; None leaves out its pictures."""
        if view is None:
            return self.add(result, None)
        picture = view.pixels if view.tissue is None else outlined(view.pixels, view.tissue)
        return self.add(result, picture, crop_reader=view.crop, origin_px=view.origin_px)

    def finish(self, run: Mapping[str, Any]) -> list[Path]:
        """Write the files of the run, `run.json` last, so that its presence tells a complete run.

        Returns: their paths. Raises: OutputError where one cannot be written.
        """
        run = {**run, "versions": run.get("versions", versions())}
        summaries = [entry.summary for entry in self._entries]
        writers: dict[str, Callable[[Path], None]] = {
            "detections.csv": lambda path: write_detections(path, summaries),
            "doubtful.csv": lambda path: write_doubtful(path, summaries),
            "summary.csv": lambda path: write_summary(path, summaries),
            "coco.json": lambda path: write_coco(path, [summary.result for summary in summaries]),
            "report.html": lambda path: write_report(
                path, self._entries, run, hotspot_mm2=self.hotspot_mm2, gallery=self._gallery
            ),
            RUN_FILE: lambda path: write_run(path, run),
        }
        written = []
        for name in self._run_files():
            path = self.out / name
            self._refuse_existing(path)
            writers[name](path)
            written.append(path)
        return written

    def _write_image_files(
        self,
        summary: ImageSummary,
        image: np.ndarray | None,
        maps: Mapping[str, np.ndarray],
        origin_px: tuple[float, float],
    ) -> None:
        result = summary.result
        for name in self._maps():
            if name not in maps:
                raise missing_map(self.model, name)
        for path in self._image_files(result.name):
            self._refuse_existing(path)
        if "geojson" in self.formats:
            write_geojson(self._path(result.name, ".geojson"), result, origin_px=origin_px)
        if "midog" in self.formats:
            write_midog(self._path(result.name, ".mitotic-figures.json"), result)
        if "overlay" in self.formats and image is not None:
            path = self._path(result.name, overlay_suffix(result))
            write_bytes(path, encode_overlay(image, result, summary.hotspot))
        for name in self._maps():
            write_map(self._path(result.name, FORMATS[name].image_suffixes[0]), name, maps[name])
        if "heatmap" in self.formats and result.um_per_px:
            picture, numbers = (self._path(result.name, suffix) for suffix in FORMATS["heatmap"].image_suffixes)
            density = density_map(_points(result), result.width_px, result.height_px, result.um_per_px)
            write_heatmap_png(picture, density, thumbnail=None if image is None else _reduced(image))
            write_heatmap_tiff(numbers, density)

    def _maps(self) -> list[str]:
        return [FORMATS[name].map_name for name in self.formats if FORMATS[name].map_name]

    def _run_files(self) -> list[str]:
        return [*(file for name in self.formats for file in FORMATS[name].run_files), RUN_FILE]

    def _image_files(self, name: str) -> Iterable[Path]:
        for kind in self.formats:
            for suffix in FORMATS[kind].image_suffixes:
                yield self._path(name, suffix)

    def _path(self, name: str, suffix: str) -> Path:
        if self._one_image and suffix == FORMATS["midog"].image_suffixes[0]:
            return self.out / _ONE_IMAGE_MIDOG
        return inside(self.out, self._stem(name) + suffix)

    def _stem(self, name: str) -> str:
        """Return the safe name of an image; another image with the same one, in any case of letters, gets a number."""
        if name not in self._stems:
            plain = safe_name(name)
            path, stem, number = Path(plain), plain, 1
            while stem.casefold() in self._taken:
                number += 1
                stem = path.with_name(f"{path.stem}-{number}{path.suffix}").as_posix()
            self._taken.add(stem.casefold())
            self._stems[name] = stem
        return self._stems[name]

    def _refuse_existing(self, path: Path) -> None:
        if not self.overwrite and path.exists():
            raise OutputError(f"{path} exists already. Choose another --out, or add --overwrite to replace it.")


def _points(result: FieldResult) -> np.ndarray:
    return np.array([(item.x_px, item.y_px) for item in result.detections], dtype=np.float64).reshape(-1, 2)


def _reduced(image: np.ndarray) -> np.ndarray:
    """The image, or a smaller copy that heat maps are drawn on."""
    factor = min(1.0, _HEATMAP_SIDE_PX / max(image.shape[:2]))
    return resized(image, max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor)))


def _without_the_rest(summary: ImageSummary) -> ImageSummary:
    # Thousands of candidates an image would pile up over a long run, and only the image's own files list them.
    result = summary.result
    return dataclasses.replace(summary, result=dataclasses.replace(result, below=result.doubtful))


def _pictures(
    result: FieldResult, image: np.ndarray | None, reader: CropReader | None
) -> Callable[[Detection], bytes] | None:
    """What makes the picture of a cell; None where the image is not at hand in full size."""
    side = crop_side_px(result.um_per_px)
    if reader is not None:
        return lambda item: thumbnail(reader(item.x_px, item.y_px, side))
    if image is None or image.shape[1] != result.width_px:
        return None
    return lambda item: thumbnail(crop(image, item.x_px, item.y_px, side))


def _overview(image: np.ndarray | None, summary: ImageSummary) -> bytes | None:
    if image is None or min(image.shape[:2]) < _OVERVIEW_SIDE_PX // 2:
        return None
    area = _OVERVIEW_SIDE_PX**2
    small = draw_overlay(image, summary.result, summary.hotspot, max_px=area, min_side_px=1, labels=False)
    return encode(small, ".jpg", quality=82)

"""A model becomes a version in a folder that TensorFlow Serving serves: whole and checked, or not at all."""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mitozoo import __version__
from mitozoo.base.errors import OutputError, RecipeError
from mitozoo.base.files import whole_folder
from mitozoo.base.progress import progress_bar
from mitozoo.base.quiet import errors_held_back
from mitozoo.data.images import read_image
from mitozoo.data.listing import list_images
from mitozoo.data.spacing import resolve_spacing
from mitozoo.export.documents import write_json
from mitozoo.export.serving import warmup
from mitozoo.export.serving.agreement import LEAST, Agreement, agreement, drawn
from mitozoo.export.serving.check import ExportError, check_saved
from mitozoo.export.serving.configs import parse_serve, versions_of, write_configs
from mitozoo.export.serving.precision import in_int8
from mitozoo.export.serving.signatures import Served
from mitozoo.inference.predictor import DEFAULT_MERGE_PX, Predictor
from mitozoo.models.precision import POLICIES, in_precision
from mitozoo.models.zoo import LoadedModel

EXTRA, ABOUT_FILE = "assets.extra", "mitozoo.json"
INT8 = "int8"


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a model is published; it checks itself.

    Attributes: name, the model's name at the server, its own where it is None; version, the next free one where it is
    None; precision, of `POLICIES`; quantize, None or "int8"; measure, folder or files that fewer bits are measured on,
    drawn fields where it is None; force, take int8 although it calls other cells; check, run the result before it is
    published; serve, "all", "latest" or versions such as "1,3"; max_mpx, largest image in megapixels.
    Raises: RecipeError for settings that make no sense.
    """

    name: str | None = None
    version: int | None = None
    precision: str = "float32"
    quantize: str | None = None
    measure: Path | None = None
    force: bool = False
    check: bool = True
    serve: str = "all"
    max_mpx: float = 100.0

    def __post_init__(self) -> None:
        if self.name is not None and not re.fullmatch(r"[A-Za-z0-9_][\w.+-]*", self.name):
            raise RecipeError(f"--name takes letters, digits and _ . + -, got {self.name!r}.")
        if self.version is not None and self.version < 1:
            raise RecipeError(f"--version is a whole number from 1 up, got {self.version}.")
        if self.precision not in POLICIES:
            raise RecipeError(f"--precision is one of {', '.join(POLICIES)}, got {self.precision!r}.")
        if self.quantize not in (None, INT8):
            raise RecipeError(f"--quantize knows {INT8} alone, got {self.quantize!r}.")
        # The decoders count pixels in 32 bits.
        if not 0 < self.max_mpx <= 400:
            raise RecipeError(f"--max-mpx must be above 0 and at most 400, got {self.max_mpx:g}.")
        parse_serve(self.serve)

    @property
    def int8(self) -> bool:
        """Whether the weights are stored in 8 bits."""
        return self.quantize == INT8


@dataclass(frozen=True)
class Published:
    """What was published. Attributes: folder of the version; notes, one line each; agreement, where it was measured."""

    folder: Path
    notes: tuple[str, ...] = ()
    agreement: Agreement | None = None


def publish(
    loaded: LoadedModel,
    out: Path,
    options: Options,
    *,
    threshold: float | None = None,
    run: Mapping[str, Any] | None = None,
    quiet: bool = True,
) -> Published:
    """Write a model as the version of a folder for TensorFlow Serving.

    Args: loaded; out, the folder of all models; options; threshold in place of the tuned one; run, what else
        mitozoo.json shall say; quiet, no progress bar.
    Raises: RecipeError for an unknown task; OutputError for a version that is there; ExportError where the result calls
        other cells than `predict` does.
    """
    name = options.name or loaded.name
    target = next_folder(out / name, options.version)
    with progress_bar("Export", 4, quiet=quiet) as tell:
        exact = Predictor(loaded, threshold=threshold)
        computed = in_precision(loaded, options.precision)
        # Rounded once, for what is compared and for what is stored: rounding again changes nothing then.
        computed = in_int8(computed) if options.int8 else computed
        ours = Predictor(computed, threshold=threshold)
        measured = _measured(exact, ours, options)
        tell(1, "graph")
        radius_px = float(ours.settings.get("merge_px", DEFAULT_MERGE_PX))
        about = {**_about(name, loaded, ours, radius_px, options, measured), "version": int(target.name), **(run or {})}
        served = _served(computed, ours, radius_px, options)
        with _no_empty_folder(target.parent):
            notes = _save(target, about, served, ours, options, lambda: tell(2, "check"))
        tell(3, "configuration")
        write_json(out / f"{name}.json", {**about, "serve": parse_serve(options.serve)}, indent=2)
        write_configs(out)
        tell(4, "")
    return Published(target, tuple(notes), measured)


@contextlib.contextmanager
def _no_empty_folder(folder: Path) -> Iterator[None]:
    """Remove a folder that is left empty: a server takes it for a model without versions."""
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            folder.rmdir()


def next_folder(folder: Path, version: int | None) -> Path:
    """The folder of a new version, the next free one where it is None. Raises: OutputError if it is taken."""
    target = folder / str(version or max(versions_of(folder), default=0) + 1)
    if target.exists():
        raise OutputError(f"{target} is there already. Choose another --version, or leave it out to take the next one.")
    return target


def _measured(exact: Predictor, ours: Predictor, options: Options) -> Agreement | None:
    """Agreement with float32, where there are fewer bits. Raises: ExportError for int8 that calls other cells."""
    if options.precision == "float32" and not options.int8:
        return None
    images = drawn(exact.spec.um_per_px) if options.measure is None else _read(options.measure, exact)
    found = agreement(exact, ours, images)
    if options.int8 and not options.force and not found.share >= LEAST:
        raise ExportError(
            f"With int8 the model does not call the same cells as with float32: {found}; {LEAST:.0%} are needed. "
            "Measure it on your own images with --measure FOLDER, leave --quantize out, or take it with --force."
        )
    return found


def _read(folder: Path, predictor: Predictor) -> Sequence[tuple[np.ndarray, float]]:
    images = [read_image(path) for _, path in list_images([folder])]
    return [(item.pixels, resolve_spacing(item.um_per_px, None, predictor.spec.um_per_px)[0]) for item in images]


def _served(computed: LoadedModel, ours: Predictor, radius_px: float, options: Options) -> Served:
    return Served(
        computed,
        ours.settings,
        threshold=ours.threshold,
        cut=ours.cut,
        radius_px=radius_px,
        int8=options.int8,
        most_px=round(options.max_mpx * 1e6),
    )


def _about(
    name: str,
    loaded: LoadedModel,
    predictor: Predictor,
    radius_px: float,
    options: Options,
    measured: Agreement | None,
) -> dict[str, Any]:
    """What mitozoo.json says of the model, for clients."""
    told = {} if measured is None else dataclasses.asdict(measured)
    return {
        "name": name,
        "title": loaded.manifest.title if loaded.manifest else loaded.spec.title,
        "model": loaded.name,
        "classes": list(loaded.spec.classes),
        "um_per_px": loaded.spec.um_per_px,
        "threshold": predictor.threshold,
        "look_again": predictor.look_again,
        "radius_px": radius_px,
        "weights_sha256": loaded.sha256,
        "precision": options.precision,
        "quantize": options.quantize,
        "mitozoo": __version__,
        "task": loaded.spec.task,
        "decoder": dict(predictor.settings),
        "max_px": round(options.max_mpx * 1e6),
        **({"agreement": {**told, "share": measured.share if measured.calls else None}} if measured else {}),
    }


def _save(
    target: Path,
    about: Mapping[str, Any],
    served: Served,
    predictor: Predictor,
    options: Options,
    tell: Callable[[], None],
) -> list[str]:
    """Write the version's folder, whole and checked. Returns: notes."""
    notes = []
    with whole_folder(target) as temporary:
        # TensorFlow tells every retraced function of a model; an error brings what was said out.
        with errors_held_back():
            served.save(temporary)
        write_json(temporary / EXTRA / ABOUT_FILE, about, indent=2)
        if warmup.is_there():
            warmup.write(temporary, str(about["name"]), predictor.spec.um_per_px)
        else:
            notes.append(warmup.HINT)
        tell()
        if options.check:
            check_saved(temporary, predictor, options.precision, float(about["radius_px"]))
        else:
            notes.append("The model was not run before it was published (--no-check).")
    return notes

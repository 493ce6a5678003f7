"""`mitozoo.export`: a model for TensorFlow Serving, ONNX Runtime or BioImage.IO."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mitozoo.api.choosing import check_tta, load_all, with_tuned
from mitozoo.api.loading import DEFAULT_MODEL
from mitozoo.base.errors import RecipeError, UnknownNameError

if TYPE_CHECKING:
    from mitozoo.export.serving.publish import Published
    from mitozoo.models.zoo import LoadedModel

#: What a model can be exported to.
TARGETS = ("serving", "onnx", "bioimageio")


def export(
    model: str = DEFAULT_MODEL,
    *,
    out: str | Path,
    to: str = "serving",
    weights: str | Path | None = None,
    threshold: float | None = None,
    tuned: str | Path | None = None,
    name: str | None = None,
    version: int | None = None,
    precision: str = "float32",
    quantize: str | None = None,
    measure: str | Path | None = None,
    force: bool = False,
    check: bool = True,
    serve: str = "all",
    max_mpx: float = 100.0,
    run: Mapping[str, Any] | None = None,
    quiet: bool = True,
) -> Published:
    """Write a model in the form of another program.

    Args:
        model, weights, threshold, tuned: as in `predict`, of one model.
        out: folder of all exported models; this one goes to `out/<name>/<version>/`.
        to: "serving", a SavedModel for TensorFlow Serving with everything from the bytes of an image to points in the
            graph; "onnx", its networks for ONNX Runtime; "bioimageio", a description, weights and test arrays for
            BioImage.IO. The arguments below are for "serving", except name and version.
        name: of the exported model, in place of its own.
        version: whole number; the next free one where it is None.
        precision: "float32", "bfloat16" or "float16" of the computation; inputs and outputs stay float32.
        quantize: None, or "int8" to store the weights in 8 bits; refused where it calls other cells than float32.
        measure: images that fewer bits are measured on; drawn fields where it is None.
        force: take int8 although it calls other cells.
        check: run the result in a process of its own before it is published, and compare it with `predict`.
        serve: versions in models.config: "all", "latest", or numbers such as "1,3".
        max_mpx: largest image that the exported model takes, in megapixels.
        run: what else mitozoo.json shall say.
        quiet: no progress bar.
    Returns: the folder of the version, notes, and the agreement with float32 where there are fewer bits.
    Raises: RecipeError for settings that make no sense; OutputError for a version that is there; ExportError for a
        result that does not answer as `predict` does; UnknownNameError; WeightsError.

    >>> import mitozoo, tempfile
    >>> mitozoo.export("stn", out=tempfile.mkdtemp(), check=False).folder.name
    '1'
    """
    from mitozoo.export.serving.publish import Options, publish
    from mitozoo.inference.session import Settings

    if to not in TARGETS:
        raise UnknownNameError("target of an export", to, TARGETS)
    options = Options(
        name=name,
        version=version,
        precision=precision,
        quantize=quantize,
        measure=None if measure is None else Path(measure),
        force=force,
        check=check,
        serve=serve,
        max_mpx=max_mpx,
    )
    # The range of a threshold is checked as in a search.
    Settings(threshold=threshold)
    loaded = _one(model, weights, tuned)
    if to == "serving":
        return publish(loaded, Path(out), options, threshold=threshold, run=run, quiet=quiet)
    if to == "onnx":
        from mitozoo.export.onnx import write_onnx

        return write_onnx(loaded, Path(out), options)
    from mitozoo.export.bioimageio import write_bioimageio

    return write_bioimageio(loaded, Path(out), options)


def _one(model: str, weights: str | Path | None, tuned: str | Path | None) -> LoadedModel:
    """The one model, with what was tuned for it. Raises: RecipeError where there are several."""
    members = load_all(model, weights)
    if len(members) > 1:
        raise RecipeError(
            f"{weights} holds {len(members)} models, and one is exported at a time. Give the weights of one of them."
        )
    members, views = with_tuned(members, tuned)
    check_tta(1, views)
    return members[0]

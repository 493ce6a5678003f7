"""A model as BioImage.IO describes it: rdf.yaml, weights as a zipped SavedModel, test arrays and a page of text.

It is the network on one window, without search and merging, which BioImage.IO has no words for.
Source: BioImage.IO resource description, model format 0.5.
"""

from __future__ import annotations

import hashlib
import io
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mitozoo import __version__
from mitozoo.base.errors import RecipeError
from mitozoo.base.files import whole_folder, write_bytes, write_text
from mitozoo.base.quiet import errors_held_back
from mitozoo.data.synthetic import draw_field
from mitozoo.export.documents import utf8
from mitozoo.export.serving.check import ExportError
from mitozoo.export.serving.publish import Options, Published, next_folder
from mitozoo.models import zoo
from mitozoo.models.zoo import LoadedModel

RDF, WEIGHTS, PAGE = "rdf.yaml", "saved_model.zip", "README.md"
_FORMAT_VERSION = "0.5.4"
#: Axes of an output by how many dimensions it has, without the batch.
_AXES = {1: ("channel",), 2: ("y", "x")}


def write_bioimageio(loaded: LoadedModel, out: Path, options: Options) -> Published:
    """Write a model for BioImage.IO into `out/<name>/<version>/`, checked by BioImage.IO's own validator.

    Args: loaded; out, folder of all exported models; options, of which name, version and check count.
    Raises: RecipeError where bioimageio.spec is missing; OutputError for a version that is there; ExportError for a
        description that the validator refuses.
    """
    yaml = _needed()
    target = next_folder(out / (options.name or loaded.name), options.version)
    with whole_folder(target) as temporary:
        _write_weights(temporary / WEIGHTS, loaded.model)
        images, outputs = _example(loaded)
        for name, values in {"image": images, **outputs}.items():
            write_bytes(temporary / f"{name}.npy", _npy(values))
        write_text(temporary / PAGE, _page(loaded))
        with (temporary / RDF).open("w", encoding="utf-8") as stream:
            yaml.dump(_description(options.name or loaded.name, loaded, images, outputs, temporary), stream)
        if options.check:
            _validate(temporary)
    return Published(target)


def _needed() -> Any:
    try:
        import bioimageio.spec  # noqa: F401
        import ruyaml
    except ImportError as error:
        raise RecipeError(f'Export to BioImage.IO needs {error.name}: pip install "mitozoo[bioimageio]".') from None
    return ruyaml.YAML(typ="safe")


def _example(loaded: LoadedModel) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """A window (1, side, side, 3) of a drawn field, and the model's outputs for it.

    The validator wants every output to have a value well above 0: of the windows around the drawn cells, the one whose
    outputs reach highest is taken.
    """
    field, side = draw_field(512, seed=1, um_per_px=loaded.spec.um_per_px), loaded.spec.input_px
    corners = [np.clip(np.round((cell.y_px, cell.x_px)).astype(int) - side // 2, 0, 512 - side) for cell in field.cells]
    windows = np.stack([field.image[y : y + side, x : x + side] for y, x in corners]).astype(np.float32) / 255.0
    every = {name: keras.ops.convert_to_numpy(value) for name, value in loaded.model(windows, training=False).items()}
    reach = [min(values[i].max() for values in every.values()) for i in range(len(windows))]
    best = slice(int(np.argmax(reach)), int(np.argmax(reach)) + 1)
    return windows[best], {name: values[best] for name, values in every.items()}


def _npy(values: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, values, allow_pickle=False)
    return stream.getvalue()


def _write_weights(path: Path, model: keras.Model) -> None:
    with tempfile.TemporaryDirectory() as place:
        with errors_held_back():
            model.export(f"{place}/model", format="tf_saved_model", verbose=False)
        shutil.make_archive(str(path.with_suffix("")), "zip", f"{place}/model")


def _page(loaded: LoadedModel) -> str:
    card = zoo.card(loaded.name) if loaded.manifest else ""
    return (
        f"# {loaded.spec.title}\n\nA network of mitozoo {__version__}, a research tool, not a medical device. It takes "
        f"one window of {loaded.spec.input_px} px at {loaded.spec.um_per_px:g} µm per pixel, RGB in [0, 1]. Classes: "
        f"{', '.join(loaded.spec.classes)}. `logits` come before the softmax. The search of whole images is not in it: "
        f"see `mitozoo predict`.\n\n# Validation\n\n{card or 'Nobody has measured these weights.'}\n"
    )


def _file(folder: Path, name: str) -> dict[str, str]:
    return {"source": name, "sha256": hashlib.sha256((folder / name).read_bytes()).hexdigest()}


def _axis(kind: str, size: int, classes: tuple[str, ...] | None = None) -> dict[str, Any]:
    if kind == "channel":
        return {"type": "channel", "channel_names": list(classes or ("red", "green", "blue"))}
    return {"type": "space", "id": kind, "size": size}


def _output(name: str, values: np.ndarray, loaded: LoadedModel, folder: Path) -> dict[str, Any]:
    shape = values.shape[1:]
    classes = loaded.spec.classes if name == "logits" else None
    axes = [_axis(kind, size, classes) for kind, size in zip(_AXES[len(shape)], shape, strict=True)]
    return {"id": name, "axes": [{"type": "batch"}, *axes], "test_tensor": _file(folder, f"{name}.npy")}


def _cite(source: str) -> list[dict[str, str]]:
    """Papers that a spec names, by DOI; an arXiv number has one too."""
    found = [f"10.48550/arXiv.{number}" for number in re.findall(r"arXiv:(\d{4}\.\d{4,5})", source)]
    found += re.findall(r"\b10\.\d{4,9}/[^\s;,]+", source)
    return [{"text": source, "doi": doi} for doi in found]


def _description(
    name: str, loaded: LoadedModel, images: np.ndarray, outputs: dict[str, np.ndarray], folder: Path
) -> dict[str, Any]:
    side = loaded.spec.input_px
    image = {
        "id": "image",
        "axes": [{"type": "batch"}, _axis("y", side), _axis("x", side), _axis("channel", 3)],
        "test_tensor": _file(folder, "image.npy"),
        "data": {"type": "float32", "range": [0.0, 1.0]},
    }
    return {
        "type": "model",
        "format_version": _FORMAT_VERSION,
        "name": f"mitozoo {re.sub(r'[^A-Za-z0-9_ -]', ' ', name)}",
        "description": f"{loaded.spec.title}. Mitotic figures in H&E tissue; a research tool, not a medical device.",
        "authors": [{"name": "mitozoo"}],
        "cite": _cite(loaded.spec.source),
        "license": loaded.manifest.licence if loaded.manifest else "Apache-2.0",
        "documentation": PAGE,
        "tags": ["mitosis", "histology", "H&E", "detection", "classification"],
        "version": __version__,
        "inputs": [image],
        "outputs": [_output(key, values, loaded, folder) for key, values in outputs.items()],
        "weights": {
            "tensorflow_saved_model_bundle": {**_file(folder, WEIGHTS), "tensorflow_version": tf.__version__},
        },
        "config": {"mitozoo": {"um_per_px": loaded.spec.um_per_px, "weights_sha256": loaded.sha256}},
    }


def _validate(folder: Path) -> None:
    """Raises: ExportError with what BioImage.IO's validator says."""
    from bioimageio.spec import InvalidDescr, ValidationContext, load_description

    with ValidationContext(root=folder, perform_io_checks=True):
        found = load_description(folder / RDF)
    if isinstance(found, InvalidDescr):
        said = utf8(found.validation_summary.format()).decode()
        raise ExportError(f"The description is not one of BioImage.IO. Nothing was written. Report this:\n{said}")

"""What a client knows of a model at a server: from the server, from a file of the export, or from the zoo."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mitozoo.base.errors import InputError, UnknownNameError, WeightsError
from mitozoo.models import zoo
from mitozoo.serving.client_errors import ServerError

#: The signature that the client calls.
SIGNATURE = "image_bytes_at"
#: Where the classes and the spacing are known from.
FROM_FILE, FROM_SERVER, FROM_ZOO = "file", "server", "zoo"
_NEEDED = ("classes", "um_per_px")


@dataclass(frozen=True)
class ModelAtServer:
    """A model at a server.

    Attributes: name; version; classes in the model's order; um_per_px; threshold, or None; radius_px within which two
    are one cell; sha256 of the weights, "" where nobody says; decoder, settings of the search; source, where classes
    and spacing are known from: "file", "server" or "zoo"; title.
    """

    name: str
    version: str
    classes: tuple[str, ...]
    um_per_px: float
    threshold: float | None
    radius_px: float | None
    sha256: str = ""
    decoder: Mapping[str, Any] = field(default_factory=dict)
    source: str = FROM_SERVER
    title: str = ""


def describe(name: str, metadata: Mapping[str, Any], about_file: Path | None, address: str) -> ModelAtServer:
    """Put together what is known.

    Args: name of the model; metadata, the server's answer; about_file, NAME.json or mitozoo.json of the export, in
        place of what the server says; address, for messages.
    Raises: ServerError for a model that this client cannot use; InputError where classes and spacing are not known.
    """
    signatures = metadata["metadata"].get("signature_def", {}).get("signature_def", {})
    if SIGNATURE not in signatures:
        raise ServerError(
            f"{name} at {address} has no signature {SIGNATURE}. Export it with 'mitozoo export', and serve that."
        )
    about, source = _about(name, metadata, about_file, address)
    signature = signatures[SIGNATURE]
    _check_classes(name, about["classes"], signature, address)
    defaults = signature.get("defaults", {})
    threshold, radius_px = (about.get(key, _default(defaults, key)) for key in ("threshold", "radius_px"))
    if source == FROM_ZOO:
        # The zoo may have been tuned anew since the export.
        threshold = _default(defaults, "threshold") or threshold
        radius_px = _default(defaults, "radius_px") or radius_px
    return ModelAtServer(
        name=name,
        version=str(metadata.get("model_spec", {}).get("version", "")),
        classes=tuple(about["classes"]),
        um_per_px=float(about["um_per_px"]),
        threshold=threshold,
        radius_px=radius_px,
        sha256=str(about.get("weights_sha256") or ""),
        decoder=dict(about.get("decoder") or {}),
        source=source,
        title=str(about.get("title") or name),
    )


def _about(
    name: str, metadata: Mapping[str, Any], about_file: Path | None, address: str
) -> tuple[Mapping[str, Any], str]:
    if about_file is not None:
        return _checked(_read(about_file), str(about_file)), FROM_FILE
    told = metadata["metadata"].get("mitozoo")
    if told:
        return _checked(told, address), FROM_SERVER
    try:
        entry = zoo.manifest(name)
    except (UnknownNameError, WeightsError):
        raise InputError(
            f"The server at {address} does not say which classes and spacing {name!r} has, and the zoo has no such "
            "entry. Give the export's file with --server-about NAME.json."
        ) from None
    return {
        "classes": entry.classes,
        "um_per_px": entry.um_per_px,
        "threshold": entry.threshold,
        "decoder": entry.decoder,
        "title": entry.title,
    }, FROM_ZOO


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"{path} cannot be read: {error.strerror}. Give NAME.json beside the exported model."
        ) from None
    except ValueError:
        raise InputError(f"{path} is not JSON. Give NAME.json beside the exported model.") from None


def _checked(about: Any, where: str) -> Mapping[str, Any]:
    missing = [key for key in _NEEDED if not isinstance(about, dict) or not about.get(key)]
    if missing:
        raise InputError(f"{where} does not say {' and '.join(missing)}. Give NAME.json beside the exported model.")
    found: Mapping[str, Any] = about
    return found


def _check_classes(name: str, classes: Any, signature: Mapping[str, Any], address: str) -> None:
    dims = signature.get("outputs", {}).get("probabilities", {}).get("tensor_shape", {}).get("dim", [])
    count = int(dims[-1].get("size", -1)) if dims else -1
    if count not in (-1, len(classes)):
        raise InputError(
            f"{name} at {address} tells {count} classes, not {len(classes)} ({', '.join(classes)}). Give the export's "
            "file with --server-about NAME.json."
        )


def _default(defaults: Mapping[str, Any], name: str) -> float | None:
    """The default of an input; None where the server does not say. It is a float32: the shortest number that is it."""
    import base64

    tensor = defaults.get(name, {})
    if values := tensor.get("float_val", tensor.get("floatVal")):
        return float(str(np.float32(values[0])))
    if content := tensor.get("tensor_content"):
        return float(str(np.frombuffer(base64.b64decode(content), "<f4")[0]))
    return None

"""Bytes of images are looked at before they wait for the model: a decompression bomb or a text costs nothing then."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np

from mitozoo.data.headers import parse_header
from mitozoo.data.tiff_tags import HeaderError
from mitozoo.serving.status import invalid

#: The input of an exported model that holds images.
IMAGE_BYTES = "image_bytes"
#: Largest image where the model does not say.
MAX_PX = 100_000_000
_KINDS = ("png", "jpeg")
_HINT = "Send the bytes of a PNG or JPEG file"


def check_images(tensors: Mapping[str, np.ndarray], max_px: int) -> None:
    """Check the headers of `image_bytes`, if there are any.

    Args: tensors, inputs of a request; max_px, pixels above which an image is refused.
    Raises: Refused that names the image by its number in the batch, and says what is wrong with it.
    """
    contents = tensors.get(IMAGE_BYTES)
    if contents is None or contents.dtype != object:
        return
    for number, content in enumerate(contents.reshape(-1)):
        if problem := _problem(content, max_px):
            raise invalid(f"{IMAGE_BYTES}[{number}] {problem}")


def _problem(content: bytes, max_px: int) -> str | None:
    try:
        header = parse_header(io.BytesIO(content))
    except HeaderError as error:
        as_text = ' (in JSON as base64, {"b64": "…"})' if content[:4] in (b"iVBO", b"/9j/") else ""
        return f"{error}. {_HINT}{as_text}."
    if header.kind not in _KINDS:
        return f"is a {header.kind.upper()}. {_HINT}."
    if header.width * header.height > max_px:
        return f"is {header.width} x {header.height} px; {max_px} px are searched at once at most. Send tiles of it."
    if header.bits != 8:
        return f"has samples of {header.bits} bits. Save it with 8 bits a sample."
    if header.colour == "cmyk":
        return "is a CMYK JPEG. Save it as RGB."
    if not header.complete or (header.kind == "jpeg" and content.rfind(b"\xff\xd9", header.data_at) < 0):
        return "is cut off: its end is missing. Send the whole file."
    return None

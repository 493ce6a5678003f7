"""What a plain tiled TIFF must be to be searched as a slide: colours that OpenSlide shows as they are."""

from __future__ import annotations

from pathlib import Path

from mitozoo.base.errors import InputError
from mitozoo.data.headers import Header, parse_header
from mitozoo.data.tiff_tags import HeaderError

#: How OpenSlide calls a tiled TIFF of no scanner's. What scanners write is 8-bit RGB.
PLAIN_TIFF = "generic-tiff"
#: Colours that become RGB, with the samples of each.
_COLOURS = {"rgb": 3, "ycbcr": 3, "palette": 1, "cmyk": 4}


def layout_notes(path: Path, vendor: str) -> list[str]:
    """Return what is converted in the pixels of a slide, one sentence each.

    Args: path; vendor, as OpenSlide says it.
    Raises: InputError for a TIFF whose pixels would be wrong or without colour: grey ones, and those of several
    channels.
    """
    header = _header(path) if vendor == PLAIN_TIFF else None
    if header is None:
        return []
    if header.colour == "grey":
        raise InputError(
            f"{path} is grey ({_samples(header)}), and tissue is told by the colours of H&E. Give the scan in 8-bit "
            "RGB; channels of fluorescence cannot be searched."
        )
    usual = _COLOURS.get(header.colour)
    if usual is None or header.samples > usual + 1:
        raise InputError(f"{path} has {_samples(header)} of {header.colour}. Save it as 8-bit RGB.")
    if header.bits > 8:
        return [
            f"{header.bits}-bit samples were scaled to 8 bits by their full range ({2**header.bits - 1} became 255)."
        ]
    return []


def _samples(header: Header) -> str:
    return f"{header.samples} sample{'s' if header.samples > 1 else ''} a pixel"


def _header(path: Path) -> Header | None:
    try:
        with path.open("rb") as stream:
            return parse_header(stream)
    except (HeaderError, OSError):
        # OpenSlide has read more of the file than its first directory, and says itself what is wrong.
        return None

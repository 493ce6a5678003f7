"""A server as a decoder: a field becomes requests, and their answers candidates."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Executor
from typing import Any, Protocol

import cv2
import numpy as np

from mitozoo.base.points import MITOTIC_CLASSES
from mitozoo.inference.decoders import Candidates
from mitozoo.inference.merging import merge_hits
from mitozoo.inference.predictor import DEFAULT_CUT, DEFAULT_MERGE_PX
from mitozoo.inference.tiles import CORE_PX, HALO_PX, Tile, tiles_of
from mitozoo.serving.client_errors import NotThereError, ServerError, ServerGone
from mitozoo.serving.client_model import SIGNATURE, ModelAtServer
from mitozoo.serving.client_retry import Patience

#: Fields up to this side are sent whole: those of a slide's tiles.
WHOLE_PX = CORE_PX + 2 * HALO_PX
#: Places so near to a seam are taken from both sides.
SEAM_PX = 1.0
OUTPUTS = ("points", "valid", "probabilities")
#: The quickest of PNG's own: the network is quicker than a smaller file.
_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1]


class Transport(Protocol):
    """A way to a server."""

    address: str

    def metadata(self, model: str) -> dict[str, Any]:
        """The metadata of a model."""
        ...

    def predict(
        self, model: str, version: str, signature: str, inputs: Mapping[str, Any], outputs: Collection[str]
    ) -> dict[str, np.ndarray]:
        """Ask for outputs of a signature."""
        ...

    def close(self) -> None:
        """Cut the connection."""
        ...


class RemoteModel:
    """A model at a server, in the place of a network: `decoder` is what a search needs of it."""

    def __init__(self, transport: Transport, about: ModelAtServer, patience: Patience, senders: Executor) -> None:
        """Args: transport; about the model; patience with the server; senders, threads that send requests."""
        self.transport, self.about, self.patience, self.senders = transport, about, patience, senders

    def decoder(self, settings: Mapping[str, Any]) -> Callable[[np.ndarray], Candidates]:
        """Return the search of a field by the server. Args: settings, cut and merge_px of it are sent along."""
        cut = float(settings.get("cut", DEFAULT_CUT))
        radius_px = float(settings.get("merge_px", DEFAULT_MERGE_PX))

        def search(field: np.ndarray) -> Candidates:
            tiles = _tiles(field)
            asked = [self.senders.submit(self._tile, field, tile, cut, radius_px) for tile in tiles]
            try:
                parts = [future.result() for future in asked]
            finally:
                for future in asked:
                    future.cancel()
            return parts[0] if len(parts) == 1 else self._merged(parts, radius_px)

        return search

    def _tile(self, field: np.ndarray, tile: Tile, cut: float, radius_px: float) -> Candidates:
        """Candidates of a tile's core, in pixels of the field."""
        box = tile.region
        pixels = field[box.y : box.y + box.height, box.x : box.x + box.width]
        inputs = {"image_bytes": [png(pixels)], "threshold": [cut], "radius_px": [radius_px]}
        found = self.patience.ask(lambda: self._predict(inputs))
        rows = int(found["valid"].reshape(-1)[0])
        xy = found["points"].reshape(-1, 4)[:rows, :2] + (box.x, box.y)
        probabilities = found["probabilities"].reshape(-1, len(self.about.classes))[:rows]
        own = np.array([_near(tile, x, y) for x, y in xy], bool)
        return Candidates(xy[own], probabilities[own])

    def _predict(self, inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
        about = self.about
        try:
            found = self.transport.predict(about.name, about.version, SIGNATURE, inputs, OUTPUTS)
        except NotThereError as error:
            # It was there at the start, and all images must be searched by one version.
            self.patience.give_up()
            raise ServerGone(f"Version {about.version} of {about.name} is no longer served. {error}") from None
        if not _fits(found, len(about.classes)):
            raise ServerError(f"{self.transport.address} answers in another form. Export {about.name} again.")
        return found

    def _merged(self, parts: list[Candidates], radius_px: float) -> Candidates:
        """All tiles' candidates as one list; what both sides of a seam found is one cell."""
        xy = np.concatenate([part.xy for part in parts])
        probabilities = np.concatenate([part.probabilities for part in parts])
        mitotic = [i for i, name in enumerate(self.about.classes) if name in MITOTIC_CLASSES]
        first = [group[0] for group in merge_hits(xy, probabilities[:, mitotic].sum(axis=1), radius_px)]
        return Candidates(xy[first].reshape(-1, 2), probabilities[first].reshape(-1, len(self.about.classes)))


def _near(tile: Tile, x_px: float, y_px: float) -> bool:
    """Whether a place is in a tile's core or at its seam: rounding must not put it beyond the seam for both sides."""
    across, down = x_px + 0.5 - tile.core.x, y_px + 0.5 - tile.core.y
    return -SEAM_PX <= across < tile.core.width + SEAM_PX and -SEAM_PX <= down < tile.core.height + SEAM_PX


def _fits(found: Mapping[str, np.ndarray], classes: int) -> bool:
    points, valid, probabilities = (found[name] for name in OUTPUTS)
    # Lists without rows lose their last dimension in JSON.
    rows = points.size // 4
    return (
        points.size == 4 * rows
        and probabilities.size == classes * rows
        and valid.size == 1
        and 0 <= valid.reshape(-1)[0] <= rows
    )


def _tiles(field: np.ndarray) -> list[Tile]:
    height, width = field.shape[:2]
    if max(height, width) <= WHOLE_PX:
        return tiles_of(width, height, core_px=-(-WHOLE_PX // CORE_PX) * CORE_PX)
    return tiles_of(width, height)


def png(pixels: np.ndarray) -> bytes:
    """Encode an image uint8 (H, W, 3) as PNG, which loses nothing."""
    done, code = cv2.imencode(".png", np.ascontiguousarray(pixels[..., ::-1]), _PNG)
    if not done:
        raise MemoryError("A tile cannot be encoded.")
    return code.tobytes()

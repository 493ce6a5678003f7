"""The versions that are served now: loaded, found and dropped while the server runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mitozoo.base.errors import MitozooError
from mitozoo.serving.loaded import ServedVersion
from mitozoo.serving.status import Code, Refused, invalid, plain
from mitozoo.serving.wanted import WantedModel, fingerprint, wanted_models

log = logging.getLogger(__name__)
LOADING, AVAILABLE, END = "LOADING", "AVAILABLE", "END"


@dataclass
class Slot:
    """A version: its state, why it could not be loaded, what was loaded, and the files that were tried."""

    state: str
    error: str = ""
    served: ServedVersion | None = None
    tried: Any = None


@dataclass(frozen=True)
class Asked:
    """A model as a request names it: by version, by label, or neither for the newest."""

    name: str
    version: int | None = None
    label: str = ""


class Versions:
    """The models of a folder. `refresh` belongs to one event loop; what it loads replaces nothing before it works."""

    def __init__(self, folder: Path, load: Callable[[str, int, Path], ServedVersion] = ServedVersion) -> None:
        """Args: folder of the models; load, what loads a version."""
        self.folder, self._load = folder, load
        self._slots: dict[str, dict[int, Slot]] = {}
        self._labels: dict[str, Mapping[str, int]] = {}

    async def refresh(self) -> None:
        """Look at the folder once: load what is new, then drop what is gone. Raises: InputError as `wanted_models`."""
        wanted = await asyncio.to_thread(wanted_models, self.folder)
        for name, model in wanted.items():
            slots = self._slots.setdefault(name, {})
            for version in model.versions:
                await self._bring(slots.setdefault(version, Slot(END)), name, version, model)
            self._labels[name] = dict(model.labels)
        for name, slots in self._slots.items():
            keep = wanted[name].versions if name in wanted else ()
            for version in set(slots) - set(keep):
                if slots[version].state != END:
                    log.info("%s %s is no longer served", name, version)
                # Requests that run hold on to it; its memory is free after the last one.
                slots[version] = Slot(END)
        self._labels = {name: labels for name, labels in self._labels.items() if name in wanted}

    async def _bring(self, slot: Slot, name: str, version: int, model: WantedModel) -> None:
        if slot.state == AVAILABLE:
            return
        folder = model.folder / str(version)
        files = await asyncio.to_thread(fingerprint, folder)
        if slot.tried == files:
            return
        slot.state, slot.error, slot.tried = LOADING, "", files
        try:
            slot.served = await asyncio.to_thread(self._load, name, version, folder)
        except Refused as error:
            slot.state, slot.error = END, plain(str(error))
            log.error("%s", slot.error)
            return
        slot.state = AVAILABLE
        log.info("%s %s is served", name, version)

    async def watch(self, poll_s: float) -> None:
        """Refresh for ever, every `poll_s` seconds."""
        while True:
            await asyncio.sleep(poll_s)
            try:
                await self.refresh()
            except (MitozooError, OSError) as error:
                # What is served already goes on.
                log.error("%s", plain(str(error)))

    def available(self) -> dict[str, list[int]]:
        """Versions that answer, falling, by model."""
        found = {
            name: sorted((n for n, slot in slots.items() if slot.state == AVAILABLE), reverse=True)
            for name, slots in sorted(self._slots.items())
        }
        return {name: numbers for name, numbers in found.items() if numbers}

    def errors(self) -> list[str]:
        """Why versions could not be loaded."""
        return [slot.error for slots in self._slots.values() for slot in slots.values() if slot.error]

    def find(self, asked: Asked) -> ServedVersion:
        """The version that a request means. Raises: Refused with NOT_FOUND where it is not served."""
        numbers = self.available().get(asked.name, [])
        version = self._numbered(asked)
        which = f"Latest({asked.name})" if version is None else f"Specific({asked.name}, {version})"
        if not numbers or (version is not None and version not in numbers):
            raise Refused(Code.NOT_FOUND, f"Servable not found for request: {which}")
        served = self._slots[asked.name][numbers[0] if version is None else version].served
        assert served is not None
        return served

    def states(self, asked: Asked) -> list[tuple[int, Slot]]:
        """Versions with their states, falling. Raises: Refused with NOT_FOUND where there are none."""
        version = self._numbered(asked)
        slots = self._slots.get(asked.name, {})
        found = [(n, slots[n]) for n in sorted(slots, reverse=True) if version in (None, n)]
        if not found:
            what = "any versions" if version is None else f"version {version}"
            raise Refused(Code.NOT_FOUND, f"Could not find {what} of model {asked.name}")
        return found

    def _numbered(self, asked: Asked) -> int | None:
        if not asked.label:
            return asked.version
        if asked.name not in self._slots:
            raise Refused(Code.NOT_FOUND, f"Servable not found for request: Latest({asked.name})")
        if asked.label not in self._labels.get(asked.name, {}):
            raise invalid(f"Unrecognized servable version label: {asked.label}")
        return self._labels[asked.name][asked.label]

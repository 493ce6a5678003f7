"""Questions to an archive's API, asked again where it is busy."""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
from typing import Any

from mitozoo.base.errors import DataError
from mitozoo.base.network import Unavailable, is_lasting, open_network, pause_s, reason
from mitozoo.data.fetch.sources import Place

#: How often a question is asked.
TRIES = 5
#: Longest answer of an archive that is read, in bytes.
_LONGEST = 64 << 20


def wait(seconds: float) -> None:
    """Pause between two tries."""
    time.sleep(seconds)


def ask(url: str, place: Place, kind: type = dict) -> Any:
    """Ask an archive's API; busy, silent and broken answers are asked for again.

    Args: url; place, for the messages; kind of the answer, dict or list.
    Returns: its JSON. Raises: DataError where it does not answer; ValueError where the answer is of another kind.
    """
    failures = 0
    while True:
        try:
            with open_network(url) as answer:
                content = answer.read(_LONGEST)
            break
        except (OSError, http.client.HTTPException, Unavailable) as error:
            failures += 1
            if failures == TRIES or (is_lasting(error) and not _is_figshares_busy(error, place)):
                raise DataError(
                    f"{place.page} does not answer at {url} ({reason(error)}). Try again later, or give --mirror."
                ) from error
            wait(pause_s(error, failures))
    found = json.loads(content)
    if not isinstance(found, kind):
        raise ValueError(f"not a {kind.__name__}")
    return found


def _is_figshares_busy(error: Exception, place: Place) -> bool:
    """Whether this is the 403 that figshare gives to whom it has answered too often."""
    return place.archive == "figshare" and isinstance(error, urllib.error.HTTPError) and error.code == 403

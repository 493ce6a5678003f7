"""mitozoo: a model zoo and tools for counting mitotic figures in H&E tissue. A research tool, not a medical device."""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"
__all__ = ["build", "evaluate", "export", "load", "predict"]


def __getattr__(name: str) -> Any:
    """Import the public functions when they are first used: Keras takes seconds."""
    if name == "export":
        return importlib.import_module("mitozoo.export")
    if name in __all__:
        from mitozoo import api

        return getattr(api, name)
    raise AttributeError(f"module 'mitozoo' has no attribute {name!r}")


def _export(*args: Any, **settings: Any) -> Any:
    """What calling the package `mitozoo.export` does."""
    from mitozoo import api

    return api.export(*args, **settings)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])

"""mitozoo: a model zoo and tools for counting mitotic figures in H&E tissue. A research tool, not a medical device."""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"
__all__ = ["build", "evaluate", "load", "predict"]


def __getattr__(name: str) -> Any:
    """Import the public functions when they are first used: Keras takes seconds."""
    if name in __all__:
        from mitozoo import api

        return getattr(api, name)
    raise AttributeError(f"module 'mitozoo' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])

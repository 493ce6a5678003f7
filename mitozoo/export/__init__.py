"""One writer for each output format."""

from __future__ import annotations

import sys
import types
from typing import Any

import mitozoo


class _CallableExport(types.ModuleType):
    """This package, which is also the function `mitozoo.export`: Python puts it into its parent under that name."""

    def __call__(self, *args: Any, **settings: Any) -> Any:
        """Export a model; arguments, result and errors are those of `mitozoo.api.exporting.export`."""
        return mitozoo._export(*args, **settings)


sys.modules[__name__].__class__ = _CallableExport

"""Keep TensorFlow's start-up messages off the terminal, and nothing else."""

from __future__ import annotations

import contextlib
import faulthandler
import importlib.util
import os
import sys
import tempfile
from collections.abc import Iterator
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_NAME = "tensorflow"
#: The number of the error stream for C code.
_STREAM = 2


class _QuietFinder(MetaPathFinder):
    """Finds TensorFlow as Python would, once, and imports it with the error stream held back."""

    def find_spec(self, fullname: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if fullname != _NAME:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def quietly(module: ModuleType) -> None:
                with errors_held_back():
                    execute(module)

            spec.loader.exec_module = quietly  # type: ignore[method-assign]
        return spec


def quiet_tensorflow_import() -> None:
    """Let the first `import tensorflow`, whoever asks for it, say nothing unless it fails.

    Its libraries write to the error stream itself, before their own log level counts: which CPU instructions they use,
    and which GPU libraries they did not find. Imports nothing; does nothing where TensorFlow is imported already.
    """
    if _NAME not in sys.modules and not any(isinstance(finder, _QuietFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _QuietFinder())


@contextlib.contextmanager
def errors_held_back() -> Iterator[None]:
    """Hold back what is written to the error stream, also by C code; an exception brings it all out.

    Should the process be aborted meanwhile, Python's own report of it still reaches the terminal.
    """
    try:
        _flush()
        terminal = os.dup(_STREAM)
    except OSError:
        # It was closed: there is nothing to hold back.
        yield
        return
    watching = not faulthandler.is_enabled()
    with tempfile.TemporaryFile() as held:
        if watching:
            faulthandler.enable(terminal)
        os.dup2(held.fileno(), _STREAM)
        try:
            yield
        except BaseException:
            _back(terminal)
            held.seek(0)
            os.write(_STREAM, held.read())
            raise
        else:
            _back(terminal)
        finally:
            if watching:
                faulthandler.disable()
            os.close(terminal)


def _back(terminal: int) -> None:
    _flush()
    os.dup2(terminal, _STREAM)


def _flush() -> None:
    if sys.stderr is not None:
        sys.stderr.flush()

"""Keep freed memory from piling up in a process that computes in several threads."""

from __future__ import annotations

import ctypes
import os
import sys

#: Of glibc's malloc.h: the parameter that is the most pools ("arenas") of memory that threads may open.
_M_ARENA_MAX = -8
#: Variable of the environment by which a user decides that himself.
_VARIABLE = "MALLOC_ARENA_MAX"
#: As many as threads that compute side by side here.
ARENAS = 2


def share_arenas(most: int = ARENAS) -> bool:
    """Let all threads of this process share a few arenas of memory; does nothing where the user or system says else.

    glibc opens up to eight for each core, and what is freed in one is of no use to threads of another: fields of
    2084 px that are searched one after the other take some 50 MB more with sixteen (docs/speed.md).

    Returns: whether it was done; only with glibc, and where the variable MALLOC_ARENA_MAX is not set.
    """
    if not sys.platform.startswith("linux") or _VARIABLE in os.environ:
        return False
    try:
        return bool(ctypes.CDLL(None).mallopt(_M_ARENA_MAX, most))
    except (OSError, AttributeError):
        # Another C library, such as musl.
        return False

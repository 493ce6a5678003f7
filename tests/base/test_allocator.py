"""How many arenas of memory the threads of a process share, counted by glibc itself."""

import os
import platform
import subprocess
import sys

import pytest

from mitozoo.base import allocator

#: Eight threads hold memory at a time; `malloc_info` lists the arenas.
SCRIPT = """
import ctypes, sys, threading
from mitozoo.base.allocator import share_arenas
if "share" in sys.argv: print(share_arenas())
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
together = threading.Barrier(8)
def hold():
    together.wait()
    libc.malloc(5000)
    together.wait()
threads = [threading.Thread(target=hold) for _ in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
libc.fdopen.restype = ctypes.c_void_p
stream = libc.fdopen(1, b"w")
sys.stdout.flush()
libc.malloc_info(0, ctypes.c_void_p(stream))
libc.fflush(ctypes.c_void_p(stream))
"""

glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc alone has arenas")


def arenas(*arguments, **variables):
    """What the script printed first, and the arenas that it had."""
    environment = {key: value for key, value in os.environ.items() if key != "MALLOC_ARENA_MAX"} | variables
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments], capture_output=True, text=True, check=True, env=environment
    )
    return done.stdout.splitlines()[0], done.stdout.count("<heap nr=")


@glibc
def test_threads_share_two_arenas():
    assert arenas("share") == ("True", 2)
    assert arenas()[1] > 2


@glibc
def test_the_users_own_number_counts():
    said, count = arenas("share", MALLOC_ARENA_MAX="3")
    assert (said, count) == ("False", 3)


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.delenv("MALLOC_ARENA_MAX", raising=False)
    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda name: object())
    assert allocator.share_arenas() is False

"""How networks compute: in how many bits, with which compiler, on how many threads."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from typing import Any

from mitozoo.base.errors import RecipeError, UnknownNameError
from mitozoo.models.precision import POLICIES

DEFAULT_REASON = "default: measured by benchmarks/precision_speed.py, figures in docs/speed.md"
ASKED_REASON = "asked for"


@dataclass(frozen=True)
class Speed:
    """What may be chosen for the sake of speed; it checks itself.

    Attributes: precision, of `POLICIES`; xla, whether TensorFlow compiles with XLA; threads of one operation, None for
    TensorFlow's own choice; why, for the record.
    Raises: UnknownNameError, RecipeError for what there is not.
    """

    precision: str = "float32"
    xla: bool = False
    threads: int | None = None
    why: str = DEFAULT_REASON

    def __post_init__(self) -> None:
        if self.precision not in POLICIES:
            raise UnknownNameError("precision", self.precision, POLICIES)
        if self.threads is not None and self.threads < 1:
            raise RecipeError(f"--threads must be 1 or more, got {self.threads}.")

    def record(self) -> dict[str, Any]:
        """What `run.json` says; threads as they are used."""
        return {"precision": self.precision, "xla": self.xla, "threads": threads_in_use(), "why": self.why}


def asked_speed(precision: str, *, xla: bool, threads: int | None) -> Speed:
    """The speed that a user's options ask for; without any, the default."""
    found = Speed(precision, xla, threads)
    plain = Speed()
    return found if found == plain else dataclasses.replace(found, why=ASKED_REASON)


def set_up(speed: Speed) -> None:
    """Give TensorFlow its threads and its compiler.

    Raises: RecipeError where TensorFlow runs already with other threads, which it cannot change then.
    """
    if speed.xla:
        # Without this, XLA leaves what runs on the CPU alone; TensorFlow reads it once, before its first graph.
        os.environ.setdefault("TF_XLA_FLAGS", "--tf_xla_cpu_global_jit")
    import tensorflow as tf

    wanted = "autoclustering" if speed.xla else ""
    if (tf.config.optimizer.get_jit() or "") != wanted:
        tf.config.optimizer.set_jit(wanted or False)
    if speed.threads is None or speed.threads == tf.config.threading.get_intra_op_parallelism_threads():
        return
    try:
        tf.config.threading.set_intra_op_parallelism_threads(speed.threads)
    except RuntimeError:
        raise RecipeError(
            f"--threads {speed.threads} comes too late: TensorFlow runs already. Start Python again and give them at "
            "once."
        ) from None


def threads_in_use() -> int:
    """Threads of one operation: those that TensorFlow was given, else the cores that this process may use."""
    import tensorflow as tf

    given = tf.config.threading.get_intra_op_parallelism_threads()
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return given or allowed

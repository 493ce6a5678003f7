"""The fastest way to search on this machine with these weights: measured once, then kept in the user's cache."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from mitozoo.base.errors import OutputError, RecipeError
from mitozoo.base.files import write_text
from mitozoo.base.units import um_to_px
from mitozoo.inference.ensemble import identity
from mitozoo.inference.journal import fingerprint
from mitozoo.inference.speed import Speed
from mitozoo.models.zoo import LoadedModel
from mitozoo.models.zoo_cache import cache_folder

#: A way must save this share of the time, and make this share of the calls of float32, to be chosen.
LEAST_GAIN, LEAST_SAME = 0.05, 0.95
#: A call of one way is one of another within this distance.
SAME_UM = 7.5
TRIAL_PX, ROUNDS = 1024, 3
_TIMEOUT_S = 600.0

#: One way, in a process of its own: TensorFlow takes threads and compiler once. Arguments: what `try_way` gives.
_CHILD = """
import json, sys, time
from pathlib import Path
asked = json.loads(sys.argv[1])
from mitozoo.inference.session import Search, Settings
from mitozoo.inference.speed import Speed, set_up
from mitozoo.models import zoo
from mitozoo.data.images import read_image
speed = Speed(asked["precision"], asked["xla"], asked["threads"])
set_up(speed)
def load(name, weights):
    own = zoo.weights_path(name) == Path(weights)
    return zoo.load(name) if own else zoo.load(name, Path(weights))
loaded = [load(*member) for member in asked["members"]]
predictor = Search(loaded[0] if len(loaded) == 1 else loaded, Settings(speed=speed)).predictor
pixels, seconds = read_image(asked["field"]).pixels, []
for _ in range(asked["rounds"] + 2):
    start = time.perf_counter()
    found = predictor.detections(pixels, predictor.spec.um_per_px)
    seconds.append(time.perf_counter() - start)
calls = [(item.x_px, item.y_px) for item in found if item.score >= predictor.threshold]
print(json.dumps({"seconds": min(seconds[2:]), "first_s": seconds[0], "calls": calls}))
"""


def ways(gpus: int) -> list[Speed]:
    """What is tried, float32 as TensorFlow runs it first. Threads are not: TensorFlow has taken its own by then."""
    found = [Speed(), Speed(xla=True), Speed("bfloat16")]
    if gpus:
        found += [Speed("float16"), Speed("bfloat16", xla=True), Speed("float16", xla=True)]
    return found


def try_way(members: Sequence[tuple[str, str]], field: Path, way: Speed, rounds: int = ROUNDS) -> dict[str, Any]:
    """Search a field in one way in a fresh process.

    Args: members, name and weights of each model; field; way; rounds after two that compile.
    Returns: seconds (the least), first_s (the first search, which compiles), calls, (x, y) of each.
    Raises: RecipeError where the way does not work here.
    """
    asked = {
        "precision": way.precision, "xla": way.xla, "threads": way.threads, "members": members, "field": str(field),
        "rounds": rounds,
    }  # fmt: skip
    # The package may be used from a checkout.
    root = Path(__file__).resolve().parents[2]
    search = os.pathsep.join(part for part in (str(root), os.environ.get("PYTHONPATH", "")) if part)
    try:
        done = subprocess.run(
            [sys.executable, "-c", _CHILD, json.dumps(asked)], capture_output=True, text=True, check=False,
            timeout=_TIMEOUT_S, env={**os.environ, "PYTHONPATH": search, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )  # fmt: skip
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except (subprocess.TimeoutExpired, IndexError, ValueError):
        raise RecipeError(f"{named(way)} does not work on this machine.") from None
    return found


def named(way: Speed) -> str:
    """A way in words."""
    words = [way.precision, *(["XLA"] if way.xla else []), *([f"{way.threads} threads"] if way.threads else [])]
    return " with ".join([words[0], " and ".join(words[1:])]) if words[1:] else words[0]


def chosen(tried: Sequence[tuple[Speed, dict[str, Any]]], um_per_px: float) -> tuple[Speed, str]:
    """Choose the fastest way that makes the calls of the first, or the first where none is much faster.

    Returns: the way, and the figures in words.
    """
    first, plain = tried[0]
    best, least = first, plain["seconds"]
    figures = []
    for way, said in tried:
        same = same_calls(plain["calls"], said["calls"], um_to_px(SAME_UM, um_per_px))
        figures.append(f"{named(way)} {said['seconds']:.3f} s ({same:.0%} of the calls the same)")
        if same >= LEAST_SAME and said["seconds"] < min(least, (1 - LEAST_GAIN) * plain["seconds"]):
            best, least = way, said["seconds"]
    return best, f"measured on this machine, a drawn field of {TRIAL_PX} px: {', '.join(figures)}"


def same_calls(first: Sequence[Sequence[float]], second: Sequence[Sequence[float]], radius_px: float) -> float:
    """Share of the calls of either that both make; 1 where neither makes any."""
    one, two = np.array(first, float).reshape(-1, 2), np.array(second, float).reshape(-1, 2)
    if not len(one) or not len(two):
        return float(len(one) == len(two))
    apart, near = cKDTree(two).query(one)
    both = len(set(near[apart <= radius_px]))
    return both / (len(one) + len(two) - both)


def tuned_speed(members: Sequence[LoadedModel], tell: Callable[[str], None] = lambda _: None) -> Speed:
    """Measure what is fastest for models on this machine, or look it up where that was done before.

    Args: members, the models that are asked together; tell, called with a line before each way is tried.
    """
    import tensorflow as tf

    gpus, cores = len(tf.config.list_physical_devices("GPU")), os.cpu_count() or 1
    machine = {"node": platform.node(), "machine": platform.machine(), "cores": cores, "gpus": gpus}
    key = fingerprint({**machine, "tensorflow": tf.__version__, "weights": identity(members)})
    path = cache_folder() / "speed" / f"{key}.json"
    if known := _known(path):
        return known
    from mitozoo.data.synthetic import write_sample

    tried = []
    with tempfile.TemporaryDirectory() as folder:
        field = next(
            item for item in write_sample(Path(folder), count=1, size_px=TRIAL_PX, seed=0) if "field" in item.name
        )
        for way in ways(gpus):
            tell(f"Measuring {named(way)}")
            try:
                tried.append((way, try_way([(item.name, str(item.weights)) for item in members], field, way)))
            except RecipeError:
                if not tried:
                    raise
    best, why = chosen(tried, members[0].spec.um_per_px)
    plain = {"precision": best.precision, "xla": best.xla, "threads": best.threads, "why": why}
    try:
        write_text(path, json.dumps(plain, indent=1) + "\n")
    except OutputError:
        tell("What was measured cannot be kept: the cache cannot be written")
    return Speed(**plain)


def _known(path: Path) -> Speed | None:
    """What was measured before; None where nothing was, or not by this version."""
    try:
        return Speed(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None

"""Files in the folder of the models that TensorFlow Serving is started with: which models, batching, monitoring.

They are in the text form of the protocol buffers `ModelServerConfig`, `BatchingParameters` and `MonitoringConfig` of
tensorflow_serving.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from mitozoo.base.errors import RecipeError
from mitozoo.base.files import write_text

MODELS_FILE, BATCHING_FILE, MONITORING_FILE = "models.config", "batching.config", "monitoring.config"
#: Where the container of TensorFlow Serving finds the folder.
BASE = "/models"
ALL, LATEST = "all", "latest"
#: Images that are searched together at most; the sizes that a batch is filled up to.
BATCH_SIZES = (1, 2, 4, 8)

BATCHING = f"""\
# An image is searched after the other: a batch saves overhead, and each of these threads searches one batch at a time.
max_batch_size {{ value: {BATCH_SIZES[-1]} }}
batch_timeout_micros {{ value: 2000 }}
num_batch_threads {{ value: 2 }}
max_enqueued_batches {{ value: 64 }}
{chr(10).join(f"allowed_batch_sizes: {size}" for size in BATCH_SIZES)}
"""

MONITORING = """\
prometheus_config {
  enable: true
  path: "/monitoring/prometheus/metrics"
}
"""


def versions_of(folder: Path) -> list[int]:
    """Versions of a model that are in its folder, rising."""
    if not folder.is_dir():
        return []
    found = [item for item in folder.iterdir() if re.fullmatch(r"[1-9][0-9]*", item.name)]
    return sorted(int(item.name) for item in found if (item / "saved_model.pb").is_file())


def parse_serve(text: str) -> str | list[int]:
    """Read which versions are served: "all", "latest", or numbers as in "1,3". Raises: RecipeError."""
    if text in (ALL, LATEST):
        return text
    if not re.fullmatch(r"[1-9][0-9]*(,[1-9][0-9]*)*", text):
        raise RecipeError(f"--serve is all, latest, or versions such as 1,3, got {text!r}.")
    return sorted({int(part) for part in text.split(",")})


def _policy(serve: str | Sequence[int]) -> str:
    if serve == ALL:
        return "all {}"
    if serve == LATEST:
        return "latest { num_versions: 1 }"
    return "specific { " + " ".join(f"versions: {number}" for number in serve) + " }"


def models_config(serve: Mapping[str, str | Sequence[int]]) -> str:
    """Text of models.config. Args: serve, by model "all", "latest" or its versions."""
    entries = [
        f'  config {{\n    name: "{name}"\n    base_path: "{BASE}/{name}"\n    model_platform: "tensorflow"\n'
        f"    model_version_policy {{ {_policy(serve[name])} }}\n  }}\n"
        for name in sorted(serve)
    ]
    return "model_config_list {\n" + "".join(entries) + "}\n"


def write_configs(out: Path) -> None:
    """Write models.config for every model in a folder, and the other two where they are missing.

    Which versions of a model are served stands in `<model>.json` beside its folder, under "serve"; all where it is not
    said. Batching and monitoring are kept where they are there: they may have been set for the machine.
    """
    serve: dict[str, str | Sequence[int]] = {}
    for folder in sorted(item for item in out.iterdir() if item.is_dir()):
        if re.fullmatch(r"[\w.+-]+", folder.name) and versions_of(folder):
            beside = out / f"{folder.name}.json"
            told = json.loads(beside.read_text(encoding="utf-8")) if beside.is_file() else {}
            serve[folder.name] = told.get("serve", ALL)
    write_text(out / MODELS_FILE, models_config(serve))
    for name, text in ((BATCHING_FILE, BATCHING), (MONITORING_FILE, MONITORING)):
        if not (out / name).exists():
            write_text(out / name, text)

"""Which models and versions a folder asks to be served: by its models.config, or all that are in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from mitozoo.base.errors import InputError
from mitozoo.export.serving.configs import MODELS_FILE, versions_of
from mitozoo.serving.status import plain


@dataclass(frozen=True)
class WantedModel:
    """A model: its folder, the versions of it that shall be served, rising, and labels of versions."""

    folder: Path
    versions: tuple[int, ...]
    labels: Mapping[str, int] = field(default_factory=dict)


def wanted_models(folder: Path) -> dict[str, WantedModel]:
    """What a folder asks for, by model.

    With a models.config (`mitozoo export` writes one), what it says: a base path in it is where the container of
    TensorFlow Serving finds the model, so its last part is looked for in the folder. Without one, every sub-folder with
    versions.
    Raises: InputError for a folder that is not there, or a models.config that cannot be read.
    """
    if not folder.is_dir():
        raise InputError(f"No such folder: {folder}. Export a model into it with: mitozoo export scout --out {folder}")
    config = folder / MODELS_FILE
    if config.is_file():
        return _configured(folder, config)
    found = {item.name: WantedModel(item, _whole(item)) for item in sorted(folder.iterdir()) if item.is_dir()}
    return {name: model for name, model in found.items() if model.versions}


def _configured(folder: Path, config: Path) -> dict[str, WantedModel]:
    from google.protobuf import text_format
    from tensorflow_serving.config import model_server_config_pb2

    try:
        parsed = text_format.Parse(config.read_text(encoding="utf-8"), model_server_config_pb2.ModelServerConfig())
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise InputError(
            f"{config} cannot be read: {plain(str(error))}. Export a model again, which writes it anew."
        ) from None
    found = {}
    for model in parsed.model_config_list.config:
        place = folder / PurePosixPath(model.base_path).name
        found[model.name] = WantedModel(place, _chosen(model, _whole(place)), dict(model.version_labels))
    return found


def _chosen(model: object, there: tuple[int, ...]) -> tuple[int, ...]:
    """Versions that a policy chooses; the latest where there is no policy, as TensorFlow Serving does."""
    policy = model.model_version_policy  # type: ignore[attr-defined]
    choice = policy.WhichOneof("policy_choice")
    if choice == "all":
        return there
    if choice == "specific":
        return tuple(version for version in there if version in policy.specific.versions)
    return there[-(policy.latest.num_versions or 1) :]


def _whole(folder: Path) -> tuple[int, ...]:
    """Versions whose variables are there too: a folder that is still copied waits."""
    return tuple(n for n in versions_of(folder) if (folder / str(n) / "variables" / "variables.index").is_file())


def fingerprint(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """What tells whether the files of a version have changed: names, sizes, times."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return tuple((path.relative_to(folder).as_posix(), path.stat().st_size, path.stat().st_mtime_ns) for path in files)

"""The zoo of trained weights: find, check, fetch and load them.

An entry is a folder `zoo/<name>/` with manifest.json, CARD.md and, where they are small, the weights. Its name may
differ from the architecture's: one architecture can have several sets of weights.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mitozoo
from mitozoo.base.errors import UnknownNameError, WeightsError
from mitozoo.base.files import whole_file, write_text
from mitozoo.models import registry, zoo_cache, zoo_manifest, zoo_weights
from mitozoo.models.registry import ModelSpec
from mitozoo.models.zoo_manifest import Manifest

if TYPE_CHECKING:
    import keras

CARD_NAME = "CARD.md"
RUN_NAME = "run.json"


@dataclass(frozen=True, kw_only=True)
class LoadedModel:
    """A model with trained weights, and what is needed to use it.

    Attributes:
        name: as it was asked for, a zoo entry or an architecture.
        spec: of the architecture, with the input size, spacing, classes and settings of these weights.
        manifest: of the zoo entry; None where the weights come from a file.
        model: keras.Model with the weights.
        weights: the file that was loaded.
        sha256: of that file.
        threshold: score from which a detection counts; None where nobody has chosen one.
        decoder: tuned settings of the decoder; empty for its defaults.
        tuned_on: cases that threshold and decoder were chosen on; empty where that is not known.
    """

    name: str
    spec: ModelSpec
    manifest: Manifest | None
    model: keras.Model
    weights: Path
    sha256: str
    threshold: float | None = None
    decoder: Mapping[str, Any] = field(default_factory=dict)
    tuned_on: tuple[str, ...] = ()


def folder() -> Path:
    """Return the folder of the zoo: the checkout's, or the installed package `mitozoo.zoo`. Raises: WeightsError."""
    checkout = Path(mitozoo.__file__).resolve().parent.parent
    if (checkout / "setup.cfg").is_file() and (checkout / "zoo" / "__init__.py").is_file():
        return checkout / "zoo"
    found = importlib.util.find_spec("mitozoo.zoo")
    if found is None or not found.submodule_search_locations:
        raise WeightsError("The zoo's folder is missing from this installation. Install mitozoo again.")
    return Path(next(iter(found.submodule_search_locations)))


def entries() -> list[str]:
    """Return the names of the zoo's entries, sorted."""
    return sorted(path.parent.name for path in folder().glob(f"*/{zoo_manifest.FILE_NAME}"))


def _check_name(name: str) -> None:
    known = entries()
    if not known:
        raise WeightsError(
            f"The zoo is empty: it has no weights for {name!r}. Train some, and give them with --weights."
        )
    if name not in known:
        raise UnknownNameError("zoo entry", name, known)


def manifest(name: str) -> Manifest:
    """Return the manifest of an entry. Raises: UnknownNameError with the nearest name; WeightsError if malformed."""
    _check_name(name)
    return zoo_manifest.read(folder() / name / zoo_manifest.FILE_NAME)


def card(name: str) -> str:
    """Return the model card of an entry, Markdown; empty where it has none. Raises: UnknownNameError."""
    _check_name(name)
    path = folder() / name / CARD_NAME
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def place(name: str) -> str:
    """Return where the weights of an entry are: "bundled", "cached" or "remote". Raises: as `manifest`."""
    found = manifest(name)
    if (folder() / name / found.weights.file).is_file():
        return "bundled"
    return "cached" if zoo_cache.is_cached(name, found.weights) else "remote"


def weights_path(name: str) -> Path:
    """Return a file with the weights of an entry, its SHA-256 checked: bundled, cached, or fetched into the cache.

    Raises: UnknownNameError; WeightsError for a bundled file that was changed, or weights that cannot be had.
    """
    found = manifest(name)
    bundled = folder() / name / found.weights.file
    if not bundled.is_file():
        return zoo_cache.fetch(name, found.weights, folder())
    digest = zoo_cache.sha256_of(bundled)
    if digest != found.weights.sha256:
        raise WeightsError(
            f"The bundled weights {bundled} were changed or damaged: their SHA-256 is {digest[:12]}…, the manifest "
            f"says {found.weights.sha256[:12]}…. Restore the file from the repository, or install mitozoo again."
        )
    return bundled


def params(name: str) -> int:
    """Return how many parameters the weights of an entry have: counted where the file is here, else as in the spec."""
    found = manifest(name)
    for path in (folder() / name / found.weights.file, zoo_cache.cached_path(name, found.weights)):
        if path.is_file():
            return zoo_weights.parameters(zoo_weights.shapes(path))
    return registry.spec(found.model).params


def summary(name: str) -> dict[str, Any]:
    """Return what a table says of an entry; f1 is None where nobody measured it, weights is as `place` says."""
    found = manifest(name)
    return {
        "name": name,
        "title": found.title,
        "model": found.model,
        "task": registry.spec(found.model).task,
        "params": params(name),
        "f1": found.results.get("f1"),
        "bytes": found.weights.bytes,
        "weights": place(name),
    }


def verify(name: str) -> str:
    """Check an entry's manifest, and its weights where they are here: SHA-256 and contents. Downloads nothing.

    Returns: where the weights are, as `place`.   Raises: WeightsError that says what is wrong.
    """
    found = manifest(name)
    registry.spec(found.model)
    where = place(name)
    cached = zoo_cache.cached_path(name, found.weights)
    if where == "bundled":
        zoo_weights.shapes(weights_path(name))
    elif where == "cached":
        zoo_weights.shapes(cached)
    elif cached.exists():
        raise WeightsError(
            f"The cached weights {cached} are damaged. Run 'mitozoo zoo fetch {name}' to fetch them again."
        )
    return where


def _run_beside(weights: Path) -> dict[str, Any]:
    """Read what a training run says of its checkpoint: model, settings, classes, threshold, decoder; all optional."""
    path = weights.parent / RUN_NAME
    if not path.is_file():
        return {}
    try:
        run = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path} beside the weights cannot be read ({error}). Mend it or move it away.") from error
    kinds = {
        "model": str, "settings": dict, "classes": list, "threshold": (int, float), "decoder": dict, "tuned_on": list,
    }  # fmt: skip
    if not isinstance(run, dict):
        raise WeightsError(f"{path} beside the weights is not a JSON object. Mend it or move it away.")
    told = {key: run[key] for key in kinds if run.get(key) is not None}
    for key, value in told.items():
        if not isinstance(value, kinds[key]) or isinstance(value, bool):
            raise WeightsError(f"{path} beside the weights has a {key!r} that makes no sense. Mend it or move it away.")
    return told


def _load_file(name: str, weights: Path) -> LoadedModel:
    """Load a checkpoint: settings from the run.json beside it, else from the zoo entry of that name, else defaults."""
    entry = manifest(name) if name in entries() else None
    model_name = entry.model if entry else name
    try:
        spec = _spec_of(entry) if entry else registry.spec(name)
    except UnknownNameError as error:
        raise error if entry else UnknownNameError("model", name, {*entries(), *registry.names()}) from None
    zoo_weights.shapes(weights)
    run = _run_beside(weights)
    if run.get("model", model_name) not in (model_name, name):
        raise WeightsError(
            f"The weights {weights} are of {run['model']!r}, not of {model_name!r}, as {RUN_NAME} beside them says. "
            "Name the model that they were trained for."
        )
    settings = run.get("settings", entry.settings if entry else {})
    model = registry.build(model_name, **settings)
    zoo_weights.load_into(model, weights, model_name)
    return LoadedModel(
        name=name,
        spec=dataclasses.replace(
            spec,
            classes=tuple(run.get("classes", spec.classes)),
            settings={**spec.settings, **settings},
        ),
        manifest=None,
        model=model,
        weights=weights,
        sha256=zoo_cache.sha256_of(weights),
        threshold=run.get("threshold"),
        decoder=run.get("decoder", {}),
        tuned_on=tuple(run.get("tuned_on", ())),
    )


def _spec_of(entry: Manifest) -> ModelSpec:
    spec = registry.spec(entry.model)
    return dataclasses.replace(
        spec,
        um_per_px=entry.um_per_px,
        input_px=entry.input_px,
        classes=entry.classes,
        settings={**spec.settings, **entry.settings},
    )


def load(name: str, weights: Path | None = None) -> LoadedModel:
    """Build a model and load trained weights.

    Args: name, a zoo entry, or with `weights` also an architecture; weights, a checkpoint to load instead of the
        zoo's own; a `run.json` beside it may tell its model, settings, threshold and decoder.
    Raises: UnknownNameError; WeightsError where there are no weights, or they are damaged or of another architecture.
    """
    if weights is not None:
        return _load_file(name, weights)
    if name not in entries() and name in registry.names():
        raise WeightsError(
            f"The zoo has no trained weights for {name!r} yet. Train it with 'mitozoo train {name}' and give the "
            "checkpoint with --weights."
        )
    entry = manifest(name)
    path = weights_path(name)
    model = registry.build(entry.model, **entry.settings)
    zoo_weights.load_into(model, path, entry.model)
    return LoadedModel(
        name=name,
        spec=_spec_of(entry),
        manifest=entry,
        model=model,
        weights=path,
        sha256=entry.weights.sha256,
        threshold=entry.threshold,
        decoder=entry.decoder,
    )


def write_entry(folder: Path, manifest: Manifest, weights: Path) -> Manifest:
    """Put weights into a zoo entry and write its manifest, with the hash and size of the file as it is.

    Args: folder, `zoo/<name>`; manifest, whose weights' file name is kept and whose hash and size are replaced;
        weights, a `.weights.h5` file, stored as it is: whether in float16 or float32 is the caller's choice.
    Returns: the manifest as written.   Raises: WeightsError for a file or a manifest that `load` would refuse.
    """
    zoo_weights.shapes(weights)
    size, digest = weights.stat().st_size, zoo_cache.sha256_of(weights)
    stored = dataclasses.replace(manifest.weights, sha256=digest, bytes=size)
    written = dataclasses.replace(manifest, weights=stored)
    path = folder / zoo_manifest.FILE_NAME
    text = zoo_manifest.to_json(written, str(path))
    target = folder / stored.file
    if target.resolve() != weights.resolve():
        with whole_file(target) as temporary:
            shutil.copyfile(weights, temporary)
    write_text(path, text)
    return written

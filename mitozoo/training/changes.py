"""Single settings of a recipe changed by name: what an ablation leaves out, each with one option."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from mitozoo.base.errors import RecipeError, UnknownNameError
from mitozoo.data.field_tiles import TileSettings
from mitozoo.data.pipeline import WindowSettings
from mitozoo.models import registry
from mitozoo.training.recipe import Recipe, Stage, recipe

#: Settings of the recipe itself that may be changed; the others have options of their own.
OWN = (
    "kappa", "smoothing", "weight_decay", "ema", "located", "without", "frozen", "loss", "labels", "optimizer",
    "momentum", "clip_norm",
)  # fmt: skip
#: Settings of a stage.
OF_STAGE = ("epochs", "lr", "decay", "balanced", "draws", "mine", "frozen", "step_epochs", "part")
_YES_NO = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def varied(
    model: str,
    preset: str,
    *,
    epochs: int | None = None,
    lr: float | None = None,
    changes: Sequence[str] = (),
    **settings: Any,
) -> Recipe:
    """Return a model's recipe with other settings; None leaves one as it is.

    `changes` ("smoothing=0", see `changed`) come first, then `epochs` scales the stages to so many.
    """
    chosen = dataclasses.replace(
        changed(recipe(model, preset), changes), **{key: value for key, value in settings.items() if value is not None}
    )
    chosen = chosen.with_epochs(epochs) if epochs else chosen
    return chosen if lr is None else chosen.with_lr(lr)


def changed(before: Recipe, changes: Sequence[str]) -> Recipe:
    """Return the recipe with settings changed, in order; stages lose their epochs last, so that one always has some.

    Args: changes "NAME=VALUE", where NAME is a setting of the recipe (one of `OWN`), "augment.NAME" one of
    `WindowSettings`, "tiles.NAME" one of `TileSettings`, "model.NAME" one of the model's builder, "STAGE.NAME" one of
    the stage of that name, "stages.NAME" one of all stages. Lists are separated by commas.
    Raises: RecipeError for another form or a value of the wrong kind; UnknownNameError for an unknown name.
    """
    named: dict[str, str] = {}
    for change in changes:
        name, equals, text = change.partition("=")
        if not equals or not name:
            raise RecipeError(f"{change!r} is not NAME=VALUE. Write for example --set smoothing=0.")
        named.pop(name.strip(), None)
        named[name.strip()] = text.strip()
    for name, text in sorted(named.items(), key=lambda item: item[0].endswith(".epochs") and item[1] == "0"):
        before = _with(before, name, text)
    return before


def _with(before: Recipe, name: str, text: str) -> Recipe:
    group, dot, inner = name.partition(".")
    if not dot:
        if name not in OWN:
            raise UnknownNameError("setting of a recipe", name, names_of(before))
        return dataclasses.replace(before, **{name: _value(name, text, getattr(before, name))})
    if group == "augment":
        defaults = {field.name: field.default for field in dataclasses.fields(WindowSettings)}
        return dataclasses.replace(before, augment=_in(before.augment, defaults, name, inner, text))
    if group == "tiles":
        defaults = {field.name: field.default for field in dataclasses.fields(TileSettings)}
        return dataclasses.replace(before, tiles=_in(before.tiles, defaults, name, inner, text))
    if group == "model":
        defaults = dict(registry.spec(before.model).settings)
        return dataclasses.replace(before, settings=_in(before.settings, defaults, name, inner, text))
    stages = {stage.name for stage in before.stages}
    if group not in {*stages, "stages"} or inner not in OF_STAGE:
        raise UnknownNameError("setting of a recipe", name, names_of(before))

    def other(stage: Stage) -> Stage:
        if group not in (stage.name, "stages"):
            return stage
        return dataclasses.replace(stage, **{inner: _value(name, text, getattr(stage, inner))})

    return dataclasses.replace(before, stages=tuple(other(stage) for stage in before.stages))


def _in(given: Mapping[str, Any], defaults: Mapping[str, Any], name: str, inner: str, text: str) -> dict[str, Any]:
    if inner not in defaults:
        raise UnknownNameError(f"setting {name.partition('.')[0]}", inner, defaults)
    return {**given, inner: _value(name, text, given.get(inner, defaults[inner]))}


def _value(name: str, text: str, now: Any) -> Any:
    """The text as a value of the kind that the setting has now."""
    try:
        if isinstance(now, bool):
            return _YES_NO[text.lower()]
        if isinstance(now, tuple):
            kind_of = type(now[0]) if now else str
            return tuple(kind_of(part.strip()) for part in text.split(",") if part.strip())
        return type(now)(text)
    except (ValueError, KeyError):
        kind = {bool: "yes or no", int: "a whole number", float: "a number"}.get(type(now), "a text")
        raise RecipeError(f"{name} must be {kind}, got {text!r}.") from None


def names_of(of: Recipe) -> list[str]:
    """All names that `changed` takes for a recipe."""
    windows = [f"augment.{field.name}" for field in dataclasses.fields(WindowSettings)]
    windows += [f"tiles.{field.name}" for field in dataclasses.fields(TileSettings)]
    model = [f"model.{name}" for name in registry.spec(of.model).settings]
    stages = [f"{stage}.{name}" for stage in ("stages", *(s.name for s in of.stages)) for name in OF_STAGE]
    return [*OWN, *windows, *model, *stages]

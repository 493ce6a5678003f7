"""Choosing a detector's threshold, and settings of its decoder, on validation cases."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from mitozoo.base.errors import DataError, OutputError, RecipeError, UnknownNameError
from mitozoo.base.files import write_bytes, write_text
from mitozoo.evaluation.compare_plots import plot_thresholds
from mitozoo.evaluation.curves import best_f1_threshold
from mitozoo.evaluation.fields import FieldFound, FieldReport, FieldTruth, evaluate_fields
from mitozoo.evaluation.page import RESEARCH_ONLY
from mitozoo.evaluation.report import plain, report_json

#: Says in the file what it is.
KIND = "mitozoo tuned threshold"
#: The part of a split that is never tuned on, and the one that is unless another is named.
TEST, VALIDATION = "test", "validation"
#: Settings that a grid may have: every one is a search of all fields.
LARGEST_GRID = 64
#: What a trial with the model's own settings is called.
OWN_SETTINGS = "the model's own settings"


class Tuned(NamedTuple):
    """What `mitozoo tune` chose: score from which a detection counts, settings of the decoder, on which cases, and with
    how many views of each image.
    """

    threshold: float
    decoder: dict[str, Any]
    cases: tuple[str, ...]
    tta: int = 1


@dataclass(frozen=True, eq=False)
class Trial:
    """One setting of the decoder: those of the grid, the best threshold with it, and the report at that threshold."""

    grid: Mapping[str, float]
    threshold: float
    report: FieldReport

    @property
    def name(self) -> str:
        """The settings of the grid, for people."""
        return ", ".join(f"{key} {value:g}" for key, value in self.grid.items()) or OWN_SETTINGS

    @property
    def f1(self) -> float:
        """F1 at the threshold."""
        return self.report.counts.f1


def parse_grid(given: Sequence[str]) -> list[dict[str, float]]:
    """All combinations of the settings given as "name=value,value", the first named turning slowest.

    Returns: one empty setting where nothing is given. Raises: RecipeError for words that are no grid, a name or value
    given twice, or more than `LARGEST_GRID` combinations.
    """
    axes: dict[str, list[float]] = {}
    for words in given:
        name, sign, values = words.partition("=")
        name = name.strip()
        if not sign or not name or name in axes:
            raise RecipeError(f"--grid takes name=value,value with each name once, e.g. merge_px=20,25, got {words!r}.")
        axes[name] = [_number(word, words) for word in values.split(",")]
        if len(set(axes[name])) < len(axes[name]):
            raise RecipeError(f"--grid has a value twice: {words!r}. Give each once.")
    size = math.prod(map(len, axes.values()))
    if size > LARGEST_GRID:
        raise RecipeError(f"The grid has {size} settings, each a search of all fields. Give {LARGEST_GRID} or fewer.")
    return [dict(zip(axes, point, strict=True)) for point in itertools.product(*axes.values())]


def _number(word: str, words: str) -> float:
    try:
        value = float(word)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise RecipeError(f"--grid takes numbers, and {word.strip()!r} in {words!r} is none.")
    # Decoders count pixels and turns in whole numbers.
    return int(value) if value.is_integer() and "." not in word else value


def check_part(part: str) -> None:
    """Raises: RecipeError for the test part of a split."""
    if part == TEST:
        raise RecipeError(
            "Nothing is tuned on test cases: afterwards they could not tell how good the model is on new ones. Use "
            f"--part {VALIDATION}."
        )


def cases_of_part(parts: Mapping[str, Sequence[str]], part: str, cases: Sequence[str]) -> list[str]:
    """The cases to tune on: those named, or all of the part.

    Args: parts, cases by the names of the split's parts; part; cases named, may be empty.
    Raises: RecipeError for the test part; UnknownNameError for a part that is not there; DataError for a named case
    that is not of the part, or an empty part.
    """
    check_part(part)
    if part not in parts:
        raise UnknownNameError("part of the split", part, parts)
    for case in cases:
        if case not in parts[part]:
            place = next((name for name, members in parts.items() if case in members), None)
            where = f"is in part {place!r}" if place is not None else "is not in the split"
            raise DataError(f"Case {case!r} {where}, not in {part!r}. Leave it out, or choose another --part.")
    if not parts[part]:
        raise DataError(f"The part {part!r} of the split has no case. Split again with a larger share for it.")
    return list(cases or parts[part])


def check_figures(number: int) -> None:
    """Raises: DataError if the cases have no mitotic figure."""
    if not number:
        raise DataError("No threshold can be chosen: the cases have no mitotic figure. Take other or more cases.")


def tune_threshold(
    grid: Mapping[str, float],
    truths: Sequence[FieldTruth],
    found: Iterable[FieldFound],
    protocol: str = "default",
    *,
    cut: float = 0.0,
    seed: int = 0,
) -> Trial | None:
    """The threshold with the highest F1 for one setting of the decoder; of equal ones the highest.

    Args: grid, the setting; truths and found as for `evaluate_fields`; protocol; cut, score under which the decoder
    does not promise to find all, so that no threshold is chosen there; seed of the intervals.
    Returns: None where nothing was found, or nothing is right at any threshold.
    Raises: DataError where there is no mitotic figure, and as `evaluate_fields`.
    """
    deep = [
        dataclasses.replace(item, xy=item.xy[item.scores >= cut], scores=item.scores[item.scores >= cut])
        for item in found
    ]
    curve = evaluate_fields(truths, deep, protocol, bootstraps=0).curve
    check_figures(curve.positives)
    if not curve.tp.any():
        return None
    threshold, _ = best_f1_threshold(curve)
    return Trial(grid, threshold, evaluate_fields(truths, deep, protocol, threshold, seed=seed))


def best_trial(trials: Sequence[Trial | None]) -> Trial:
    """The trial with the highest F1; of equal ones the first. Raises: DataError if no trial found anything right."""
    good = [trial for trial in trials if trial is not None]
    if not good:
        raise DataError(
            "No threshold can be chosen: no mitotic figure was found at any score. Check the spacing (--um-per-px), "
            "the labels and the model."
        )
    return max(good, key=lambda trial: trial.f1)


def check_out(out: Path, overwrite: bool) -> None:
    """Make sure, before any work, that the result can be written. Raises: OutputError."""
    if out.suffix.lower() != ".json":
        raise OutputError(f"--out is the name of a JSON file, e.g. tuned.json, got {out}.")
    if out.exists() and not overwrite:
        raise OutputError(f"{out} is there already. Choose another --out, or add --overwrite to replace it.")
    probe = out.with_name(".mitozoo-check")
    write_bytes(probe, b"")
    probe.unlink(missing_ok=True)


def write_tuned(
    out: Path,
    trials: Sequence[Trial | None],
    decoder: Mapping[str, Any],
    about: Mapping[str, Any],
) -> list[Path]:
    """Write the choice as JSON, and the curve of F1 over thresholds as a PNG of the same name.

    Args: out, a .json; trials; decoder, the model's own settings, which those of the best trial replace; about, what
    else to say (model, weights_sha256, data, split …).
    Returns: the files. Raises: DataError as `best_trial`; OutputError.
    """
    best = best_trial(trials)
    report = report_json(best.report)
    content = {
        "kind": KIND,
        "notice": RESEARCH_ONLY,
        **about,
        "threshold": best.threshold,
        "decoder": {**decoder, **best.grid},
        "cases": [row.name for row in best.report.cases],
        "fields": best.report.fields,
        "protocol": report["protocol"]["name"],
        **{name: report[name] for name in ("precision", "recall", "f1", "tp", "fp", "fn", "intervals_95")},
        "trials": [
            {"grid": dict(trial.grid), "threshold": trial.threshold, "f1": trial.f1}
            for trial in trials
            if trial is not None
        ],
        "curve": report["curves"]["precision-recall"],
    }
    picture = out.with_suffix(".png")
    curves = {trial.name: trial.report.curve.thinned() for trial in trials if trial is not None}
    plot_thresholds(curves, best.name, best.threshold, picture)
    write_text(out, json.dumps(plain(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    return [out, picture]


def record_beside(weights: Path) -> tuple[Path, dict[str, Any]]:
    """The run.json beside weights, and what it says. Raises: OutputError where there is none that can be read."""
    path = weights.parent / "run.json"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(record, dict):
            raise ValueError("not a JSON object")
    except (OSError, ValueError) as error:
        raise OutputError(
            f"{path} cannot be read ({error}), so the choice has no place beside the weights. "
            "Leave --keep out, and give the file to 'mitozoo predict --tuned'."
        ) from error
    return path, record


def keep_beside(weights: Path, trials: Sequence[Trial | None], decoder: Mapping[str, Any]) -> Path:
    """Keep the choice in the run.json beside the weights, where `--weights` finds it.

    Returns: that file. Raises: OutputError where there is none; DataError as `best_trial`.
    """
    best, (path, record) = best_trial(trials), record_beside(weights)
    cases = [row.name for row in best.report.cases]
    record |= {"threshold": best.threshold, "decoder": {**decoder, **best.grid}, "tuned_on": cases}
    write_text(path, json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    return path


def read_tuned(path: Path, weights_sha256: str | None = None) -> Tuned:
    """Read what `mitozoo tune` wrote.

    Args: path; weights_sha256 of the model that the choice shall serve, where it is known.
    Raises: RecipeError for a file that is missing, of another kind or damaged, or chosen for other weights.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        if content["kind"] != KIND:
            raise ValueError(content["kind"])
        threshold, decoder, cases = float(content["threshold"]), dict(content["decoder"]), tuple(content["cases"])
        tta = int(content.get("tta", 1))
        if not 0 <= threshold <= 1 or not all(isinstance(name, str) for name in (*decoder, *cases)):
            raise ValueError(threshold)
    except OSError as error:
        raise RecipeError(f"Cannot read {path}: {error.strerror}. Give the JSON file of 'mitozoo tune'.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise RecipeError(f"{path} is not a JSON file of 'mitozoo tune', or is damaged. Tune again.") from error
    own = content.get("weights_sha256")
    if weights_sha256 is not None and own != weights_sha256:
        raise RecipeError(
            f"{path} was tuned for other weights ({content.get('model')}, {_short(str(own))}), not "
            f"{_short(weights_sha256)}. Tune again for these."
        )
    return Tuned(threshold, decoder, cases, tta)


def _short(identity: str) -> str:
    """Hashes for people: of one model, or of several joined by a plus."""
    return "+".join(sha256[:12] for sha256 in identity.split("+"))

#!/usr/bin/env python3
r"""Put trained weights into the zoo, with the figures that were measured on held-out slides.

    python scripts/publish.py stn --run runs/stn --folds runs/stn-folds --detector runs/stn-folds/detector.json \
        --machine "2 CPU cores" --date 2026-11-21

--run: the training whose weights are published; --folds: the cross-validation of the same recipe, where the weights
learnt from all slides; without it, the run's own held-out share, so that the figures are those of these very weights.
--detector: what benchmarks/held_out_fields.py wrote for it; its best threshold is that of the weights, or with --why
TEXT that of its --threshold, which was chosen elsewhere. Stores the weights in float16, the manifest and CARD.md.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mitozoo.base.files import write_text
from mitozoo.data.pipeline import balanced_indices
from mitozoo.evaluation.classes import evaluate_patches
from mitozoo.evaluation.held_out import held_out_reports, location_error
from mitozoo.export.record import plain_command
from mitozoo.models import registry, zoo
from mitozoo.models.zoo_manifest import Manifest, WeightsFile
from mitozoo.training.outcome import PREDICTIONS, Outcome, load_outcome, pool

DRAWS = 50
BEST_OF_THESE = "the best F1 on these same held-out slides, so its F1 is a little too kind."


def halve(source: Path, target: Path) -> None:
    """Copy a `.weights.h5` with its float32 arrays as float16, but for those with numbers beyond float16."""
    with h5py.File(source) as old, h5py.File(target, "w") as new:

        def copy(name: str, item: Any) -> None:
            if isinstance(item, h5py.Dataset):
                values = item[()]
                # Variances of activations of VGG16, whose colours are 0 to 255, go beyond 65504.
                half = item.dtype == np.float32 and np.abs(values).max(initial=0) <= np.finfo(np.float16).max
                made = new.create_dataset(name, data=values.astype(np.float16) if half else values)
            else:
                made = new.require_group(name)
            made.attrs.update(dict(item.attrs))

        new.attrs.update(dict(old.attrs))
        old.visititems(copy)


def balanced(outcome: Outcome, classes: list[str]) -> dict[str, Any]:
    """Per-class figures with as many cells of each class, the mean over random deletions, as the paper's sets were."""
    rows = []
    for seed in range(DRAWS):
        kept = balanced_indices(outcome.labels, np.random.default_rng(seed))
        report = evaluate_patches(
            outcome.labels[kept], outcome.probabilities[kept], classes, outcome.cases[kept], bootstraps=2
        )
        rows.append([[item.counts.precision, item.counts.recall, item.counts.f1] for item in report.scores])
    mean = np.mean(rows, axis=0)
    return {name: [round(float(value), 3) for value in row] for name, row in zip(classes, mean, strict=True)}


def results_of(outcome: Outcome, classes: list[str], detector: dict[str, Any], folds: int) -> dict[str, Any]:
    """All figures of the manifest."""
    reports = held_out_reports(outcome.labels, outcome.probabilities, classes, outcome.cases)
    everything, paired = reports["all"], reports["one-to-one"]
    whole = outcome.origins != "neighbour"
    fields = held_out_reports(outcome.labels[whole], outcome.probabilities[whole], classes, outcome.cases[whole])
    table = balanced(outcome, classes)
    best = detector["best"]
    found = {
        "f1": best["f1"],
        "recall": best["recall"],
        "fp_per_mm2_fields": best["fp_per_mm2_fields"],
        "fp_per_mm2_patches": best["fp_per_mm2_patches"],
        "patch_mean_f1": everything.macro[2],
        "patch_mean_f1_balanced": float(np.mean([row[2] for row in table.values()])),
        "patch_mitotic_f1": paired.mitotic.f1,
        "patch_mitotic_f1_field_negatives": fields["one-to-one"].mitotic.f1,
        "patch_mitotic_auc": everything.mitotic_auc,
        "balanced_accuracy_atypical": everything.atypical.balanced_accuracy if everything.atypical else None,
    }
    if outcome.error_px is not None:
        place = location_error(outcome.error_px, outcome.labels, classes)
        found |= {"location_median_px": place["median_px"], "location_p95_px": place["p95_px"]}
    found = {key: round(float(value), 4) for key, value in found.items() if value is not None}
    return {**found, "folds": folds, "per_class_balanced": table, "at_recall": detector["at_recall"]}


def at_given(detector: dict[str, Any]) -> dict[str, Any]:
    """The detector's figures with the threshold that it was also measured at in place of its best one."""
    return detector | {"best": detector["given"], "domains": detector["given_domains"]}


def began_with(run: dict[str, Any]) -> list[str]:
    """What a run's weights began with: another run's, or those of the zoo as they were; command, seed and hours."""
    init = run.get("init") or "nothing"
    if init.startswith("zoo:"):
        before = zoo.folder() / init.removeprefix("zoo:") / zoo.CARD_NAME
        command, _, made, *rest = before.read_text(encoding="utf-8").partition("## Made by\n")[2].splitlines()
        first = itertools.takewhile(lambda line: line.startswith("Began with"), rest)
        return [f"Began with the zoo's weights of before: {command}. {made}", *first]
    record = Path(init) / "run.json"
    if not record.is_file():
        return []
    first = json.loads(record.read_text(encoding="utf-8"))
    return [
        f"Began with the weights of `{plain_command(first['command'])}`, seed {first['recipe']['seed']}, "
        f"{first['hours']:.2f} hours.",
        *began_with(first),
    ]


def card_head(name: str, manifest: Manifest, run: dict[str, Any]) -> list[str]:
    """First lines of every card: what it is, and how its weights were made."""
    return [
        f"# {name}: {manifest.title}",
        "",
        f"Source: {registry.spec(manifest.model).source}. A research tool, not a medical device.",
        "",
        "## Made by",
        f"`{manifest.command}`",
        "",
        f"Seed {manifest.seed}, {manifest.hours:.2f} hours on {manifest.machine}, {manifest.date}. Stored in float16.",
        *began_with(run),
    ]


def card(
    name: str,
    manifest: Manifest,
    run: dict[str, Any],
    folds: dict[str, Any] | None,
    detector: dict[str, Any],
    notes: Sequence[str] = (),
    why: str | None = None,
) -> str:
    """The text of CARD.md; why, where the threshold is from, if it is not the best one of these slides."""
    results = manifest.results
    held = sum(fold == 0 for fold in run["fold_of"].values())
    lines = [
        *card_head(name, manifest, run),
        *([f"Cross-validation: `{plain_command(folds['command'])}`, {folds['hours']:.2f} hours."] if folds else []),
        "Cells: " + ", ".join(f"{count} {label}" for label, count in run["cells"].items()) + ".",
        "",
        "Data:",
        *(
            f"- {item['name']}: {item['source'] or 'see its readme'} ({item['licence'] or 'licence not stated'})"
            for item in run["data"]
        ),
        "",
        "## Measured on held-out slides",
        f"{results['folds']} folds by slide; every cell and field is measured by a model that has not seen its slide."
        if folds
        else f"Of these very weights, on the {held} of {len(run['fold_of'])} slides that they have not seen.",
        "",
        f"As many cells of each class (mean of {DRAWS} random deletions), as in the paper's Table 1:",
        "",
        "| class | precision | recall | F1 |",
        "|---|---|---|---|",
        *(f"| {label} | {p:.3f} | {r:.3f} | {f:.3f} |" for label, (p, r, f) in results["per_class_balanced"].items()),
        f"| mean | | | {results['patch_mean_f1_balanced']:.3f} |",
        "",
        f"- mean F1 over the classes on all held-out cells as they are: {results['patch_mean_f1']:.3f}",
        f"- mitotic against non-mitotic, one negative for each mitotic figure: F1 {results['patch_mitotic_f1']:.3f}",
        "  (with negatives from whole fields alone, none from beside mitotic figures: "
        f"{results['patch_mitotic_f1_field_negatives']:.3f})",
        f"- mitotic against non-mitotic, all cells: ROC AUC {results['patch_mitotic_auc']:.3f}",
        f"- atypical against normal mitotic figures: balanced accuracy {results['balanced_accuracy_atypical']:.3f}",
    ]
    if "location_median_px" in results:
        lines.append(
            f"- place of mitotic figures: median error {results['location_median_px']:.1f} px, "
            f"95 % within {results['location_p95_px']:.1f} px (0.25 µm per pixel)"
        )
    lines += [
        "",
        f"As a detector (`python benchmarks/held_out_fields.py`): recall on {detector['patches']} patches of mitotic "
        f"figures, false positives on {detector['fields_mm2']:.2f} mm² of painted ICPR 2012 fields and on "
        f"{detector['patches_mm2']:.2f} mm² around the mitotic figures of the patches. F1 takes the worse of the two.",
        "",
        "| recall | threshold | FP per mm², fields | FP per mm², patches | F1 |",
        "|---|---|---|---|---|",
        *(
            f"| {row['recall']:.3f} | {row['threshold']:.3f} | {row['fp_per_mm2_fields']:.1f} | "
            f"{row['fp_per_mm2_patches']:.1f} | {row['f1']:.3f} |"
            for row in [*detector["at_recall"], detector["best"]]
        ),
        "",
        f"The last row has the threshold that `predict` uses: {why or BEST_OF_THESE}",
        "",
        *domain_rows(detector),
        "## Limits",
        f"- Measured on {', '.join(detector['domains'])} at about 0.25 µm per pixel; on no other tissue."
        if detector.get("domains")
        else "- Human breast cancer at about 0.25 µm per pixel. Other organs, species and scanners were not measured.",
        "- The patches show one cell each in 128 px; windows with the cell off centre were continued with other tissue "
        "of the same slide, so places are measured on composed windows, not on whole fields.",
        "- Part of the negatives are unlabelled fields; a stray mitotic figure may be among them. Patches of one slide "
        "overlap, so some negatives mined beside a mitotic figure show another labelled one, and so do some false "
        "positives in the patches: both count against the model.",
        *(f"- {note}" for note in notes),
        "- Detections are an aid to search. They do not replace a pathologist's count.",
        "",
    ]
    return "\n".join(lines)


def domain_rows(detector: dict[str, Any]) -> list[str]:
    """The detector by domain, at the one threshold."""
    if not detector.get("domains"):
        return []
    return [
        "| domain | recall | FP per mm², patches | F1 |",
        "|---|---|---|---|",
        *(
            f"| {name} | {row['recall']:.3f} | {row['fp_per_mm2_patches']:.1f} | {row['f1']:.3f} |"
            for name, row in detector["domains"].items()
        ),
        "",
    ]


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name")
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--folds", type=Path)
    parser.add_argument("--detector", type=Path, required=True)
    parser.add_argument("--machine", required=True)
    parser.add_argument("--date", required=True)
    parser.add_argument("--version", default="1")
    parser.add_argument("--note", action="append", default=[], help="A further limit for the card.")
    parser.add_argument("--why", help="Take the threshold that the detector was also measured at; where it is from.")
    options = parser.parse_args()
    run = json.loads((options.run / "run.json").read_text(encoding="utf-8"))
    folds = json.loads((options.folds / "run.json").read_text(encoding="utf-8")) if options.folds else None
    if folds and run["recipe"] != folds["recipe"]:
        parser.error(f"{options.run} and {options.folds} were trained by different recipes.")
    detector = json.loads(options.detector.read_text(encoding="utf-8"))
    if options.why:
        if "given_domains" not in detector:
            parser.error("--why needs a --detector measured with --threshold.")
        detector = at_given(detector)
    parts = [options.folds / f"fold_{k}" for k in range(folds["folds"])] if folds else [options.run]
    outcome = pool([load_outcome(part / PREDICTIONS, k) for k, part in enumerate(parts)])
    assert outcome is not None
    spec = registry.spec(run["model"])
    manifest = Manifest(
        model=run["model"],
        title=spec.title,
        version=options.version,
        weights=WeightsFile(file=f"{options.name}.weights.h5", urls=(), sha256="0" * 64, bytes=1),
        um_per_px=spec.um_per_px,
        input_px=spec.input_px,
        classes=tuple(run["classes"]),
        threshold=round(detector["best"]["threshold"], 4),
        decoder=run.get("decoder", {}),
        licence="Apache-2.0",
        trained_on=tuple(item["name"] for item in run["data"]),
        command=plain_command(run["command"]),
        seed=run["recipe"]["seed"],
        machine=options.machine,
        date=options.date,
        hours=run["hours"],
        settings=run["settings"],
        results=results_of(outcome, run["classes"], detector, len(parts) if folds else 0),
    )
    target = zoo.folder() / options.name
    with tempfile.TemporaryDirectory() as folder:
        # Through a model that was never compiled, so that no optimizer's state goes along.
        plain, half = Path(folder) / "plain.weights.h5", Path(folder) / f"{options.name}.weights.h5"
        zoo.load(run["model"], options.run / "model.weights.h5").model.save_weights(plain)
        halve(plain, half)
        written = zoo.write_entry(target, manifest, half)
    write_text(target / zoo.CARD_NAME, card(options.name, written, run, folds, detector, options.note, options.why))
    print((target / zoo.CARD_NAME).read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()

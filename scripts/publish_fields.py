#!/usr/bin/env python3
r"""Put the weights of a model that learns from fields into the zoo, with what was measured on slides it has not seen.

    python scripts/publish_fields.py segmitos-slim --run runs/segmitos --measured runs/segmitos/fields.json \
        --machine "2 CPU cores" --date 2026-11-21 [--title TITLE] [--note TEXT …]

--measured: what benchmarks/field_models.py wrote for the run; its threshold and decoder settings become the entry's.
--setting NAME=VALUE: a setting of the builder that weights do not depend on, in place of the one used in training;
those that field_models.py was given are taken over.
Stores the weights in float16, the manifest, CARD.md and docs/fields/NAME.json.

    python scripts/publish_fields.py segmitos-slim --measured segmitos-slim.json

Without --run the entry keeps its weights and what its card says of how they were made; threshold, decoder and figures
are those of a new measurement, seconds those of docs/speed/fields.json where they are.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from mitozoo.base.files import write_text
from mitozoo.export.record import plain_command
from mitozoo.models import registry, zoo
from mitozoo.models.zoo_manifest import Manifest, WeightsFile

sys.path.insert(0, str(Path(__file__).resolve().parent))
from publish import card_head, halve

#: Where README's table finds what was measured on fields, and the seconds of all entries in one run.
FIELDS = Path(__file__).resolve().parent.parent / "docs" / "fields"
SPEED = FIELDS.parent / "speed" / "fields.json"
#: Headings of the card before and after what was measured.
MEASURED, LIMITS = "## Measured on slides that it has not seen", "## Limits"


def results_of(measured: dict[str, Any]) -> dict[str, Any]:
    """The figures of the manifest."""
    found = {
        "composed_precision": measured["composed"]["precision"],
        "composed_recall": measured["composed"]["recall"],
        "composed_f1": measured["composed"]["f1"],
        "fp_per_mm2_fields": measured["painted"]["fp_per_mm2"],
        "seconds_a_field": measured["seconds_a_field"],
    }
    if "patches" in measured:
        given = measured["patches"]["given"]
        found |= {"recall": given["recall"], "fp_per_mm2_patches": given["fp_per_mm2_patches"], "f1": given["f1"]}
    return {key: round(float(value), 4) for key, value in found.items()}


def learnt_from(run: dict[str, Any]) -> list[str]:
    """What the weights learnt from."""
    if "cells" in run:
        held = sum(fold == 0 for fold in run["fold_of"].values())
        cells = sum(run["cells"].values())
        return [
            f"Learnt from the cells of {len(run['fold_of']) - held} of {len(run['fold_of'])} slides ({cells} cells "
            "on all of them)."
        ]
    return [
        f"Learnt from {run['fields']} composed fields with {run['mitotic_figures']} mitotic figures, "
        f"{run['fields_with_masks']} fields with pixel masks.",
        "",
        "Clean fields with pixel masks are not to be had, so training fields are composed (`mitozoo data compose`): "
        "real mitotic figures of AMi-Br patches placed into real tissue, stain-matched and feathered, and as many "
        "ordinary nuclei placed in the same way, so that the seam is no clue. Masks are the chromatin by haematoxylin "
        "and Otsu's threshold.",
    ]


def names_of(run: dict[str, Any]) -> list[str]:
    """Names of the data sets, composed ones by what they were composed of."""
    names = []
    for item in run["data"]:
        record = Path(item["source"]) / "composed.json"
        made = json.loads(record.read_text(encoding="utf-8")) if record.is_file() else {}
        names += [*made.get("patch_sets", ()), *made.get("field_sets", ())] or [item["name"]]
    return list(dict.fromkeys(names))


def data_of(run: dict[str, Any]) -> list[str]:
    """A line for each data set; of composed fields what they were composed of, and how."""
    lines = []
    for item in run["data"]:
        record = Path(item["source"]) / "composed.json"
        if record.is_file():
            made = json.loads(record.read_text(encoding="utf-8"))
            parts = ", ".join([*made["patch_sets"], *made["field_sets"]])
            lines.append(f"- {item['name']}: composed of {parts}, by `{plain_command(made['command'])}`")
        else:
            lines.append(
                f"- {item['name']}: {item['source'] or 'see its readme'} ({item['licence'] or 'licence not stated'})"
            )
    return lines


def measured_part(manifest: Manifest, measured: dict[str, Any]) -> list[str]:
    """Lines of the card on what was measured."""
    composed, painted = measured["composed"], measured["painted"]
    decoder = ", ".join(f"{key} {value}" for key, value in manifest.decoder.items()) or "the decoder's own"
    lines = [
        MEASURED,
        "By `python benchmarks/field_models.py`. Threshold and settings of the decoder were chosen on composed fields "
        f"whose mitotic figures are of other slides: threshold {manifest.threshold:g}, {decoder}.",
        "",
        "| | |",
        "|---|---|",
        f"| composed fields, {composed['mitotic_figures']} mitotic figures: precision | {composed['precision']:.3f} |",
        f"| recall | {composed['recall']:.3f} |",
        f"| F1 | {composed['f1']:.3f} |",
        f"| false positives per mm² on {painted['mm2']:.2f} mm² of painted fields | {painted['fp_per_mm2']:.1f} |",
        f"| seconds a field of 2084 x 2084 px, {manifest.machine} | {measured['seconds_a_field']:.2f} |",
    ]
    if "patches" in measured:
        given = measured["patches"]["given"]
        lines += [
            f"| recall on {measured['patches']['patches']} patches of mitotic figures | {given['recall']:.3f} |",
            f"| false positives per mm² around them | {given['fp_per_mm2_patches']:.1f} |",
            f"| F1 with the worse of the two densities | {given['f1']:.3f} |",
        ]
    if "frames" in measured:
        found = measured["frames"]
        lines.append(
            f"| clean frames of MITOS-ATYPIA-14: found, false, missed | {found['tp']}, {found['fp']}, {found['fn']} |"
        )
    return [*lines, ""]


def card(name: str, manifest: Manifest, run: dict[str, Any], measured: dict[str, Any], notes: list[str]) -> str:
    """The text of CARD.md."""
    return "\n".join(
        [
            *card_head(name, manifest, run),
            *learnt_from(run),
            "",
            "Data:",
            *data_of(run),
            "",
            *measured_part(manifest, measured),
            LIMITS,
            "- Composed fields are not scanned ones: what a network finds at seams, or misses in tissue that would "
            "surround a real mitotic figure, they cannot show. The rows on patches and clean frames can.",
            "- The tissue of the fields for choosing and for measuring is of one slide, other places of it: ICPR 2012 "
            "has three painted slides. The mitotic figures are of different slides.",
            "- Human breast cancer at about 0.25 µm per pixel. Other organs, species and scanners were not measured.",
            *(f"- {note}" for note in notes),
            "- Detections are an aid to search. They do not replace a pathologist's count.",
            "",
        ]
    )


def measured_anew(name: str, measured: dict[str, Any]) -> None:
    """Give an entry of the zoo the threshold, the decoder and the figures of a new measurement of its weights."""
    target = zoo.folder() / name
    speed = json.loads(SPEED.read_text(encoding="utf-8")) if SPEED.is_file() else {}
    if name in speed:
        measured = measured | {"seconds_a_field": speed[name]["median_s"]}
    changed = dataclasses.replace(
        zoo.manifest(name),
        threshold=measured["threshold"],
        decoder=measured["decoder"],
        results=results_of(measured),
    )
    written = zoo.write_entry(target, changed, target / changed.weights.file)
    before, rest = zoo.card(name).split(MEASURED + "\n")
    text = before + "\n".join(measured_part(written, measured)) + "\n" + LIMITS + rest.split(LIMITS, 1)[1]
    write_text(target / zoo.CARD_NAME, text)
    write_text(FIELDS / f"{name}.json", json.dumps(measured, indent=1) + "\n")


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name")
    parser.add_argument("--run", type=Path)
    parser.add_argument("--measured", type=Path, required=True)
    parser.add_argument("--machine")
    parser.add_argument("--date")
    parser.add_argument("--version", default="1")
    parser.add_argument("--title")
    parser.add_argument("--setting", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--note", action="append", default=[], help="A further limit for the card.")
    options = parser.parse_args()
    measured = json.loads(options.measured.read_text(encoding="utf-8"))
    if options.run is None:
        measured_anew(options.name, measured)
        return
    if not (options.machine and options.date):
        parser.error("with --run, say --machine and --date too.")
    run = json.loads((options.run / "run.json").read_text(encoding="utf-8"))
    spec = registry.spec(run["model"])
    settings = (
        run["settings"]
        | measured.get("settings", {})
        | {name: json.loads(value) for name, value in (item.split("=", 1) for item in options.setting)}
    )
    manifest = Manifest(
        model=run["model"],
        title=options.title or spec.title,
        version=options.version,
        weights=WeightsFile(file=f"{options.name}.weights.h5", urls=(), sha256="0" * 64, bytes=1),
        um_per_px=spec.um_per_px,
        input_px=spec.input_px,
        classes=spec.classes,
        threshold=measured["threshold"],
        decoder=measured["decoder"],
        licence="Apache-2.0",
        trained_on=tuple(names_of(run)),
        command=plain_command(run["command"]),
        seed=run["recipe"]["seed"],
        machine=options.machine,
        date=options.date,
        hours=run["hours"],
        settings=settings,
        results=results_of(measured),
    )
    target = zoo.folder() / options.name
    with tempfile.TemporaryDirectory() as folder:
        plain, half = Path(folder) / "plain.weights.h5", Path(folder) / f"{options.name}.weights.h5"
        zoo.load(run["model"], options.run / "model.weights.h5").model.save_weights(plain)
        halve(plain, half)
        written = zoo.write_entry(target, manifest, half)
    write_text(target / zoo.CARD_NAME, card(options.name, written, run, measured, options.note))
    write_text(FIELDS / f"{options.name}.json", json.dumps(measured, indent=1) + "\n")
    print((target / zoo.CARD_NAME).read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()

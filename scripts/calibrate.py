#!/usr/bin/env python3
"""Fit the temperature of a run's probabilities on the cells that it held out, and keep it beside the weights.

    python scripts/calibrate.py runs/scout

Writes {"decoder": {"temperature": T}} into run.json, where `--weights` finds it. Mitotic figures and other cells weigh
the same, so a score of 0.5 means as likely as not among cells of which half are mitotic.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from mitozoo.base.files import write_text
from mitozoo.base.points import MITOTIC_CLASSES
from mitozoo.evaluation.temperature import fit_temperature
from mitozoo.training.outcome import PREDICTIONS, load_outcome
from mitozoo.training.run import RUN_FILE


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    folder = parser.parse_args().run
    record = json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))
    held = load_outcome(folder / PREDICTIONS, 0)
    mitotic = np.isin(held.labels, [i for i, name in enumerate(record["classes"]) if name in MITOTIC_CLASSES])
    weights = np.where(mitotic, 1 / mitotic.sum(), 1 / (~mitotic).sum())
    temperature = round(fit_temperature(held.labels, held.probabilities, weights), 3)
    record["decoder"] = {**record.get("decoder", {}), "temperature": temperature}
    write_text(folder / RUN_FILE, json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    print(f"temperature {temperature} on {len(held.labels)} held-out cells")


if __name__ == "__main__":
    main()

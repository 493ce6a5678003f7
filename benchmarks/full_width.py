#!/usr/bin/env python3
r"""Parameters, seconds and memory of a model at its paper's width on one field.

    python benchmarks/full_width.py [--model partmitosis] [--size-px 2084] --out docs/speed/full_width.json

The weights are drawn by chance: time and memory do not depend on them. Tiles overlap by half, as in `predict`.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from pathlib import Path

from mitozoo.base.files import write_text
from mitozoo.data.synthetic import draw_field
from mitozoo.inference.decoders import decoder
from mitozoo.models import registry


def peak_gb() -> float:
    """Most memory that this process has had so far, in 10^9 bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="partmitosis")
    parser.add_argument("--size-px", type=int, default=2084)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    field = draw_field(options.size_px, seed=5).image
    model = registry.build(options.model)
    built = peak_gb()
    search = decoder(registry.spec(options.model).task, model, {})
    start = time.perf_counter()
    search(field)
    row = {
        "model": options.model,
        "params": model.count_params(),
        "size_px": options.size_px,
        "seconds": round(time.perf_counter() - start, 1),
        "gb_with_weights": round(built, 2),
        "gb_at_most": round(peak_gb(), 2),
    }
    rows = json.loads(options.out.read_text(encoding="utf-8")) if options.out.exists() else []
    rows = [item for item in rows if (item["model"], item["size_px"]) != (row["model"], row["size_px"])] + [row]
    write_text(options.out, json.dumps(rows, indent=1) + "\n")
    print(row)


if __name__ == "__main__":
    main()

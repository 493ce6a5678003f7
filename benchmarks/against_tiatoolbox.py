#!/usr/bin/env python3
"""The same network over the same slide: mitozoo's way from slide to places against TIAToolbox's engine.

    python3 -m venv tia && tia/bin/pip install tiatoolbox
    python benchmarks/against_tiatoolbox.py --tiatoolbox tia/bin/python [--gigapixels 0.4] [--tissue-mm2 4] [--out FILE]

The network is scout's proposer: in PyTorch with the same weights (batch normalisation folded into the convolutions),
whose heat is compared with Keras' on a tile before anything is timed. TIAToolbox's PatchPredictor runs it over windows
of 1152 px at steps of 1024 px, mitozoo over its own tiles; both find the tissue themselves. One runs after the other,
in turns, each in a process of its own and after one tile to warm up; TIAToolbox with no worker and with one for each
core, of which the faster counts. mitozoo also merges places and, in a third run, is timed with its verifier.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path

CORE_PX, RIM_PX, STRIDE_PX = 1024, 64, 8

OURS = """
import json, sys, time
from pathlib import Path
import numpy as np
from mitozoo.data.slides import Slide
from mitozoo.inference.decoders import Candidates
from mitozoo.inference.predictor import Predictor
from mitozoo.inference.slide_search import halo_for, plan_slide, read_tiles, search_slide, search_tile
from mitozoo.models import zoo

path, verified = Path(sys.argv[1]), sys.argv[2] == "verified"
predictor = Predictor(zoo.load("scout"))
proposer = predictor.decoders[0].proposer
if not verified:
    proposer.cut = 0.3
    def places(field):
        found = proposer(field)
        return Candidates(found[:, :2], np.column_stack([1 - found[:, 2], found[:, 2], 0 * found[:, 2]]))
    places.reach_px = proposer.reach_px
    predictor.decoders = [places]
plan = plan_slide(Slide(path), 0.25, halo_px=halo_for(predictor))
search_tile(predictor, *next(iter(read_tiles(plan, plan.tiles[:1]))))
start = time.perf_counter()
result, _ = search_slide(predictor, path.name, path)
print(json.dumps({"seconds": time.perf_counter() - start, "tissue_mm2": result.tissue_mm2,
                  "megapixels": sum(tile.region.width * tile.region.height for tile in plan.tiles) / 1e6}))
"""

THEIRS = """
import json, sys, tempfile, time
from pathlib import Path
import numpy as np, torch
from torch.nn import functional as F
import tiatoolbox
from tiatoolbox.models.engine.patch_predictor import PatchPredictor
from tiatoolbox.models.engine.io_config import IOPatchPredictorConfig
from tiatoolbox.models.models_abc import ModelABC
from tiatoolbox.wsicore.wsireader import OpenSlideWSIReader

path, stored, workers, rim = Path(sys.argv[1]), np.load(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]) // 8

class Proposer(ModelABC):
    def __init__(self):
        super().__init__()
        for name in stored["names"]:
            kernel = torch.from_numpy(stored[name + "/kernel"].transpose(3, 2, 0, 1).copy())
            layer = torch.nn.Conv2d(kernel.shape[1], kernel.shape[0], kernel.shape[2])
            layer.weight.data, layer.bias.data = kernel, torch.from_numpy(stored[name + "/bias"])
            setattr(self, str(name), layer)
    def forward(self, x):
        x = F.avg_pool2d(x, 2)
        x = F.relu(F.conv2d(F.pad(x, (1, 2, 1, 2)), self.stem1.weight, self.stem1.bias, stride=2))
        x = F.relu(F.conv2d(F.pad(x, (0, 1, 0, 1)), self.stem2.weight, self.stem2.bias, stride=2))
        for block in ("block1", "block2"):
            a, b = getattr(self, block + "a"), getattr(self, block + "b")
            y = F.conv2d(F.relu(F.conv2d(x, a.weight, a.bias, padding=1)), b.weight, b.bias, padding=1)
            x = F.relu(x + y)
        return torch.sigmoid(self.place(x)[:, 0])
    @staticmethod
    def infer_batch(model, batch_data, *, device="cpu"):
        x = batch_data.permute(0, 3, 1, 2).to(device).float() / 255
        with torch.inference_mode():
            heat = model(x.contiguous(memory_format=torch.channels_last))
        return heat[:, rim:-rim, rim:-rim].reshape(len(heat), -1).cpu().numpy()

model = Proposer().eval()
for parameter in model.parameters():
    if parameter.dim() == 4:
        parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
with torch.inference_mode():
    heat = model(torch.from_numpy(stored["tile"][None].transpose(0, 3, 1, 2).copy()).float() / 255)[0].numpy()
apart = float(np.abs(heat - stored["heat"]).max())
side = int(sys.argv[5]) + 2 * int(sys.argv[4])
config = IOPatchPredictorConfig(input_resolutions=[{"units": "mpp", "resolution": 0.25}],
                                patch_input_shape=[side, side], stride_shape=[int(sys.argv[5])] * 2)
engine = PatchPredictor(model=model, batch_size=8, num_workers=workers, verbose=False)
with tempfile.TemporaryDirectory() as folder:
    start = time.perf_counter()
    # It does not take the spacing from the resolution of a TIFF.
    reader = OpenSlideWSIReader(path, mpp=(0.25, 0.25), power=40)
    out = engine.run([reader], patch_mode=False, ioconfig=config, save_dir=Path(folder) / "out", auto_get_mask=True,
                     output_type="zarr", return_probabilities=True, device="cpu")
    seconds = time.perf_counter() - start
    import zarr
    found = zarr.open(str(next(iter(out.values()))), mode="r")
    count = found["coordinates"].shape[0]
print(json.dumps({"seconds": seconds, "patches": count, "megapixels": count * side**2 / 1e6, "apart": apart,
                  "workers": workers, "tiatoolbox": tiatoolbox.__version__, "torch": torch.__version__}))
"""


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiatoolbox", type=Path, required=True, help="Python that has TIAToolbox.")
    parser.add_argument("--gigapixels", type=float, default=0.4)
    parser.add_argument("--tissue-mm2", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    from mitozoo.data.synthetic.slide import write_slide

    with tempfile.TemporaryDirectory() as name:
        side = round(math.sqrt(options.gigapixels * 1e9))
        slide = write_slide(
            Path(name), width_px=side, height_px=side, tissue_mm2=options.tissue_mm2, seed=0, marks=True
        )
        weights = Path(name) / "proposer.npz"
        flops = export_proposer(weights)
        runs: dict[str, list[dict]] = {"mitozoo": [], "mitozoo, verified": [], "TIAToolbox": []}
        for _ in range(options.rounds):
            runs["mitozoo"].append(ran([sys.executable, "-c", OURS, str(slide), "proposed"]))
            for workers in (0, os.cpu_count() or 1):
                size = [str(workers), str(RIM_PX), str(CORE_PX)]
                found = ran([str(options.tiatoolbox), "-c", THEIRS, str(slide), str(weights), *size])
                runs["TIAToolbox"].append(found)
            runs["mitozoo, verified"].append(ran([sys.executable, "-c", OURS, str(slide), "verified"]))
    best = {name: min(found, key=lambda run: run["seconds"]) for name, found in runs.items()}
    theirs = best["TIAToolbox"]
    if theirs["apart"] > 1e-3:
        sys.exit(f"The networks differ by {theirs['apart']:g}: this is no comparison.")
    rows = {
        "gigapixels": options.gigapixels, "tissue_mm2": best["mitozoo"]["tissue_mm2"], "mflops_per_px": flops,
        "heat_apart": theirs["apart"], "tiatoolbox": theirs["tiatoolbox"], "torch": theirs["torch"],
        "workers": theirs["workers"], "seconds": {name: run["seconds"] for name, run in best.items()},
        "megapixels": {name: run["megapixels"] for name, run in best.items()},
        "ratio": theirs["seconds"] / best["mitozoo"]["seconds"],
        "ratio_verified": theirs["seconds"] / best["mitozoo, verified"]["seconds"],
        "all": {name: [run["seconds"] for run in found] for name, found in runs.items()},
    }  # fmt: skip
    print(f"{flops:.4f} MFLOP a pixel in both, heat at most {theirs['apart']:.1e} apart")
    for name, run in best.items():
        print(f"{name:18} {run['seconds']:7.1f} s, {run['megapixels']:7.0f} megapixels through the network")
    print(f"mitozoo is {rows['ratio']:.2f} times as fast, with its verifier {rows['ratio_verified']:.2f} times")
    if options.out:
        options.out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def ran(command: list[str]) -> dict:
    """What a child process printed last, as JSON."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    found: dict = json.loads(done.stdout.splitlines()[-1])
    print(f"{found['seconds']:.1f} s", flush=True)
    return found


def export_proposer(path: Path) -> float:
    """Write the proposer's kernels, which have its batch normalisation in them, a tile and its heat.

    Returns: millions of floating-point operations for each pixel of a field.
    """
    import numpy as np

    from mitozoo.data.synthetic import write_sample
    from mitozoo.inference.predictor import Predictor
    from mitozoo.models import zoo

    predictor = Predictor(zoo.load("scout"))
    proposer = predictor.decoders[0].proposer
    network, arrays, names, per_px, stride = proposer.network, {}, [], 0.0, 2
    for layer in network.layers:
        if not hasattr(layer, "kernel"):
            continue
        kernel = np.asarray(layer.kernel)
        bias = np.asarray(layer.bias)
        stride *= layer.strides[0]
        per_px += 2 * kernel.size / stride**2 / 1e6
        names.append(layer.name)
        arrays |= {f"{layer.name}/kernel": kernel.astype("f4"), f"{layer.name}/bias": bias.astype("f4")}
    import tensorflow as tf

    from mitozoo.data.images import read_image

    with tempfile.TemporaryDirectory() as folder:
        field = next(path for path in write_sample(Path(folder), count=1, size_px=512, seed=0) if "field" in path.name)
        tile = read_image(field).pixels
    heat = proposer.chance(tf.constant(tile)).numpy()
    np.savez(path, names=np.array(names), tile=tile, heat=heat, **arrays)
    return per_px


if __name__ == "__main__":
    main()

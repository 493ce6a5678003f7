"""How the local server holds up: answers against local prediction, requests per second, memory, broken requests.

    python benchmarks/serving.py --compare --images 1000          # every answer compared; REST and gRPC, 8 clients
    python benchmarks/serving.py --fuzz 10000 --broken 1000       # no 5xx, and the server still answers
    python benchmarks/serving.py --throughput                     # against the bare graph, with and without batching

Images are drawn. Memory is read from /proc, on Linux alone. The machine should have nothing else to do.
"""

import argparse
import base64
import http.client
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import cv2
import numpy as np

import mitozoo
from mitozoo.data.synthetic import draw_field
from mitozoo.export.serving.check import TOLERANCES, difference
from mitozoo.inference.predictor import Predictor
from mitozoo.serving.client import ServerSettings, connect
from mitozoo.serving.client_decoder import OUTPUTS, png
from mitozoo.serving.client_model import SIGNATURE

#: Sides of the drawn images; so many are drawn, and sent again and again in another order.
SIDES_PX, DRAWN = (64, 128, 200, 256, 333, 512), 24
START_S = 180


@contextmanager
def served(folder, *options):
    """Serve a folder in a process of its own; yields it with the addresses of REST and gRPC."""
    command = [sys.executable, "-m", "mitozoo", "serve", str(folder), "--rest-port", "0", "--grpc-port", "0", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    timer = threading.Timer(START_S, process.kill)
    timer.start()
    said = ""
    while "Stop with" not in said:
        line = process.stdout.readline()
        if not line:
            sys.exit(f"The server did not start: {said}")
        said += line
    timer.cancel()
    try:
        yield process, re.search(r"http://\S+", said)[0], re.search(r"grpc://\S+", said)[0]
    finally:
        process.send_signal(signal.SIGTERM)
        print(f"  the server ended with code {process.wait(timeout=120)}")


def memory_mb(process):
    """Resident memory of a process in MB; nan where there is no /proc."""
    try:
        text = Path(f"/proc/{process.pid}/status").read_text()
    except OSError:
        return float("nan")
    return int(re.search(r"VmRSS:\s+(\d+)", text)[1]) / 1024


def drawn_images():
    """Drawn images of several sizes."""
    return [draw_field(SIDES_PX[i % len(SIDES_PX)], seed=i).image for i in range(DRAWN)]


def compare(folder, model, count, clients):
    """Send images over both doors and compare every answer with local prediction. Returns: how many differ."""
    images = drawn_images()
    codes = [png(image) for image in images]
    local = Predictor(mitozoo.load(model))
    wanted = [local.detections(image, local.spec.um_per_px) for image in images]
    order = np.random.default_rng(0).integers(len(images), size=count)
    differ = 0
    with served(folder, "--queue", str(4 * clients)) as (process, rest, grpc):
        for address in (rest, grpc):
            transport = connect(ServerSettings(address=address))
            version = transport.metadata(model)["model_spec"]["version"]

            def ask(i, transport=transport, version=version):
                inputs = {"image_bytes": [codes[i]], "threshold": [local.cut], "radius_px": [30.0]}
                start = time.perf_counter()
                found = transport.predict(model, version, SIGNATURE, inputs, OUTPUTS)
                seconds = time.perf_counter() - start
                points = found["points"].reshape(-1, 4)[: int(found["valid"].reshape(-1)[0])]
                return difference(wanted[i], points, local.cut, *TOLERANCES["float32"]), seconds

            # The first run of a signature is slow.
            for i in range(len(images)):
                ask(i)
            memory, start = [memory_mb(process)], time.perf_counter()
            problems, seconds = [], []
            with ThreadPoolExecutor(clients) as pool:
                for number, (problem, took) in enumerate(pool.map(ask, order), start=1):
                    seconds.append(took)
                    problems += [problem] if problem else []
                    if number in (count // 2, count):
                        memory.append(memory_mb(process))
            whole = time.perf_counter() - start
            transport.close()
            p50, p99 = np.percentile(seconds, [50, 99]) * 1e3
            print(
                f"  {address.split(':')[0]:5} {count} images, {clients} clients: {count / whole:.1f} requests/s, "
                f"p50 {p50:.0f} ms, p99 {p99:.0f} ms; memory {' → '.join(f'{mb:.0f}' for mb in memory)} MB; "
                f"{len(problems)} answers differ"
            )
            for problem in problems[:5]:
                print(f"    {problem}")
            differ += len(problems)
    return differ


def body(rng, code):
    """A request that is wrong in some way, or in none."""
    b64 = base64.b64encode(code).decode()
    scalar = [None, True, 0, -1, 1e308, "", "x", [], {}, [[]], {"b64": 1}, {"b64": b64[:7]}, {"b64": b64}, "\ud800"]
    value = rng.choice(scalar)
    for _ in range(rng.randrange(4)):
        value = rng.choice([[value], [value, rng.choice(scalar)], {"image_bytes": value}, {"b64": value}])
    signature = rng.choice(["image_bytes", "image_tensor", SIGNATURE, "image_tensor_at", "x", "", None, 7])
    document = {rng.choice(["instances", "inputs", "input"]): value, "signature_name": signature}
    if rng.random() < 0.3:
        document["inputs"] = {"image_bytes": [{"b64": b64}], "threshold": value, rng.choice(["radius_px", "x"]): [1.0]}
    text = json.dumps(document).encode()
    if rng.random() < 0.5:
        spoilt = bytearray(text)
        for _ in range(rng.randrange(1, 6)):
            spoilt[rng.randrange(len(spoilt))] = rng.randrange(256)
        text = bytes(spoilt[: rng.randrange(1, len(spoilt) + 1)])
    return text


def broken(rng, codes):
    """A request with an image that is damaged."""
    code = bytearray(rng.choice(codes))
    for _ in range(rng.randrange(1, 20)):
        code[rng.randrange(len(code))] = rng.randrange(256)
    code = bytes(code[: rng.randrange(len(code) + 1)]) if rng.random() < 0.3 else bytes(code)
    return json.dumps({"instances": [{"b64": base64.b64encode(code).decode()}]}).encode()


def fuzz(folder, model, bodies, images):
    """Send broken requests. Returns: how many were answered 5xx, or not at all."""
    rng = random.Random(0)
    image = draw_field(128, seed=0).image
    codes = [png(image), cv2.imencode(".jpg", image)[1].tobytes()]
    wrong = [body(rng, codes[0]) for _ in range(bodies)] + [broken(rng, codes) for _ in range(images)]
    statuses = Counter()
    with served(folder) as (process, rest, _):
        host, port = rest.removeprefix("http://").rsplit(":", 1)
        connection = http.client.HTTPConnection(host, int(port), timeout=60)
        for text in wrong:
            try:
                connection.request("POST", f"/v1/models/{model}:predict", text)
                response = connection.getresponse()
                document = json.loads(response.read())
                statuses[response.status] += 1
                assert response.status == 200 or set(document) == {"error"}, document
            except (OSError, http.client.HTTPException) as error:
                statuses[type(error).__name__] += 1
                connection.close()
        connection.request("GET", f"/v1/models/{model}")
        alive = b"AVAILABLE" in connection.getresponse().read()
        print(f"  {bodies} bodies and {images} images: {dict(statuses)}; memory {memory_mb(process):.0f} MB")
    bad = sum(count for status, count in statuses.items() if not isinstance(status, int) or status >= 500)
    return bad + (not alive)


def throughput(folder, model, seconds):
    """Images per second of the bare graph and of the server, with and without batching."""
    import tensorflow as tf

    codes = [png(draw_field(256, seed=seed).image) for seed in range(8)]
    bare = tf.saved_model.load(str(next((folder / model).iterdir()))).signatures[SIGNATURE]
    batch = {"threshold": tf.constant([0.5]), "radius_px": tf.constant([30.0])}
    for size in (1, 8):
        inputs = {"image_bytes": tf.constant(codes[:size]), **batch}
        bare(**inputs)
        done, start = 0, time.perf_counter()
        while time.perf_counter() - start < seconds:
            bare(**inputs)
            done += size
        print(f"  bare graph, batches of {size}: {done / (time.perf_counter() - start):.1f} images/s")
    for option in ("--batching", "--no-batching"):
        with served(folder, option) as (_, rest, grpc):
            for address in (rest, grpc):
                transport = connect(ServerSettings(address=address))
                version = transport.metadata(model)["model_spec"]["version"]

                def ask(code, end, transport=transport, version=version):
                    count = 0
                    while not count or time.perf_counter() < end:
                        inputs = {"image_bytes": [code], "threshold": [0.5], "radius_px": [30.0]}
                        transport.predict(model, version, SIGNATURE, inputs, OUTPUTS)
                        count += 1
                    return count

                with ThreadPoolExecutor(len(codes)) as pool:
                    # The first run of a signature is slow.
                    list(pool.map(ask, codes, [0.0] * len(codes)))
                    done = sum(pool.map(ask, codes, [time.perf_counter() + seconds] * len(codes)))
                transport.close()
                print(f"  {option}, {address.split(':')[0]}, 8 clients of one image: {done / seconds:.1f} images/s")


def main():
    """Measure what is asked for. Returns: the exit code, 1 where an answer was wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="cnn12")
    parser.add_argument("--compare", action="store_true")
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--fuzz", type=int, default=0)
    parser.add_argument("--broken", type=int, default=0)
    parser.add_argument("--throughput", action="store_true")
    parser.add_argument("--seconds", type=float, default=10.0)
    given = parser.parse_args()
    wrong = 0
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        mitozoo.export(given.model, out=folder, check=False)
        print(given.model)
        if given.compare:
            wrong += compare(folder, given.model, given.images, given.clients)
        if given.fuzz or given.broken:
            wrong += fuzz(folder, given.model, given.fuzz, given.broken)
        if given.throughput:
            throughput(folder, given.model, given.seconds)
    print("All as it should be." if not wrong else f"{wrong} wrong.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

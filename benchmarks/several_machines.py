#!/usr/bin/env python3
"""Which of TensorFlow's ways to share a training does Keras' `fit` carry? Tried with a tiny model on this machine.

    python benchmarks/several_machines.py [--out FILE.json]

Two processes on loopback with MultiWorkerMirroredStrategy, as on two machines; then one process with MirroredStrategy
over two logical devices, as with `mitozoo train --gpus 2`. For each: whether two epochs ran, and if not, the error.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

CHILD = """
import json, sys
import numpy as np, tensorflow as tf, keras
if sys.argv[1] == "machines":
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
else:
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
said = {"tensorflow": tf.__version__, "keras": keras.__version__, "replicas": strategy.num_replicas_in_sync}
try:
    with strategy.scope():
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
    x = np.random.default_rng(0).normal(size=(64, 4)).astype("f4")
    data = tf.data.Dataset.from_tensor_slices((x, x.sum(1, keepdims=True))).batch(16)
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    said["losses"] = model.fit(data.with_options(options), epochs=2, verbose=0).history["loss"]
except Exception as error:
    text = " ".join(str(error).split())
    said["error"] = f"{type(error).__name__}: {text[:60]} … {text[-120:]}" if len(text) > 200 else text
print(json.dumps(said))
"""


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--timeout-s", type=float, default=180.0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    workers = [f"127.0.0.1:{port}" for port in free_ports(2)]
    started = []
    for index in range(2):
        task = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}
        started.append(child("machines", {"TF_CONFIG": json.dumps(task)}))
    found = {
        "machines": answer(started, options.timeout_s),
        "devices": answer([child("devices", {})], options.timeout_s),
    }
    for name, said in found.items():
        print(f"{name}: {said.get('error') or 'losses ' + str(said.get('losses'))}")
    if options.out:
        options.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def free_ports(count: int) -> list[int]:
    """Ports on loopback that are free now."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [server.getsockname()[1] for server in held]
    for server in held:
        server.close()
    return ports


def child(kind: str, environment: dict[str, str]) -> subprocess.Popen[str]:
    """Start a process that trains the tiny model."""
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, kind], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", **environment},
    )  # fmt: skip


def answer(started: list[subprocess.Popen[str]], timeout_s: float) -> dict:
    """What the first process says, once all have ended."""
    said = []
    for process in started:
        try:
            said.append(process.communicate(timeout=timeout_s)[0])
        except subprocess.TimeoutExpired:
            process.kill()
            said.append(json.dumps({"error": f"No answer within {timeout_s:g} s."}))
    lines = said[0].splitlines()
    found: dict = json.loads(lines[-1]) if lines else {"error": "The process died."}
    return found


if __name__ == "__main__":
    main()

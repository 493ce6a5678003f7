"""Run a SavedModel on images in a process that has nothing but TensorFlow and NumPy, as a server has it.

    python fresh.py MODEL IMAGES.npz ANSWERS.npz

Images are uint8 (H, W, 3) "image_0" … and their files "bytes_0" … as uint8; "threshold" and "radius_px" are for the
signatures that take them. Answers are points (k, 4) by signature and number.
"""

import sys

# TensorFlow would import Keras where it finds it: what is not here at the server must not be found here either.
sys.modules.update(dict.fromkeys(("keras", "mitozoo")))

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402


def main(model: str, images: str, answers: str) -> None:
    """Run both kinds of signatures on each image."""
    signatures = tf.saved_model.load(model).signatures
    found = {}
    with np.load(images) as given:
        threshold = tf.constant([given["threshold"]], tf.float32)
        radius_px = tf.constant([given["radius_px"]], tf.float32)
        for number in range(int(given["count"])):
            inputs = {
                "image_bytes": tf.constant([given[f"bytes_{number}"].tobytes()]),
                "image_tensor": tf.constant(given[f"image_{number}"][None]),
            }
            for name, value in inputs.items():
                plain = signatures[name](**{name: value})
                at = signatures[f"{name}_at"](**{name: value}, threshold=threshold, radius_px=radius_px)
                found[f"{name}/{number}"] = plain["points"].numpy()[0, : plain["valid"].numpy()[0]]
                found[f"{name}_at/{number}"] = at["points"].numpy()[0, : at["valid"].numpy()[0]]
    np.savez(answers, **found)


if __name__ == "__main__":
    main(*sys.argv[1:])

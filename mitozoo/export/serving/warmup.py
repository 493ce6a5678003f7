"""Warm-up requests: a server runs them before it takes others, so that no user waits for the first run.

Source: TensorFlow Serving, SavedModel Warmup: a TFRecord of PredictionLog in assets.extra, 1,000 at most.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mitozoo.data.synthetic import draw_field
from mitozoo.data.synthetic.sample import png_bytes

FILE_NAME = "tf_serving_warmup_requests"
#: Side of the drawn images.
SIZE_PX = 256
HINT = 'No warm-up requests were written: they need pip install "mitozoo[serving]".'


def requests(um_per_px: float) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """Signature and inputs of each request: one image, and two, of both kinds, and with settings as our client asks."""
    fields = [draw_field(SIZE_PX, seed=seed, um_per_px=um_per_px).image for seed in (0, 1)]
    for count in (1, 2):
        content = np.array([png_bytes(image) for image in fields[:count]], dtype=object)
        yield "image_bytes", {"image_bytes": content}
        yield "image_tensor", {"image_tensor": np.stack(fields[:count])}
        settings = {"threshold": np.full(count, 0.5, np.float32), "radius_px": np.full(count, 30.0, np.float32)}
        yield "image_bytes_at", {"image_bytes": content, **settings}


def is_there() -> bool:
    """Whether the messages of TensorFlow Serving are installed."""
    try:
        from tensorflow_serving.apis import prediction_log_pb2  # noqa: F401
    except ImportError:
        return False
    return True


def write(folder: Path, name: str, um_per_px: float) -> Path:
    """Write the requests of a model into the assets.extra of its SavedModel. Returns: the file."""
    import tensorflow as tf

    path = folder / "assets.extra" / FILE_NAME
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as stream:
        for signature, inputs in requests(um_per_px):
            stream.write(_log(name, signature, inputs).SerializeToString())
    return path


def _log(name: str, signature: str, inputs: dict[str, np.ndarray]) -> Any:
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = name, signature
    for key, value in inputs.items():
        request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
    return prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))


def read(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Read requests back: signature and inputs as tensors."""
    import tensorflow as tf
    from tensorflow_serving.apis import prediction_log_pb2

    for record in tf.data.TFRecordDataset(str(path)):
        request = prediction_log_pb2.PredictionLog.FromString(record.numpy()).predict_log.request
        # Messages made with another copy of TensorFlow's own messages are parsed anew.
        yield request.model_spec.signature_name, {key: tf.make_ndarray(item) for key, item in request.inputs.items()}

"""Networks for inference: batch normalisation goes into the convolution before it, where it costs no time."""

from __future__ import annotations

from collections import Counter
from typing import Any

import keras
import numpy as np

#: Kernel axes of channels out, of the layers that take batch normalisation in; DepthwiseConv2D has (in, multiplier).
_OUT_AXES = {keras.layers.Conv2D: 1, keras.layers.DepthwiseConv2D: 2}


def folded(model: Any) -> Any:
    """The same function, with batch normalisation as inference has it inside the convolutions.

    A convolution (kernel w, bias b) and its batch normalisation (mean m, variance v, scale g, shift s) are together one
    convolution of kernel w g / sqrt(v + epsilon) and bias (b - m) g / sqrt(v + epsilon) + s. Answers differ by
    rounding. All other layers are the model's own.

    Args: model, for inference: what is learnt later is not seen by the layers that were folded.
    Returns: a new model whose inputs, outputs and layers have the names of before; the model itself where there is
        nothing to fold, or where it is no graph of layers.
    Source: Jacob et al. 2018, arXiv:1712.05877, section 3.2.
    """
    if not isinstance(model, keras.Model) or not hasattr(model, "_nodes_by_depth"):
        return model
    before = {name: model.get_layer(source) for name, source in _pairs(model).items()}
    inner = {layer: folded(layer) for layer in model.layers if isinstance(layer, keras.Model)}
    replaced = {layer.name: new for layer, new in inner.items() if new is not layer}
    if not before and not replaced:
        return model
    for convolution in before.values():
        replaced[convolution.name] = type(convolution).from_config({**convolution.get_config(), "use_bias": True})

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        return args[0] if layer.name in before else layer(*args, **kwargs)

    new = keras.models.clone_model(
        model, clone_function=lambda layer: replaced.get(layer.name, layer), call_function=call
    )
    for name, convolution in before.items():
        replaced[convolution.name].set_weights(_together(convolution, model.get_layer(name)))
    return new


def _pairs(model: Any) -> dict[str, str]:
    """Names of batch normalisations over channels, each with the convolution that nothing else reads."""
    # Keras tells what a graph's layers read in private attributes only; get_config needs layers that can be stored.
    nodes = [node for nodes in model._nodes_by_depth.values() for node in nodes if not node.is_input]
    reads = [(node.operation, [tensor._keras_history.operation for tensor in node.input_tensors]) for node in nodes]
    readers = Counter(source.name for _, sources in reads for source in sources)
    readers.update(tensor._keras_history.operation.name for tensor in model.outputs)
    uses = Counter(layer.name for layer, _ in reads)
    found = {}
    for layer, sources in reads:
        if not isinstance(layer, keras.layers.BatchNormalization) or layer.axis not in (-1, 3):
            continue
        names = {layer.name, sources[0].name}
        if _takes(sources[0]) and readers[sources[0].name] == 1 and all(uses[name] == 1 for name in names):
            found[layer.name] = sources[0].name
    return found


def _takes(layer: Any) -> bool:
    return (
        type(layer) in _OUT_AXES
        and layer.activation is keras.activations.linear
        and (layer.data_format == "channels_last")
    )


def _together(convolution: Any, normalisation: Any) -> list[np.ndarray]:
    """Kernel and bias of a convolution and its batch normalisation."""
    mean = keras.ops.convert_to_numpy(normalisation.moving_mean).astype(np.float64)
    variance = keras.ops.convert_to_numpy(normalisation.moving_variance).astype(np.float64)
    scale = 1.0 / np.sqrt(variance + normalisation.epsilon)
    if normalisation.scale:
        scale = scale * keras.ops.convert_to_numpy(normalisation.gamma)
    bias = keras.ops.convert_to_numpy(convolution.bias) if convolution.use_bias else 0.0
    bias = (bias - mean) * scale
    if normalisation.center:
        bias = bias + keras.ops.convert_to_numpy(normalisation.beta)
    kernel = keras.ops.convert_to_numpy(convolution.kernel)
    axes = kernel.shape[-_OUT_AXES[type(convolution)] :]
    return [(kernel * scale.reshape(axes)).astype(np.float32), bias.astype(np.float32)]

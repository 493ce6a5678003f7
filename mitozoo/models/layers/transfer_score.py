"""Class scores whose weights are not learnt but computed from those of another layer."""

from __future__ import annotations

import keras
from keras import layers, ops

from mitozoo.base.errors import UnknownNameError

#: Shapes of the transfer function: hidden layers and their activation (Sebai et al. 2020, Table 2).
GAMMAS = {
    "1-layer": (0, "linear"),
    "2-layer-relu": (1, "relu"),
    "2-layer-leaky-relu": (1, "leaky_relu"),
    "3-layer-relu": (2, "relu"),
    "3-layer-leaky-relu": (2, "leaky_relu"),
}
#: Slope of the LeakyReLU, which the paper does not give: the default of PyTorch, which it was written in.
LEAK = 0.01


class TransferScore(keras.layers.Layer):
    """A 1x1 convolution with the weights W_strong = Γ(W_concent; θ).

    Γ is a small dense network. It takes kernel and bias of one class at a time, as one vector, and gives those of the
    same class; θ is shared by the classes. The weights of the layer are θ alone: those of `score` are its input.

    Input: features (B, h, w, C), what `score` takes. Output: logits (B, h, w, classes), float32.
    Source: Sebai et al. 2020, doi 10.1109/ACCESS.2020.2978754, Eq. 1 and Table 2; one class at a time: Hu et al. 2018,
    arXiv:1711.10370, section 3.2.
    """

    def __init__(
        self,
        score: keras.layers.Conv2D,
        *,
        gamma: str = "2-layer-leaky-relu",
        hidden: int = 256,
        stop_gradient: bool = True,
        **kwargs,
    ) -> None:
        """Prepare.

        Args: score, a built 1x1 convolution; gamma, one of `GAMMAS`; hidden, width of its hidden layers; stop_gradient,
            whether the loss of this layer leaves the weights of `score` alone.
        Raises: UnknownNameError.
        """
        if gamma not in GAMMAS:
            raise UnknownNameError("shape of the transfer function", gamma, GAMMAS)
        super().__init__(**{"dtype": "float32"} | kwargs)
        # In a function, so that the other layer is not taken for a part of this one, learnt and stored with it.
        self._score = lambda: score
        self.stop_gradient = stop_gradient
        depth, activation = GAMMAS[gamma]
        activate = layers.LeakyReLU(LEAK, dtype=self.dtype_policy) if activation == "leaky_relu" else activation
        sizes = [hidden] * depth + [self._vectors_shape()[1]]
        activations = [activate] * depth + [None]
        self._dense = [
            layers.Dense(size, activation, dtype=self.dtype_policy, name=f"gamma{number}")
            for number, (size, activation) in enumerate(zip(sizes, activations, strict=True), start=1)
        ]

    def _vectors_shape(self) -> tuple[int, int]:
        kernel = self._score().kernel
        return kernel.shape[-1], kernel.shape[-2] + 1

    def build(self, input_shape) -> None:
        """Make θ."""
        shape = self._vectors_shape()
        for dense in self._dense:
            dense.build(shape)
            shape = (shape[0], dense.units)
        super().build(input_shape)

    def weights_of_classes(self):
        """W_strong: (classes, C + 1), the bias last."""
        score = self._score()
        kernel, bias = ops.cast(score.kernel, "float32"), ops.cast(score.bias, "float32")
        vectors = ops.concatenate([ops.transpose(kernel[0, 0]), bias[:, None]], axis=1)
        if self.stop_gradient:
            vectors = ops.stop_gradient(vectors)
        for dense in self._dense:
            vectors = dense(vectors)
        return vectors

    def call(self, features):
        """Score."""
        vectors = self.weights_of_classes()
        return ops.matmul(features, ops.transpose(vectors[:, :-1])) + vectors[:, -1]

    def compute_output_shape(self, input_shape):
        """Shape of the output."""
        return (*input_shape[:-1], self._vectors_shape()[0])

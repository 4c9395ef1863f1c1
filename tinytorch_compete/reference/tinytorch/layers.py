"""The building blocks of a network; each is called with a tensor and lists its own parameters."""

from __future__ import annotations

import math

import numpy as np

from .convolution import conv2d
from .functional import sigmoid, softmax
from .pooling import max_pool2d
from .tensor import Operand, Tensor, as_tensor


class Layer:
    """A function with parameters, of a tensor or of anything that numpy can convert to an array.

    Subclasses define ``forward``, and ``parameters`` if they have any.
    """

    def __call__(self, x: Operand) -> Tensor:
        return self.forward(as_tensor(x))

    def forward(self, x: Tensor) -> Tensor:
        """The layer's output for a batch."""
        raise NotImplementedError(f"{type(self).__name__} has no forward()")

    def parameters(self) -> list[Tensor]:
        """The tensors that training changes, in a fixed order."""
        return []


class Linear(Layer):
    """x @ weight + bias: (..., in_features) -> (..., out_features).

    ``weight`` is (in_features, out_features) and starts with He's normal values, ``bias`` is
    (out_features,) and starts at 0. Pass a seeded ``rng`` for a reproducible start.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        rng: np.random.Generator | None = None,
    ) -> None:
        self.weight = _he_normal((in_features, out_features), in_features, rng)
        self.bias = Tensor(np.zeros(out_features), requires_grad=True) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """The affine map of the last axis; ValueError if its length is not ``in_features``."""
        if x.ndim < 2 or x.shape[-1] != self.weight.shape[0]:
            raise ValueError(
                f"Linear of weight {self.weight.shape} needs (N, {self.weight.shape[0]}), "
                f"got {x.shape}"
            )
        product = x.matmul(self.weight)
        return product if self.bias is None else product + self.bias

    def parameters(self) -> list[Tensor]:
        """The weight, then the bias if there is one."""
        return [self.weight] if self.bias is None else [self.weight, self.bias]


class Conv2d(Layer):
    """A filter bank over images: (N, in_channels, H, W) -> (N, out_channels, OH, OW).

    ``weight`` is (out_channels, in_channels, kh, kw) and starts with He's normal values, ``bias``
    is (out_channels,) and starts at 0. See ``convolution.conv2d`` for OH and OW. Pass a seeded
    ``rng`` for a reproducible start.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int = 1,
        padding: int = 0,
        bias: bool = True,
        *,
        rng: np.random.Generator | None = None,
    ) -> None:
        kernel = (kernel_size, kernel_size) if isinstance(kernel_size, int) else kernel_size
        fan_in = in_channels * kernel[0] * kernel[1]
        self.weight = _he_normal((out_channels, in_channels, *kernel), fan_in, rng)
        self.bias = Tensor(np.zeros(out_channels), requires_grad=True) if bias else None
        self.stride = stride
        self.padding = padding

    def forward(self, x: Tensor) -> Tensor:
        """The filtered images; ValueError if the shapes don't fit."""
        return conv2d(x, self.weight, self.bias, self.stride, self.padding)

    def parameters(self) -> list[Tensor]:
        """The weight, then the bias if there is one."""
        return [self.weight] if self.bias is None else [self.weight, self.bias]


class MaxPool2d(Layer):
    """The maximum of each window: (N, C, H, W) -> (N, C, OH, OW); by default windows touch.

    A ``stride`` of None means ``kernel_size``. See ``pooling.max_pool2d`` for ties and borders.
    """

    def __init__(self, kernel_size: int, stride: int | None = None) -> None:
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride

    def forward(self, x: Tensor) -> Tensor:
        """The pooled images; ValueError if a window doesn't fit."""
        return max_pool2d(x, self.kernel_size, self.stride)


class Flatten(Layer):
    """All axes but the first merged into one: (N, ...) -> (N, F)."""

    def forward(self, x: Tensor) -> Tensor:
        """The flattened batch, still part of the graph."""
        return x.reshape(len(x), math.prod(x.shape[1:]))


class ReLU(Layer):
    """max(x, 0) for each element."""

    def forward(self, x: Tensor) -> Tensor:
        """A tensor of the same shape."""
        return x.relu()


class Sigmoid(Layer):
    """1 / (1 + exp(-x)) for each element."""

    def forward(self, x: Tensor) -> Tensor:
        """A tensor of the same shape."""
        return sigmoid(x)


class Softmax(Layer):
    """Positive numbers that sum to 1 along an axis.

    ``CrossEntropyLoss`` includes it, so train on the logits and not on this layer's output.
    """

    def __init__(self, axis: int = -1) -> None:
        self.axis = axis

    def forward(self, x: Tensor) -> Tensor:
        """A tensor of the same shape."""
        return softmax(x, self.axis)


class Sequential(Layer):
    """Layers applied one after another."""

    def __init__(self, *layers: Layer) -> None:
        self.layers = list(layers)

    def forward(self, x: Tensor) -> Tensor:
        """The last layer's output."""
        for layer in self.layers:
            x = layer(x)
        return x

    def parameters(self) -> list[Tensor]:
        """The parameters of all layers, in their order."""
        return [parameter for layer in self.layers for parameter in layer.parameters()]


def _he_normal(shape: tuple[int, ...], fan_in: int, rng: np.random.Generator | None) -> Tensor:
    """Draw normal values of variance 2 / fan_in, which keep the scale of activations through ReLUs.

    He, Zhang, Ren, Sun, "Delving Deep into Rectifiers" (2015), equation 10.
    """
    generator = np.random.default_rng() if rng is None else rng
    values = generator.standard_normal(shape, dtype=np.float32)
    values *= math.sqrt(2 / fan_in)
    return Tensor(values, requires_grad=True)

"""Optimisers, which update parameters in place, so that their arrays stay the same objects."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable

import numpy as np

from .graph import Array
from .tensor import Tensor


class Optimizer(ABC):
    """A list of parameters and a rule that moves each of them one step.

    ``weight_decay`` adds that multiple of the parameter to its gradient. A parameter whose ``grad``
    is None is not changed. Settings are read at each step, so ``lr`` may change between steps.
    """

    def __init__(self, params: Iterable[Tensor], lr: float, weight_decay: float) -> None:
        self.params = list(params)
        self.lr = lr
        self.weight_decay = weight_decay
        if not self.params:
            raise ValueError("an optimiser needs at least one parameter")
        if lr < 0 or weight_decay < 0:
            raise ValueError(f"lr and weight_decay can't be negative: {lr}, {weight_decay}")

    def zero_grad(self) -> None:
        """Discard all gradients and free their memory; call this before each backward pass."""
        for parameter in self.params:
            parameter.grad = None

    def step(self) -> None:
        """Update every parameter that has a gradient by one step."""
        for index, parameter in enumerate(self.params):
            if parameter.grad is None:
                continue
            gradient = parameter.grad
            if self.weight_decay:
                gradient = gradient + self.weight_decay * parameter.data
            self._move(index, parameter.data, gradient)

    @abstractmethod
    def _move(self, index: int, data: Array, gradient: Array) -> None:
        """Update ``data`` in place; ``index`` identifies the parameter's own state."""


class SGD(Optimizer):
    """Gradient descent with momentum: v = momentum * v + gradient, parameter -= lr * v.

    Without momentum it keeps no state; with momentum, one array per parameter. The formula is that
    of Sutskever, Martens, Dahl, Hinton (2013) with lr moved out of v.
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, lr, weight_decay)
        self.momentum = momentum
        self._velocity: dict[int, Array] = {}

    def _move(self, index: int, data: Array, gradient: Array) -> None:
        if self.momentum:
            velocity = _zeros_once(self._velocity, index, data)
            velocity *= self.momentum
            velocity += gradient
            gradient = velocity
        data -= self.lr * gradient


class Adam(Optimizer):
    """Steps of about lr in each coordinate, whatever the scale of its gradient.

    m and v are running means of the gradient and its square; m' and v' correct their start at 0:
    parameter -= lr * m' / (sqrt(v') + eps). Kingma and Ba, "Adam" (2015), algorithm 1. It keeps two
    arrays per parameter.
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, lr, weight_decay)
        self.betas = betas
        self.eps = eps
        self._mean: dict[int, Array] = {}
        self._square: dict[int, Array] = {}
        self._steps: dict[int, int] = {}

    def _move(self, index: int, data: Array, gradient: Array) -> None:
        mean_decay, square_decay = self.betas
        mean = _zeros_once(self._mean, index, data)
        square = _zeros_once(self._square, index, data)
        steps = self._steps[index] = self._steps.get(index, 0) + 1

        change = np.empty_like(data)
        np.multiply(gradient, 1 - mean_decay, out=change)
        mean *= mean_decay
        mean += change
        np.multiply(gradient, gradient, out=change)
        change *= 1 - square_decay
        square *= square_decay
        square += change

        np.divide(square, 1 - square_decay**steps, out=change)
        np.sqrt(change, out=change)
        change += self.eps
        np.divide(mean, change, out=change)
        change *= self.lr / (1 - mean_decay**steps)
        data -= change


def _zeros_once(state: dict[int, Array], index: int, data: Array) -> Array:
    """Return a parameter's state, which starts as zeros of the parameter's shape."""
    if index not in state:
        state[index] = np.zeros_like(data)
    return state[index]

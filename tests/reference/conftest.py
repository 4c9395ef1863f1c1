"""Put the reference framework on the path, as a sandbox does, and check gradients numerically."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "tinytorch_compete" / "reference"))

from tinytorch import Tensor

GradientCheck = Callable[..., None]
Refusal = Callable[..., None]


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def check_gradients(rng: np.random.Generator) -> GradientCheck:
    """Compare each input's gradient with central differences along a random direction."""

    def check(function: Callable[..., Tensor], *inputs: Tensor, step: float = 1e-2) -> None:
        result = function(*inputs)
        assert result.data.dtype == np.float32
        direction = rng.standard_normal(result.shape).astype(np.float32)
        for tensor in inputs:
            tensor.grad = None
        result.backward(direction)
        for tensor in inputs:
            if not tensor.requires_grad:
                assert tensor.grad is None
                continue
            assert isinstance(tensor.grad, np.ndarray)
            assert tensor.grad.dtype == np.float32
            expected = numeric_gradient(function, inputs, tensor, direction, step)
            np.testing.assert_allclose(tensor.grad, expected, rtol=2e-2, atol=5e-3)

    return check


@pytest.fixture
def refuses() -> Refusal:
    """Check that an act is refused with a ValueError whose one message has all the given words."""

    def check(act: Callable[[], object], words: list[str]) -> None:
        with pytest.raises(ValueError, match=re.escape(words[0])) as caught:
            act()
        missing = [word for word in words if word not in str(caught.value)]
        assert not missing

    return check


def numeric_gradient(
    function: Callable[..., Tensor],
    inputs: tuple[Tensor, ...],
    tensor: Tensor,
    direction: np.ndarray,
    step: float,
) -> np.ndarray:
    """Return the slope of sum(function(inputs) * direction) along each element of one input."""
    slopes = np.zeros(tensor.shape)
    for index in np.ndindex(tensor.shape):
        original = tensor.data[index].copy()
        sides = []
        for sign in (1, -1):
            tensor.data[index] = original + sign * step
            sides.append(float((function(*inputs).data.astype(np.float64) * direction).sum()))
        tensor.data[index] = original
        slopes[index] = (sides[0] - sides[1]) / (2 * step)
    return slopes

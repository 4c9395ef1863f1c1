"""Losses: values, gradients, extremes and bad input."""

from __future__ import annotations

import numpy as np
import pytest
from tinytorch import CrossEntropyLoss, MSELoss, Tensor


def test_mse_is_the_mean_square_and_has_the_right_gradients(rng, check_gradients):
    a = Tensor(rng.standard_normal((3, 2)), requires_grad=True)
    b = Tensor(rng.standard_normal((3, 2)), requires_grad=True)
    assert MSELoss()(a, b).item() == pytest.approx(((a.data - b.data) ** 2).mean())
    check_gradients(MSELoss(), a, b)


def test_cross_entropy_equals_its_definition(rng):
    logits, labels = rng.standard_normal((5, 3)), np.array([0, 2, 1, 1, 0])
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = -np.log(probabilities[np.arange(5), labels]).mean()
    for given in (labels, list(labels), Tensor(labels), labels.astype(np.uint8)):
        assert CrossEntropyLoss()(Tensor(logits), given).item() == pytest.approx(expected, rel=1e-5)


def test_cross_entropy_has_the_right_gradient(rng, check_gradients):
    labels = np.array([0, 2, 1, 1])
    logits = Tensor(rng.standard_normal((4, 3)), requires_grad=True)
    check_gradients(lambda z: CrossEntropyLoss()(z, labels), logits)
    check_gradients(lambda z: CrossEntropyLoss()(z, labels) * 3, logits)


def test_cross_entropy_is_finite_for_huge_logits():
    logits = Tensor([[1e4, -1e4], [1e4, -1e4]], requires_grad=True)
    loss = CrossEntropyLoss()(logits, [0, 1])
    loss.backward()
    assert loss.item() == pytest.approx(1e4)
    np.testing.assert_array_equal(logits.grad, [[0, 0], [0.5, -0.5]])


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda: MSELoss()(Tensor(np.ones((3, 1))), np.ones(3)), ["(3, 1)", "(3,)"]),
        (lambda: CrossEntropyLoss()(Tensor(np.ones((3, 2))), [0, 1]), ["(3, 2)", "(2,)"]),
        (lambda: CrossEntropyLoss()(Tensor(np.ones(3)), [0, 1, 2]), ["(3,)"]),
        (lambda: CrossEntropyLoss()(Tensor(np.ones((0, 3))), []), ["(0, 3)"]),
        (lambda: CrossEntropyLoss()(Tensor(np.ones((2, 3))), [0, 3]), ["0 to 2", "3"]),
        (lambda: CrossEntropyLoss()(Tensor(np.ones((2, 3))), [0, -1]), ["0 to 2", "-1"]),
        (lambda: CrossEntropyLoss()(Tensor(np.ones((2, 3))), [0, 0.5]), ["0 to 2", "0.5"]),
    ],
)
def test_bad_input_is_one_value_error_that_names_it(act, words, refuses):
    refuses(act, words)

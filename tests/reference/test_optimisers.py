"""Optimisers: the published update rules, in place and in float32."""

from __future__ import annotations

import numpy as np
import pytest
from tinytorch import SGD, Adam, Tensor

GRADIENTS = [np.array([0.5, -2.0]), np.array([1.0, 0.1]), np.array([-0.3, 0.0])]


def run(optimizer, parameter):
    for gradient in GRADIENTS:
        parameter.grad = gradient.astype(np.float32)
        optimizer.step()
    return parameter.data


def sgd_by_the_book(start, lr, momentum, weight_decay):
    w, v = np.array(start, float), np.zeros(2)
    for gradient in GRADIENTS:
        v = momentum * v + gradient + weight_decay * w
        w = w - lr * v
    return w


def adam_by_the_book(start, lr, betas, eps, weight_decay):
    w, m, v = np.array(start, float), np.zeros(2), np.zeros(2)
    for t, gradient in enumerate(GRADIENTS, 1):
        g = gradient + weight_decay * w
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g**2
        w = w - lr * (m / (1 - betas[0] ** t)) / (np.sqrt(v / (1 - betas[1] ** t)) + eps)
    return w


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_sgd_follows_its_rule(momentum, weight_decay):
    w = Tensor([1, -1], requires_grad=True)
    result = run(SGD([w], 0.1, momentum, weight_decay), w)
    np.testing.assert_allclose(result, sgd_by_the_book([1, -1], 0.1, momentum, weight_decay), 1e-5)


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_adam_follows_its_rule(weight_decay):
    w = Tensor([1, -1], requires_grad=True)
    result = run(Adam([w], 0.1, (0.8, 0.99), 1e-6, weight_decay), w)
    expected = adam_by_the_book([1, -1], 0.1, (0.8, 0.99), 1e-6, weight_decay)
    np.testing.assert_allclose(result, expected, 1e-5)


OPTIMIZERS = [
    lambda p: SGD(p, np.float64(0.1), momentum=0.9, weight_decay=0.1),
    lambda p: Adam(p, weight_decay=0.1),
]


@pytest.mark.parametrize("make", OPTIMIZERS)
@pytest.mark.parametrize("shape", [(), (3,), (2, 3)])
def test_updates_are_in_place_and_leave_gradients_alone(make, shape):
    w = Tensor(np.ones(shape), requires_grad=True)
    array, optimizer = w.data, make([w])
    for _ in range(2):
        (w * w).sum().backward()
        before = w.grad.copy()
        optimizer.step()
        np.testing.assert_array_equal(w.grad, before)
        optimizer.zero_grad()
        assert w.grad is None
    assert w.data is array
    assert array.dtype == np.float32
    assert (array < 1).all()


@pytest.mark.parametrize("make", OPTIMIZERS)
def test_a_parameter_without_gradient_stays(make):
    w, idle = Tensor([1.0], requires_grad=True), Tensor([1.0], requires_grad=True)
    optimizer = make([idle, w])
    w.grad = np.ones(1, np.float32)
    optimizer.step()
    assert idle.data == 1
    assert w.data < 1


@pytest.mark.parametrize("act", [lambda: SGD([], 0.1), lambda: Adam([Tensor(1)], lr=-1)])
def test_senseless_settings_are_refused(act):
    with pytest.raises(ValueError, match=r"parameter|negative"):
        act()

"""Tensors: arithmetic, shapes, and gradients through graphs of any depth."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
from tinytorch import Tensor, no_grad
from tinytorch.functional import sigmoid, softmax
from tinytorch.tensor import record


def leaf(rng, *shape, low=-1.0, high=1.0):
    return Tensor(rng.uniform(low, high, shape), requires_grad=True)


def away_from_zero(rng, *shape):
    return Tensor(rng.uniform(0.2, 1.0, shape) * rng.choice([-1.0, 1.0], shape), requires_grad=True)


BINARY = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / b,
}
SHAPES = [((2, 3), (2, 3)), ((2, 3), (3,)), ((2, 1), (1, 3)), ((), (2, 2)), ((4, 1, 2), (3, 1))]


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("shapes", SHAPES)
def test_arithmetic_broadcasts_and_sums_its_gradients_back(name, shapes, rng, check_gradients):
    check_gradients(BINARY[name], leaf(rng, *shapes[0]), leaf(rng, *shapes[1], low=1, high=2))


UNARY = {
    "negate": lambda a: -a,
    "square": lambda a: a**2,
    "root": lambda a: (a * a + 1) ** 0.5,
    "exp": lambda a: a.exp(),
    "log": lambda a: (a * a + 1).log(),
    "relu": lambda a: a.relu(),
    "sigmoid": sigmoid,
    "softmax over the last axis": softmax,
    "softmax over the first axis": lambda a: softmax(a, axis=0),
    "sum of all": lambda a: a.sum(),
    "sum over an axis": lambda a: a.sum(axis=1),
    "sum over two axes, kept": lambda a: a.sum(axis=(0, -1), keepdims=True),
    "mean of all": lambda a: a.mean(),
    "mean over an axis": lambda a: a.mean(axis=-1, keepdims=True),
    "reshape": lambda a: a.reshape(4, -1),
    "reshape by a tuple": lambda a: a.reshape((3, 8)),
    "transpose": lambda a: a.T,
    "transpose by axes": lambda a: a.transpose(1, 2, 0),
    "slice": lambda a: a[:, 1:, ::2],
    "integer index": lambda a: a[1, ..., 0],
    "repeated index": lambda a: a[np.array([0, 0, 1])],
    "mask": lambda a: a[a.data > 0],
    "number on the left": lambda a: 2 / (3 - a) + 1 * a,
    "array on the left": lambda a: np.ones((2, 3, 4)) * a + np.float64(2) * a,
}


@pytest.mark.parametrize("name", UNARY)
def test_each_operation_has_the_right_gradient_in_float32(name, rng, check_gradients):
    check_gradients(UNARY[name], away_from_zero(rng, 2, 3, 4))


@pytest.mark.parametrize(
    "shapes", [((2, 3), (3, 4)), ((5, 2, 3), (3, 4)), ((5, 2, 3), (5, 3, 4)), ((2, 3), (5, 3, 1))]
)
def test_matmul_has_the_right_gradients_with_leading_axes_too(shapes, rng, check_gradients):
    check_gradients(lambda a, b: a @ b, leaf(rng, *shapes[0]), leaf(rng, *shapes[1]))


@pytest.mark.parametrize(("axis", "keepdims"), [(None, False), (1, False), ((0, 2), True)])
def test_max_has_the_right_gradient(axis, keepdims, rng, check_gradients):
    distinct = Tensor(rng.permutation(24).reshape(2, 3, 4) / 4, requires_grad=True)
    check_gradients(lambda a: a.max(axis=axis, keepdims=keepdims), distinct)


def test_equal_maxima_share_the_gradient():
    x = Tensor([1, 3, 3], requires_grad=True)
    x.max().backward()
    np.testing.assert_array_equal(x.grad, [0, 0.5, 0.5])


def test_data_is_float32_whatever_it_came_from():
    for data in ([1, 2], np.arange(3), np.ones(2, np.uint8), np.float64(1), Tensor([1.0])):
        assert Tensor(data).data.dtype == np.float32
        assert type(Tensor(data).data) is np.ndarray


def test_a_tensor_converts_to_its_array():
    np.testing.assert_array_equal(np.asarray(Tensor([[1, 2]])), [[1, 2]])


def test_gradients_of_two_passes_add_up():
    x = Tensor([1, 2], requires_grad=True)
    (x * 3).sum().backward()
    (x * x).sum().backward()
    np.testing.assert_array_equal(x.grad, [5, 7])


def test_a_tensor_used_twice_gets_both_gradients():
    x = Tensor(3, requires_grad=True)
    (x * x + x).backward()
    assert isinstance(x.grad, np.ndarray)
    assert x.grad == 7


def test_gradients_of_two_leaves_never_share_memory():
    a, b = Tensor([1, 2], requires_grad=True), Tensor([3, 4], requires_grad=True)
    (a + b).backward([1, 1])
    a.grad *= 5
    np.testing.assert_array_equal(b.grad, [1, 1])


def test_the_given_gradient_is_not_kept_by_a_leaf():
    given = np.ones(2, np.float32)
    x = Tensor([1, 2], requires_grad=True)
    x.backward(given)
    given[:] = 9
    np.testing.assert_array_equal(x.grad, [1, 1])


def test_a_chain_of_ten_thousand_operations_is_no_recursion():
    x = Tensor(1, requires_grad=True)
    y = x
    for _ in range(10_000):
        y = y + 1
    y.backward()
    assert x.grad == 1


def test_a_chain_that_is_dropped_without_a_backward_pass_is_freed():
    y = Tensor(1, requires_grad=True)
    for _ in range(100_000):
        y = y + 1
    last = weakref.ref(y)
    del y
    gc.collect()
    assert last() is None


def test_sixty_diamonds_cost_sixty_steps_and_not_two_to_the_sixtieth():
    visits = []

    def count(gradient):
        visits.append(gradient)
        return (gradient,)

    x = y = Tensor(1, requires_grad=True)
    for _ in range(60):
        node = record(y.data, (y,), count)
        y = node * 0.25 + node * 0.75
    y.backward()
    assert len(visits) == 60
    assert x.grad == 1


def test_activations_are_freed_by_the_backward_pass():
    x = Tensor(np.ones(4), requires_grad=True)
    hidden = x.exp()
    activation = weakref.ref(hidden.data)
    loss = hidden.sum()
    del hidden
    assert activation() is not None
    loss.backward()
    assert activation() is None


def test_a_second_backward_pass_says_that_the_graph_is_gone():
    hidden = Tensor([1, 2], requires_grad=True) * 2
    loss = hidden.sum()
    loss.backward()
    with pytest.raises(RuntimeError, match=r"shape \(\) .*released"):
        loss.backward()
    with pytest.raises(RuntimeError, match=r"shape \(2,\) .*released"):
        (hidden * 2).sum().backward()


def test_no_grad_records_nothing_and_ends_with_its_block():
    x = Tensor([1, 2], requires_grad=True)
    with no_grad():
        with no_grad():
            pass
        assert not (x * 2).requires_grad
    assert (x * 2).requires_grad


def test_no_grad_ends_with_an_exception_too():
    x = Tensor(np.ones((2, 2)), requires_grad=True)
    with pytest.raises(ValueError, match="matmul"), no_grad():
        x.matmul(np.ones((3, 3)))
    assert (x * 2).requires_grad


def test_detach_shares_data_and_stops_the_gradient():
    x = Tensor([1, 2], requires_grad=True)
    still = (x * 2).detach()
    assert not still.requires_grad
    (x * still).sum().backward()
    np.testing.assert_array_equal(x.grad, [2, 4])
    assert np.shares_memory(x.detach().data, x.data)


def test_what_requires_no_gradient_gets_none():
    x, y = Tensor([1, 2], requires_grad=True), Tensor([3, 4])
    (x * y / y - y).sum().backward()
    assert y.grad is None
    with pytest.raises(RuntimeError, match="gradient"):
        (y * 2).sum().backward()


def test_sigmoid_and_softmax_stay_finite_at_the_extremes():
    x = Tensor([-1e30, 0, 1e30])
    np.testing.assert_allclose(sigmoid(x).data, [0, 0.5, 1])
    np.testing.assert_allclose(softmax(x).data, [0, 0, 1])


@pytest.mark.parametrize(
    ("act", "shapes"),
    [
        (lambda: Tensor(np.ones((2, 3))) @ Tensor(np.ones((4, 5))), ["(2, 3)", "(4, 5)"]),
        (lambda: Tensor(np.ones(3)).matmul(Tensor(np.ones((3, 2)))), ["(3,)", "(3, 2)"]),
        (lambda: Tensor(np.ones((2, 3))) + Tensor(np.ones(2)), ["(2,3)", "(2,)"]),
        (lambda: Tensor(np.ones((2, 3))).reshape(4, 2), ["size 6", "(4,2)"]),
        (lambda: Tensor(np.ones((2, 3)), requires_grad=True).backward(), ["(2, 3)"]),
        (lambda: Tensor([1, 2], requires_grad=True).backward([1]), ["(2,)", "(1,)"]),
    ],
)
def test_bad_shapes_are_one_value_error_that_names_them(act, shapes, refuses):
    refuses(act, shapes)

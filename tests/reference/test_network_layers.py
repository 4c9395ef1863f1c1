"""Layers: shapes, values, gradients and initialisation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from tinytorch import (
    Conv2d,
    Flatten,
    Layer,
    Linear,
    MaxPool2d,
    ReLU,
    Sequential,
    Sigmoid,
    Softmax,
    Tensor,
    convolution,
)


def naive_convolution(x, weight, bias, stride, padding):
    """The definition, one number at a time, in float64."""
    x = np.pad(x.astype(np.float64), ((0, 0), (0, 0), (padding,) * 2, (padding,) * 2))
    count, filters = len(x), len(weight)
    rows = (x.shape[2] - weight.shape[2]) // stride + 1
    columns = (x.shape[3] - weight.shape[3]) // stride + 1
    result = np.zeros((count, filters, rows, columns))
    for n, o, i, j in itertools.product(*map(range, result.shape)):
        top, left = i * stride, j * stride
        window = x[n, :, top : top + weight.shape[2], left : left + weight.shape[3]]
        result[n, o, i, j] = (window * weight[o]).sum() + bias[o]
    return result


# kernel, stride, padding, height, width
GEOMETRIES = [
    (3, 1, 0, 5, 5),
    (3, 1, 1, 4, 6),
    (3, 2, 1, 7, 8),
    (2, 3, 0, 7, 6),
    (1, 1, 0, 3, 3),
    (1, 2, 1, 4, 3),
    ((1, 3), 1, 1, 3, 4),
    ((3, 2), 2, 0, 6, 5),
    (5, 1, 2, 3, 3),
]


@pytest.fixture(params=["all images at once", "one image at a time"])
def column_bytes(request, monkeypatch):
    if request.param == "one image at a time":
        monkeypatch.setattr(convolution, "COLUMN_BYTES", 1)


@pytest.mark.usefixtures("column_bytes")
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_convolution_equals_its_definition(geometry, rng):
    kernel, stride, padding, height, width = geometry
    layer = Conv2d(2, 3, kernel, stride, padding, rng=rng)
    layer.bias.data[:] = rng.standard_normal(3)
    x = rng.standard_normal((3, 2, height, width)).astype(np.float32)
    expected = naive_convolution(x, layer.weight.data, layer.bias.data, stride, padding)
    result = layer(Tensor(x))
    assert result.shape == expected.shape
    assert result.data.dtype == np.float32
    np.testing.assert_allclose(result.data, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("column_bytes")
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_convolution_has_the_right_gradients(geometry, rng, check_gradients):
    kernel, stride, padding, height, width = geometry
    layer = Conv2d(2, 3, kernel, stride, padding, rng=rng)
    x = Tensor(rng.standard_normal((2, 2, height, width)), requires_grad=True)
    check_gradients(lambda *_: layer(x), x, layer.weight, layer.bias)


def test_convolution_without_bias_or_input_gradient(rng, check_gradients):
    layer = Conv2d(1, 2, 3, bias=False, rng=rng)
    images = Tensor(rng.standard_normal((2, 1, 4, 4)))
    assert layer.parameters() == [layer.weight]
    check_gradients(lambda *_: layer(images), images, layer.weight)


def test_frozen_filters_still_pass_the_gradient_to_the_input(rng):
    layer = Conv2d(1, 2, 3, rng=rng)
    layer.weight.requires_grad = False
    x = Tensor(rng.standard_normal((1, 1, 4, 4)), requires_grad=True)
    layer(x).sum().backward()
    assert x.grad is not None
    assert layer.weight.grad is None


def test_col2im_is_the_adjoint_of_im2col(rng):
    images = rng.standard_normal((2, 3, 7, 6)).astype(np.float32)
    columns = convolution.im2col(images, (3, 2), 2, 1)
    other = rng.standard_normal(columns.shape).astype(np.float32)
    back = convolution.col2im(other, images.shape, (3, 2), 2, 1)
    np.testing.assert_allclose((columns * other).sum(), (images * back).sum(), rtol=1e-4)


@pytest.mark.parametrize("layout", [(0, 1, 3, 2), (1, 0, 2, 3)])
def test_convolution_takes_images_in_any_memory_order(layout, rng):
    layer = Conv2d(2, 3, 3, rng=rng)
    x = rng.standard_normal((2, 2, 5, 5)).astype(np.float32)
    view = np.ascontiguousarray(x.transpose(layout)).transpose(layout)
    np.testing.assert_array_equal(layer(Tensor(view)).data, layer(Tensor(x)).data)


@pytest.mark.parametrize(("kernel", "stride"), [(2, None), (3, 1), (2, 3), (3, 2), (1, 1)])
def test_max_pooling_has_the_right_values_and_gradient(kernel, stride, rng, check_gradients):
    layer = MaxPool2d(kernel, stride)
    values = rng.permutation(2 * 2 * 7 * 5).reshape(2, 2, 7, 5) / 8
    x = Tensor(values, requires_grad=True)
    check_gradients(layer, x)
    step = kernel if stride is None else stride
    result = layer(x).data
    for n, c, i, j in np.ndindex(result.shape):
        window = values[n, c, i * step : i * step + kernel, j * step : j * step + kernel]
        assert result[n, c, i, j] == window.max()


def test_of_equal_maxima_in_a_window_the_first_gets_the_gradient():
    x = Tensor(np.ones((1, 1, 2, 4)), requires_grad=True)
    MaxPool2d(2)(x).backward([[[[2, 3]]]])
    np.testing.assert_array_equal(x.grad[0, 0], [[2, 0, 3, 0], [0, 0, 0, 0]])


def test_overlapping_windows_add_their_gradients():
    x = Tensor([[[[0, 5, 0]] * 2]], requires_grad=True)
    MaxPool2d(2, stride=1)(x).sum().backward()
    np.testing.assert_array_equal(x.grad[0, 0], [[0, 2, 0], [0, 0, 0]])


def test_linear_has_weight_in_by_out_and_the_right_gradients(rng, check_gradients):
    layer = Linear(4, 3, rng=rng)
    assert layer.weight.shape == (4, 3)
    assert layer.bias.shape == (3,)
    x = Tensor(rng.standard_normal((5, 4)), requires_grad=True)
    check_gradients(lambda *_: layer(x), x, layer.weight, layer.bias)
    np.testing.assert_allclose(
        layer(x).data, x.data @ layer.weight.data + layer.bias.data, rtol=1e-6
    )


def test_linear_acts_on_the_last_axis_of_a_sequence(rng):
    assert Linear(4, 3, bias=False, rng=rng)(np.ones((2, 5, 4))).shape == (2, 5, 3)


@pytest.mark.parametrize("layer", [ReLU(), Sigmoid(), Softmax(), Flatten()])
def test_layers_without_parameters_pass_gradients(layer, rng, check_gradients):
    assert layer.parameters() == []
    values = rng.uniform(0.2, 1.0, (2, 3, 4)) * rng.choice([-1.0, 1.0], (2, 3, 4))
    check_gradients(layer, Tensor(values, requires_grad=True))


def test_sequential_lists_all_parameters_in_order(rng):
    first, last = Linear(2, 3, rng=rng), Linear(3, 1, rng=rng)
    model = Sequential(first, ReLU(), last)
    assert model.parameters() == [first.weight, first.bias, last.weight, last.bias]
    assert model(np.ones((4, 2), np.uint8)).shape == (4, 1)


def test_a_seed_fixes_the_start():
    starts = [Conv2d(2, 3, 3, rng=np.random.default_rng(1)).weight.data for _ in range(2)]
    np.testing.assert_array_equal(*starts)
    assert (Linear(2, 3).weight.data != Linear(2, 3).weight.data).any()


@pytest.mark.parametrize(
    ("make", "fan_in"),
    [(lambda r: Linear(200, 300, rng=r), 200), (lambda r: Conv2d(32, 64, (3, 5), rng=r), 32 * 15)],
)
def test_weights_start_with_he_variance(make, fan_in, rng):
    weight = make(rng).weight
    assert weight.requires_grad
    assert weight.data.dtype == np.float32
    assert weight.data.var() == pytest.approx(2 / fan_in, rel=0.05)


def test_a_layer_without_forward_says_so():
    with pytest.raises(NotImplementedError, match=r"Layer .*forward"):
        Layer()(np.ones(2))


def images(*shape):
    return np.zeros(shape, np.float32)


@pytest.mark.parametrize(
    ("act", "shapes"),
    [
        (lambda: Linear(4, 3)(images(2, 5)), ["(4, 3)", "(2, 5)"]),
        (lambda: Linear(4, 3)(images(4)), ["(4, 3)", "(4,)"]),
        (lambda: Conv2d(3, 8, 3)(images(2, 1, 9, 9)), ["(8, 3, 3, 3)", "(2, 1, 9, 9)"]),
        (lambda: Conv2d(3, 8, 3)(images(3, 9, 9)), ["(8, 3, 3, 3)", "(3, 9, 9)"]),
        (lambda: Conv2d(1, 8, 5, padding=1)(images(2, 1, 2, 9)), ["(5, 5)", "(2, 1, 2, 9)"]),
        (lambda: Conv2d(1, 8, 3, stride=0)(images(2, 1, 9, 9)), ["stride", "0"]),
        (lambda: MaxPool2d(3)(images(2, 1, 2, 9)), ["3 x 3", "(2, 1, 2, 9)"]),
        (lambda: MaxPool2d(2)(images(2, 9, 9)), ["2 x 2", "(2, 9, 9)"]),
    ],
)
def test_bad_shapes_are_one_value_error_that_names_them(act, shapes, refuses):
    refuses(act, shapes)

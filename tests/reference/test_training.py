"""Training and prediction as a student runs them, and what importing the framework costs."""

from __future__ import annotations

import gc
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import tinytorch
from tinytorch import (
    SGD,
    Adam,
    Conv2d,
    CrossEntropyLoss,
    DataLoader,
    Flatten,
    Layer,
    Linear,
    MaxPool2d,
    MSELoss,
    ReLU,
    Sequential,
    Tensor,
    TensorDataset,
    Trainer,
)


def digits(rng, count):
    """Ten fixed 8 x 8 patterns, each shown with noise: a stand-in for handwritten digits."""
    patterns = np.random.default_rng(1).integers(0, 2, (10, 1, 8, 8))
    labels = rng.integers(0, 10, count)
    noise = rng.standard_normal((count, 1, 8, 8))
    return (patterns[labels] + 0.4 * noise).astype(np.float32), labels


def small_network(rng):
    return Sequential(
        Conv2d(1, 8, 3, padding=1, rng=rng),
        ReLU(),
        MaxPool2d(2),
        Flatten(),
        Linear(8 * 4 * 4, 10, rng=rng),
    )


@pytest.mark.parametrize(
    "make", [lambda p: SGD(p, lr=0.05, momentum=0.9), lambda p: Adam(p, lr=5e-3)]
)
def test_a_small_network_learns_digits(make, rng):
    model = small_network(rng)
    trainer = Trainer(model, make(model.parameters()), CrossEntropyLoss())
    loader = DataLoader(TensorDataset(*digits(rng, 600)), 32, shuffle=True, seed=0)
    losses = [trainer.fit_epoch(loader) for _ in range(5)]
    images, labels = digits(rng, 300)
    accuracy = (trainer.predict(images).argmax(axis=1) == labels).mean()
    assert losses[-1] < losses[0]
    assert accuracy > 0.95
    assert all(p.data.dtype == p.grad.dtype == np.float32 for p in model.parameters())


def test_the_same_seeds_give_the_same_network(rng):
    data = TensorDataset(*digits(rng, 100))
    weights = []
    for _ in range(2):
        model = small_network(np.random.default_rng(5))
        trainer = Trainer(model, SGD(model.parameters(), lr=0.1), CrossEntropyLoss())
        trainer.fit_epoch(DataLoader(data, 10, shuffle=True, seed=5))
        weights.append([p.data for p in model.parameters()])
    for one, two in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, two)


def test_the_loss_of_an_epoch_is_the_mean_over_rows():
    model = Linear(1, 1)
    model.weight.data[:] = 0
    trainer = Trainer(model, SGD(model.parameters(), lr=0.0), MSELoss())
    data = TensorDataset(np.ones((3, 1)), np.array([[1.0], [1.0], [4.0]]))
    assert trainer.fit_epoch(DataLoader(data, 2)) == pytest.approx((1 + 1 + 16) / 3)


def test_an_epoch_without_batches_is_an_error():
    model = Linear(1, 1)
    with pytest.raises(ValueError, match="batch"):
        Trainer(model, SGD(model.parameters(), lr=0.1), MSELoss()).fit_epoch([])


def untrained(model):
    return Trainer(model, SGD(model.parameters(), lr=0.1), CrossEntropyLoss())


@pytest.mark.parametrize("count", [0, 1, 5, 6])
def test_predict_gives_one_row_for_each_input_in_any_batch_size(count, rng):
    model = small_network(rng)
    images, _ = digits(rng, count)
    result = untrained(model).predict(images, batch_size=3)
    assert isinstance(result, np.ndarray)
    assert result.dtype == np.float32
    assert result.shape == (count, 10)
    np.testing.assert_allclose(result, model(images).data, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(result, untrained(model).predict(Tensor(images), 3))


class Spy(Layer):
    """Passes its input on and records it."""

    def __init__(self):
        self.inputs = []

    def forward(self, x):
        self.inputs.append(x)
        return x


def test_predict_keeps_no_graph(rng):
    spy = Spy()
    untrained(Sequential(Linear(4, 3, rng=rng), ReLU(), spy)).predict(np.ones((5, 4)), 2)
    assert len(spy.inputs) == 3
    assert all(x.operation is None and not x.requires_grad for x in spy.inputs)


def test_predict_needs_the_memory_of_a_batch_and_not_of_the_data(rng):
    model = Sequential(Linear(64, 512, rng=rng), ReLU(), Linear(512, 2, rng=rng))
    inputs = np.ones((8192, 64), np.uint8)
    gc.collect()
    tracemalloc.start()
    try:
        untrained(model).predict(inputs, batch_size=64)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8192 * 512 * 4 / 8


def test_training_memory_holds_activations_and_no_columns(rng):
    model = Sequential(Conv2d(4, 4, 5, padding=2, rng=rng), Flatten(), Linear(4096, 2, rng=rng))
    data = TensorDataset(np.ones((64, 4, 32, 32), np.uint8), np.zeros(64))
    columns = 64 * (4 * 5 * 5) * (32 * 32) * 4
    tracemalloc.start()
    try:
        untrained(model).fit_epoch(DataLoader(data, 64))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < columns / 3


def test_importing_needs_only_numpy_and_is_silent():
    folder = Path(tinytorch.__file__).parents[1]
    code = (
        "import sys, numpy; before = set(sys.modules); import tinytorch; "
        "new = {m.partition('.')[0] for m in set(sys.modules) - before}; "
        "assert new - set(sys.stdlib_module_names) <= {'tinytorch', 'numpy'}, new"
    )
    done = subprocess.run(
        [sys.executable, "-B", "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

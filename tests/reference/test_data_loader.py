"""Data sets and loaders: every row once, in seeded order, one batch in memory at a time."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from tinytorch import DataLoader, Tensor, TensorDataset


def numbers(count):
    return TensorDataset(np.arange(count), Tensor(np.arange(count) * 2))


def order(loader):
    return [int(n) for batch, _ in loader for n in batch.data]


def test_an_epoch_gives_every_row_once_and_keeps_rows_together():
    loader = DataLoader(numbers(10), batch_size=4, shuffle=True, seed=0)
    batches = list(loader)
    assert len(loader) == len(batches) == 3
    assert [len(x) for x, _ in batches] == [4, 4, 2]
    assert sorted(order(loader)) == list(range(10))
    for x, y in batches:
        assert x.data.dtype == y.data.dtype == np.float32
        np.testing.assert_array_equal(y.data, x.data * 2)


def test_without_shuffle_the_order_is_that_of_the_data():
    assert order(DataLoader(numbers(7), 3)) == list(range(7))


def test_a_seed_fixes_the_sequence_of_orders():
    one, two = (DataLoader(numbers(50), 8, shuffle=True, seed=3) for _ in range(2))
    epochs = [order(one), order(one)]
    assert epochs == [order(two), order(two)]
    assert epochs[0] != epochs[1]


def test_changing_a_batch_does_not_change_the_data():
    images = np.zeros((4, 2), np.float32)
    for (batch,) in DataLoader(TensorDataset(images), 2):
        batch.data += 1
    assert not images.any()


def test_a_data_set_can_be_indexed_by_row_and_slice():
    x, y = numbers(5)[3]
    assert (x.item(), y.item()) == (3, 6)
    assert numbers(5)[1:3][0].shape == (2,)


def test_a_memory_mapped_data_set_is_read_batch_by_batch(tmp_path):
    shape = (4096, 3, 32, 32)
    np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.uint8, shape)[-1] = 7
    images = np.load(tmp_path / "x.npy", mmap_mode="r")
    tracemalloc.start()
    try:
        loader = DataLoader(TensorDataset(images, np.zeros(4096)), 32, shuffle=True, seed=0)
        total = sum(float(x.data.sum()) for x, _ in loader)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert total == 7 * 3 * 32 * 32
    assert peak < images.nbytes / 8


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda: TensorDataset(np.ones((3, 2)), np.ones(4)), ["(3, 2)", "(4,)"]),
        (TensorDataset, ["[]"]),
        (lambda: TensorDataset(np.ones(())), ["()"]),
        (lambda: DataLoader(numbers(3), 0), ["batch_size", "0"]),
    ],
)
def test_bad_input_is_one_value_error_that_names_it(act, words, refuses):
    refuses(act, words)

"""Draws are balanced, disjoint where they must be, and the same on every machine."""

import numpy as np
import pytest

from tinytorch_compete.datasets.splits import balanced, draw, shuffled, stream
from tinytorch_compete.errors import DataError

# Golden values; numpy guarantees PCG64's and SeedSequence's raw output (NEP 19).
STREAM = 69138000754268834903190893389330620374
SHUFFLE = [2, 4, 7, 5, 0, 6, 3, 1]


def test_streams_of_one_seed_differ_by_purpose() -> None:
    seeds = {stream(purpose, 0) for purpose in ("train", "public", "holdout", "reserve")}
    assert len(seeds) == 4


def test_a_stream_is_the_same_on_every_machine() -> None:
    assert stream("holdout", 42) == STREAM


def test_a_shuffle_is_the_same_on_every_machine() -> None:
    assert shuffled(8, 1).tolist() == SHUFFLE


def test_every_prefix_is_balanced_until_a_class_runs_out() -> None:
    labels = np.repeat(np.arange(3, dtype=np.uint8), (2, 5, 9))
    order = balanced(labels, 4)
    assert sorted(order.tolist()) == list(range(16))
    for n in range(7):
        counts = np.bincount(labels[order[:n]], minlength=3)
        assert counts.max() - counts.min() <= 1
    assert labels[order[12:]].tolist() == [2, 2, 2, 2]


def test_a_draw_depends_on_its_seed_alone() -> None:
    reserve = (np.arange(40, dtype=np.uint8), np.arange(40, dtype=np.uint8) % 10)
    first, again, other = (draw("toy", reserve, seed, 20)[0].tolist() for seed in (5, 5, 6))
    assert first == again != other
    assert len(set(first)) == 20


def test_a_draw_does_not_tell_a_class_by_its_place() -> None:
    reserve = (np.arange(400, dtype=np.uint8), (np.arange(400) % 10).astype(np.uint8))
    labels = draw("toy", reserve, 1, 200)[1].reshape(-1, 10)
    assert any(len(set(row)) < 10 for row in labels.tolist())


@pytest.mark.parametrize("n", [-1, 41])
def test_a_draw_beyond_the_reserve_is_refused(n: int) -> None:
    reserve = (np.zeros(40, np.uint8), np.zeros(40, np.uint8))
    with pytest.raises(DataError, match=rf"toy: .* {n} .*\b0 to 40\b"):
        draw("toy", reserve, 1, n)


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(DataError, match=r"holdout .*-1"):
        stream("holdout", -1)

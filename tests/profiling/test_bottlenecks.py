"""The reason for a line's cost follows from its seconds, its shapes and the machine's roof."""

from __future__ import annotations

import datetime

import msgspec

from tinytorch_compete.model import CellCost, LineCost, Operands, Profile, Reason
from tinytorch_compete.profiling.bottlenecks import reasons
from tinytorch_compete.profiling.roofline import Rate, Roof


def rate(median: float) -> Rate:
    return Rate(median, median, median)


# 10 GB/s, 1 GB/s of new memory, 80 and 40 Gflop/s, 1 microsecond a call: ridges at 8 and 4.
ROOF = Roof("m", datetime.datetime(2026, 1, 1), rate(1e10), rate(1e9), rate(8e10), rate(4e10),
            1e-6, 2**25)  # fmt: skip


def why(text: str, hits: int, each_s: float, **arrays: tuple[str, tuple[int, ...]]) -> list[Reason]:
    line = LineCost("m.py", 1, hits, hits * each_s, 0, 0)
    operands = (Operands("m.py", 1, 3, arrays),) if arrays else ()
    cells = (CellCost("cell:a", hits * each_s, 0, 0),)
    return reasons(Profile((), {"m.py": text}, (line,), cells, operands=operands), ROOF)


def test_a_large_product_near_the_peak_is_bound_by_arithmetic() -> None:
    square = ("<f4", (1000, 1000))
    (reason,) = why("y = a @ b", 10, 2e9 / 8e10 * 1.25, a=square, b=square)
    assert reason.kind == "compute-bound"
    assert "80%" in reason.words and "float32" in reason.words


def test_a_sum_of_long_arrays_is_bound_by_memory() -> None:
    (reason,) = why("a += b", 10, 0.03, a=("<f8", (10**7,)), b=("<f8", (10**7,)))
    assert reason.kind == "memory-bound"
    assert "80%" in reason.words and "memory" in reason.words


def test_many_small_calls_are_bound_by_their_overhead() -> None:
    (reason,) = why("y = a + a", 10**6, 1.5e-6, a=("<f4", (4,)))
    assert reason.kind == "call-overhead-bound"


def test_a_fast_line_of_plain_python_is_bound_by_overhead() -> None:
    (reason,) = why("s += f(i)", 10**6, 2e-6)
    assert reason.kind == "call-overhead-bound"


def test_new_memory_that_explains_the_time_is_named() -> None:
    (reason,) = why("y = a + 1", 10, 0.1, a=("<f8", (10**7,)))
    assert reason.kind == "memory-bound"
    assert "out=" in reason.words


def test_a_line_far_below_the_roof_is_not_explained_away() -> None:
    (reason,) = why("y = np.exp(a)", 10, 10.0, a=("<f4", (10**6,)))
    assert reason.kind == "below the roof"


def test_of_what_was_not_seen_and_is_slow_nothing_is_said() -> None:
    assert why("y = a @ b", 10, 1.0) == []
    assert why("y = fit(a)", 10, 1.0, a=("<f4", (100, 100))) == []


def test_of_part_of_a_line_only_what_explains_its_time_is_said() -> None:
    square = ("<f4", (1000, 1000))
    assert why("y = record(a @ b)", 10, 1.0, a=square, b=square) == []
    (reason,) = why("y = record(a @ b)", 10, 0.03, a=square, b=square)
    assert reason.kind == "compute-bound"


def test_a_line_whose_hits_are_estimates_is_placed_under_no_roof() -> None:
    line = LineCost("m.py", 1, 100, 3.0, 0, 0, estimated=True)
    operands = Operands("m.py", 1, 3, {"a": ("<f8", (10**7,))})
    profile = Profile((), {"m.py": "a += a"}, (line,), operands=(operands,))
    assert reasons(profile, ROOF) == []
    assert reasons(msgspec.structs.replace(profile, lines=(
        msgspec.structs.replace(line, estimated=False),)), ROOF) != []  # fmt: skip


def test_integers_have_no_peak() -> None:
    square = ("<i8", (1000, 1000))
    assert [r.kind for r in why("y = a @ b", 10, 0.01, a=square, b=square)] != ["compute-bound"]


def test_a_line_that_takes_next_to_nothing_is_left_out() -> None:
    lines = (LineCost("m.py", 1, 10**4, 0.01, 0, 0),)
    profile = Profile((), {"m.py": "s += 1"}, lines, (CellCost("cell:a", 10.0, 0, 0),))
    assert reasons(profile, ROOF) == []

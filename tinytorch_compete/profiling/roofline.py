"""Measure a machine's roof: how fast one core moves memory, multiplies matrices, calls numpy.

The roofline model (Williams, Waterman and Patterson, "Roofline: an insightful visual performance
model for multicore architectures", Communications of the ACM 52(4), 2009): code that does
``intensity`` operations for each byte that it moves can't be faster than
``min(peak, intensity * bandwidth)``. Below the ridge point, ``peak / bandwidth``, memory is the
limit; above it, arithmetic is. We measure one core, the least that a graded submission gets.
"""

from __future__ import annotations

import datetime
import platform
import re
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import psutil
from platformdirs import user_cache_path
from threadpoolctl import threadpool_limits

from tinytorch_compete.model import MIB
from tinytorch_compete.util import files

REPEATS = 11
SIDE = 1024  # of the square matrices; large enough that packing and edges cost little
CALLS = 20_000
# STREAM's rule: arrays of at least four times the last cache (McCalpin, "Memory bandwidth and
# machine balance in current high performance computers", IEEE TCCA newsletter, 1995).
CACHES = 4
USUAL_CACHE_BYTES = 32 * MIB  # where the system doesn't say
_CACHE = Path("/sys/devices/system/cpu/cpu0/cache")
_CPU = Path("/proc/cpuinfo")
Precision = Literal["float32", "float64"]


class Rate(msgspec.Struct, frozen=True):
    """The median, lowest and highest of several repeats, in units per second."""

    median: float
    low: float
    high: float

    @property
    def spread(self) -> float:
        """The range relative to the median, which shows how far to trust the figure."""
        return (self.high - self.low) / self.median


class Roof(msgspec.Struct, frozen=True):
    """What one core of a machine can do, measured with numpy.

    ``bandwidth`` is in bytes/s, as is ``fresh``, the rate of filling an array for which the system
    must first find memory; the peaks are in flop/s; ``call_s`` is the time of one numpy call on a
    single number; ``cache_bytes`` is the size of the last-level cache, in which smaller arrays can
    beat the bandwidth of memory.
    """

    machine: str
    measured_at: datetime.datetime
    bandwidth: Rate
    fresh: Rate
    float32: Rate
    float64: Rate
    call_s: float
    cache_bytes: int

    def peak(self, precision: Precision) -> Rate:
        """Return the rate of matrix products in flop/s."""
        return self.float32 if precision == "float32" else self.float64

    def ridge(self, precision: Precision) -> float:
        """Return the intensity in flop/byte above which arithmetic is the limit."""
        return self.peak(precision).median / self.bandwidth.median

    def attainable(self, intensity: float, precision: Precision) -> float:
        """Return the highest possible flop/s at an intensity in flop/byte."""
        return min(self.peak(precision).median, intensity * self.bandwidth.median)


def measure(
    clock: Callable[[], float] = time.perf_counter, elements: int = 0, side: int = SIDE
) -> Roof:
    """Measure this machine; takes a few seconds, one core, and memory for three long arrays.

    Each array has ``elements``, by default as many as STREAM asks for, or fewer where memory is
    short. The bandwidth is the better of STREAM's Copy and Add, the two of its loops that numpy
    runs in one pass; as in STREAM, bytes that a cache reads before it writes a line don't count.
    """
    cache = _cache_bytes()
    array_bytes = max(64 * MIB, CACHES * cache)
    elements = elements or min(array_bytes, psutil.virtual_memory().available // 6) // 8
    with threadpool_limits(1):
        return Roof(
            machine(),
            datetime.datetime.now(datetime.UTC).replace(microsecond=0),
            _bandwidth(clock, elements),
            _rate(clock, lambda: np.full(elements, 1.0), 8 * elements),
            _products(clock, side, np.float32),
            _products(clock, side, np.float64),
            _call_s(clock),
            cache,
        )


def machine() -> str:
    """Return this machine's name, processor and numpy version, for which a measured roof holds."""
    match = re.search(r"^model name\s*:\s*(.+)$", _CPU.read_text(), re.M) if _CPU.exists() else None
    processor = match[1] if match else platform.processor() or platform.machine()
    return f"{platform.node()}, {processor}, numpy {np.__version__}"


def path() -> Path:
    """Return the file of this machine's roof; several machines may share a home folder."""
    node = re.sub(r"\W", "_", platform.node())
    return user_cache_path("tinytorch-compete") / f"roof-{node}.json"


def save(roof: Roof) -> None:
    """Save a roof for later commands. Raises ``StoreError`` if the folder can't be written."""
    files.write_text(path(), msgspec.json.format(msgspec.json.encode(roof)).decode() + "\n")


def load() -> Roof | None:
    """Load the roof that was measured on this machine with this numpy, if any."""
    try:
        roof = msgspec.json.decode(path().read_bytes(), type=Roof)
    except (OSError, msgspec.DecodeError):
        return None
    return roof if roof.machine == machine() else None


def _bandwidth(clock: Callable[[], float], elements: int) -> Rate:
    one, two = np.ones(elements), np.full(elements, 2.0)
    to = np.zeros(elements)
    copied = _rate(clock, lambda: np.copyto(to, one), 2 * to.nbytes)
    added = _rate(clock, lambda: np.add(one, two, out=to), 3 * to.nbytes)
    return max(copied, added, key=lambda rate: rate.median)


def _products(clock: Callable[[], float], side: int, dtype: Any) -> Rate:
    one, two = np.random.default_rng(0).random((2, side, side), dtype)
    to = np.zeros((side, side), dtype)
    return _rate(clock, lambda: np.matmul(one, two, out=to), 2.0 * side**3)


def _call_s(clock: Callable[[], float]) -> float:
    number = np.ones(1)

    def many() -> None:
        for _ in range(CALLS):
            np.add(number, number)

    return 1 / _rate(clock, many, CALLS).median


def _rate(clock: Callable[[], float], run: Callable[[], object], units: float) -> Rate:
    run()  # warm up: the first touch of memory and the start of threads don't count
    rates = []
    for _ in range(REPEATS):
        start = clock()
        run()
        rates.append(units / (clock() - start))
    return Rate(statistics.median(rates), min(rates), max(rates))


def _cache_bytes() -> int:
    sizes = [file.read_text().strip() for file in _CACHE.glob("index*/size")]
    units = {"K": 2**10, "M": MIB}
    bytes_of_caches = [int(size[:-1]) * units[size[-1]] for size in sizes if size[-1:] in units]
    return max(bytes_of_caches, default=USUAL_CACHE_BYTES)

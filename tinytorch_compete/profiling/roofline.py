"""The machine's roof: how fast one core moves memory, multiplies matrices and calls numpy.

The roofline model (Williams, Waterman and Patterson, "Roofline: an insightful visual performance
model for multicore architectures", Communications of the ACM 52(4), 2009): code that does
``intensity`` operations for each byte that it moves can't be faster than
``min(peak, intensity * bandwidth)``. Below the ridge point, ``peak / bandwidth``, memory is the
limit; above it arithmetic is. One core, since that is what a graded submission's lane has at least.
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
SIDE = 1024  # of the matrices: large enough that packing and edges cost little
CALLS = 20_000
# STREAM's rule: arrays of at least four times the last cache (McCalpin, "Memory bandwidth and
# machine balance in current high performance computers", IEEE TCCA newsletter, 1995).
CACHES = 4
USUAL_CACHE_BYTES = 32 * MIB  # where the system doesn't say
_CACHE = Path("/sys/devices/system/cpu/cpu0/cache")
_CPU = Path("/proc/cpuinfo")
Precision = Literal["float32", "float64"]


class Rate(msgspec.Struct, frozen=True):
    """The median of several repeats, in units a second, and the lowest and highest of them."""

    median: float
    low: float
    high: float

    @property
    def spread(self) -> float:
        """The whole range as a share of the median: how far to trust the figure."""
        return (self.high - self.low) / self.median


class Roof(msgspec.Struct, frozen=True):
    """What one core of a machine can do, measured with numpy.

    ``bandwidth`` is in bytes/s, and so is ``fresh``, at which an array is filled that the system
    must first find memory for; the peaks are in flop/s; ``call_s`` is what one call of numpy
    costs on a single number; ``cache_bytes`` is the last cache, in which smaller arrays can beat
    the bandwidth of memory.
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
        """The fastest matrix product."""
        return self.float32 if precision == "float32" else self.float64

    def ridge(self, precision: Precision) -> float:
        """The intensity in flop/byte from which on arithmetic is the limit."""
        return self.peak(precision).median / self.bandwidth.median

    def attainable(self, intensity: float, precision: Precision) -> float:
        """The most flop/s at an intensity in flop/byte."""
        return min(self.peak(precision).median, intensity * self.bandwidth.median)


def measure(
    clock: Callable[[], float] = time.perf_counter, elements: int = 0, side: int = SIDE
) -> Roof:
    """Measure this machine; takes some seconds, one core, and memory for three long arrays.

    ``elements`` of each array are by default what STREAM asks for, or less where memory is short.
    The bandwidth is the better of STREAM's Copy and Add, the two of its loops that numpy runs in
    one pass; as in STREAM, the bytes that a cache reads before it writes a line don't count.
    """
    cache = _cache_bytes()
    wanted = max(64 * MIB, CACHES * cache)
    elements = elements or min(wanted, psutil.virtual_memory().available // 6) // 8
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
    """This machine's name, processor and numpy: what a measured roof is true of."""
    found = re.search(r"^model name\s*:\s*(.+)$", _CPU.read_text(), re.M) if _CPU.exists() else None
    processor = found[1] if found else platform.processor() or platform.machine()
    return f"{platform.node()}, {processor}, numpy {np.__version__}"


def place() -> Path:
    """Where this machine's roof is kept; a home folder can be that of several machines."""
    node = re.sub(r"\W", "_", platform.node())
    return user_cache_path("tinytorch-compete") / f"roof-{node}.json"


def keep(roof: Roof) -> None:
    """Keep a roof for later commands. Raises ``StoreError`` if the folder can't be written."""
    files.write_text(place(), msgspec.json.format(msgspec.json.encode(roof)).decode() + "\n")


def kept() -> Roof | None:
    """The roof that was measured on this machine with this numpy, if any."""
    try:
        found = msgspec.json.decode(place().read_bytes(), type=Roof)
    except (OSError, msgspec.DecodeError):
        return None
    return found if found.machine == machine() else None


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
    run()  # the first touch of memory and the start of threads are no one's rate
    rates = []
    for _ in range(REPEATS):
        start = clock()
        run()
        rates.append(units / (clock() - start))
    return Rate(statistics.median(rates), min(rates), max(rates))


def _cache_bytes() -> int:
    sizes = [path.read_text().strip() for path in _CACHE.glob("index*/size")]
    units = {"K": 2**10, "M": MIB}
    known = [int(size[:-1]) * units[size[-1]] for size in sizes if size[-1:] in units]
    return max(known, default=USUAL_CACHE_BYTES)

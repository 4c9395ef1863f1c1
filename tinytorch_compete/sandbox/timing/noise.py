"""How quiet the machine was during a run, as far as the system says: the run's noise certificate.

``load`` is the average number of runnable processes in the last minute, ``steal`` the share of CPU
time that a hypervisor gave to others, ``swapped_mib`` what was swapped in and out,
``slowed`` how far below its highest frequency the fastest core ran at the end (0 to 1), ``smt`` and
``powersave`` are 1 where cores share a physical one and where the frequency governor isn't
``performance``. A figure that the system doesn't report is left out. A timed run adds
``reference_spread``, the standard deviation of the logarithm of the reference's CPU seconds for
equal work, and ``waiting``, the share of the reference's wall time in which it had no core.
"""

from __future__ import annotations

import math
import os
import statistics
from collections.abc import Iterable
from pathlib import Path

import msgspec
import psutil

from tinytorch_compete.model import MIB, Answer

CPU = Path("/sys/devices/system/cpu")
# A reference spread beyond which a run says more about the machine than about the code. The ratio
# of a run is of at most 30 blocks (``race.MOST``), whose mean this leaves with a standard deviation
# of 0.16 / sqrt(30) = 3 %: as much as the luck with memory layout that each process has anyway.
# Measured with a busy neighbour on two cores: 0.085.
LOUDEST = 0.16


class Before(msgspec.Struct, frozen=True):
    """The system's running totals when a run began."""

    steal_s: float
    total_s: float
    swapped_bytes: int


def before() -> Before:
    """Note the running totals."""
    times = psutil.cpu_times()
    swap = psutil.swap_memory()
    return Before(getattr(times, "steal", 0.0), sum(times), swap.sin + swap.sout)


def since(start: Before) -> dict[str, float]:
    """The certificate of the time since ``start``."""
    now = before()
    total_s = now.total_s - start.total_s
    figures = {
        "steal": (now.steal_s - start.steal_s) / total_s if total_s > 0 else 0.0,
        "swapped_mib": (now.swapped_bytes - start.swapped_bytes) / MIB,
    }
    if hasattr(os, "getloadavg"):
        figures["load"] = os.getloadavg()[0]
    frequencies = [f.current / f.max for f in psutil.cpu_freq(percpu=True) or [] if f.max]
    if frequencies:
        figures["slowed"] = max(0.0, 1 - max(frequencies))
    for name, path, quiet in (
        ("smt", CPU / "smt" / "active", "0"),
        ("powersave", CPU / "cpu0" / "cpufreq" / "scaling_governor", "performance"),
    ):
        if path.exists():
            figures[name] = float(path.read_text().strip() != quiet)
    return figures


def of_rounds(answers: Iterable[Answer]) -> dict[str, float]:
    """The noise of timed probes, by the reference's equal work; empty without any."""
    costs = [r.reference for answer in answers for r in answer.rounds]
    if len(costs) < 2:
        return {}
    wall_s = math.fsum(cost.wall_s for cost in costs)
    return {
        "reference_spread": statistics.stdev(math.log(cost.cpu_s) for cost in costs),
        "waiting": max(0.0, 1 - math.fsum(cost.cpu_s for cost in costs) / wall_s),
    }

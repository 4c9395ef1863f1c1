"""Check the figures: noise, wrong orders, interval coverage, and memory against known sizes.

    python benchmarks/fairness.py noise      the same submission graded again and again
    python benchmarks/fairness.py pairs      submissions whose true speed differs by known shares
    python benchmarks/fairness.py coverage   95 % intervals of simulated runs
    python benchmarks/fairness.py memory     allocations of known size, ten ways

``--busy`` runs a busy neighbour on each core. docs/measurement.md has the results.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import math
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from nbformat import NotebookNode, v4

from tinytorch_compete.judging import metrics
from tinytorch_compete.model import Inputs, Limits, Timed
from tinytorch_compete.sandbox.contract import RunRequest
from tinytorch_compete.sandbox.local import LocalSandbox
from tinytorch_compete.util import stats

LIMITS = Limits(memory_mib=512, wall_s=120)
NEIGHBOUR = """
import numpy as np
a = np.random.rand(1500, 1500)
while True:
    a @ a
    np.sort(a.ravel()[:1_000_000])
"""
# The same step of a small network, repeated: the true cost is proportional to the repetitions.
STEPS = """
import numpy as np
def answer(seed):
    rng = np.random.default_rng(seed)
    x, w = rng.standard_normal((256, 128), dtype="f4"), rng.standard_normal((128, 128), dtype="f4")
    for _ in range({}):
        x = np.maximum(x @ w, 0)
        x /= x.max() + 1
    return x.sum()
"""
BASE = 100
IMPORTS = "import mmap, os, signal\nimport numpy as np\n"
PROBE = """
from compete_probe import Probe
with Probe("c1") as probe:
    for question in probe.questions():
        probe.send(out=answer(question.values["seed"]))
"""
SLOWER = (0, 2, 5, 10, 20)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["noise", "pairs", "coverage", "memory"])
    parser.add_argument("--busy", action="store_true")
    parser.add_argument("--gradings", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="Keep the raw figures, too.")
    options = parser.parse_args()
    with neighbours() if options.busy else contextlib.nullcontext():
        found = globals()[options.what](options)
    if options.json:
        options.json.write_text(json.dumps(found))


@contextlib.contextmanager
def neighbours() -> Iterator[None]:
    """Keep each core busy with a process of its own."""
    running = [
        subprocess.Popen([sys.executable, "-c", NEIGHBOUR]) for _ in range(psutil.cpu_count() or 1)
    ]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def notebook(*sources: str) -> NotebookNode:
    made = v4.new_notebook()
    for number, source in enumerate(sources):
        cell = v4.new_code_cell(source, metadata={"nbgrader": {"grade_id": f"c{number}"}})
        made.cells.append(cell)
    return made


def timed_run(steps: int, seed: int) -> dict[str, float]:
    """Run once against the reference: the ranked ratio, and mean raw wall and CPU seconds."""
    asked = Timed(lambda number: Inputs(values={"seed": seed * 1000 + number}))
    own, reference = (notebook(STEPS.format(count), PROBE) for count in (steps, BASE))
    run = LocalSandbox().run(RunRequest(own, LIMITS, {"c1": asked}, reference=reference))
    answer = run.answers["c1"]
    speedup = metrics.speedup(answer)
    assert isinstance(speedup, float), speedup
    return {
        "speedup": speedup,
        "wall_s": float(np.mean([r.own.wall_s for r in answer.rounds])),
        "cpu_s": float(np.mean([r.own.cpu_s for r in answer.rounds])),
        "single_s": answer.rounds[0].own.wall_s,
        "rounds": len(answer.rounds),
        "spread": run.noise["reference_spread"],
        "waiting": run.noise["waiting"],
    }


def noise(options: argparse.Namespace) -> list[dict[str, float]]:
    """Print coefficients of variation over gradings of the same submission."""
    runs = [timed_run(BASE, seed) for seed in range(options.gradings * options.seeds)]
    graded = [runs[i : i + options.seeds] for i in range(0, len(runs), options.seeds)]
    ratios = [math.exp(np.mean([math.log(r["speedup"]) for r in g])) for g in graded]
    print(
        f"{options.gradings} gradings of {options.seeds} runs, {'busy' if options.busy else 'idle'}"
    )
    rows = {
        "ranked ratio (geometric mean of the runs)": ratios,
        "ratio of one run": [r["speedup"] for r in runs],
        "CPU seconds, mean of a grading": [np.mean([r["cpu_s"] for r in g]) for g in graded],
        "wall seconds, mean of a grading": [np.mean([r["wall_s"] for r in g]) for g in graded],
        "wall seconds of one question": [r["single_s"] for r in runs],
    }
    for name, values in rows.items():
        variation = np.std(values, ddof=1) / np.mean(values)
        print(f"  {name:45s} mean {np.mean(values):8.4f}  variation {variation:6.1%}")
    spread, waiting = (np.median([r[name] for r in runs]) for name in ("spread", "waiting"))
    rounds = np.median([r["rounds"] for r in runs])
    print(f"  medians: reference's spread {spread:.3f}, waiting {waiting:.0%}, {rounds:.0f} rounds")
    return runs


def pairs(options: argparse.Namespace) -> dict[str, list[float]]:
    """Print how often two submissions are misordered, tied, or rightly distinguished."""
    pools: dict[str, list[float]] = {f"+{share} %": [] for share in SLOWER} | {"base": []}
    for seed in range(options.gradings * options.seeds):
        for name in pools:  # in turn, so that a slow drift of the machine affects all alike
            share = 0 if name == "base" else int(name[1:-2])
            pools[name].append(timed_run(BASE + share, seed)["speedup"])
    chance = np.random.default_rng(0)
    print(f"{len(pools['base'])} runs each, {'busy' if options.busy else 'idle'}; 4,000 draws each")
    print("  slower   runs   wrong order   apart, wrongly   tied   apart, rightly")
    for share, n in itertools.product(SLOWER, (3, 5, 8, 12)):
        counts = {"order": 0, "wrong": 0, "right": 0}
        for _ in range(4000):
            mine = chance.choice(pools["base"], n, replace=False)
            theirs = chance.choice(pools[f"+{share} %"], n, replace=False)
            faster = np.log(mine).mean() > np.log(theirs).mean()
            apart = stats.paired_p(mine, theirs, "log", 0.02) <= stats.ALPHA
            counts["order"] += not faster and share > 0
            counts["wrong"] += apart and (not faster or share == 0)
            counts["right"] += apart and faster and share > 0
        order, wrong, right = (counts[key] / 4000 for key in ("order", "wrong", "right"))
        tied = 1 - wrong - right
        print(f"  {share:4d} % {n:6d} {order:12.1%} {wrong:15.1%} {tied:9.1%} {right:12.1%}")
    for name, pool in pools.items():
        covered = np.mean(
            [_covers(chance.choice(pool, 5, replace=False), pool) for _ in range(2000)]
        )
        print(f"  {name}: 95 % intervals of 5 real runs hold the mean of all in {covered:.1%}")
    return pools


def _covers(samples: Sequence[float], pool: Sequence[float]) -> bool:
    found = stats.estimate(list(samples), "log", 0.0)
    truth = math.exp(np.log(pool).mean())
    assert found.low is not None and found.high is not None
    return found.low <= truth <= found.high


def coverage(options: argparse.Namespace) -> None:
    """Print how often simulated 95 % intervals contain the true value."""
    chance = np.random.default_rng(0)
    kinds: dict[str, Any] = {
        "normal": lambda size: chance.normal(0, 0.02, size),
        "heavy tails (t with 3 degrees)": lambda size: 0.02 * chance.standard_t(3, size),
        "skewed (a tenth 10 % slower)": lambda size: (
            chance.normal(0, 0.02, size) + 0.1 * ((chance.random(size) < 0.1) - 0.1)
        ),
    }
    print("95 % intervals of simulated logarithmic ratios, 20,000 each: share that holds the truth")
    for (name, draw), n in itertools.product(kinds.items(), (3, 5, 10)):
        held = 0
        for samples in np.exp(draw((20_000, n))):
            found = stats.estimate(list(samples), "log")
            held += bool(found.low and found.high and found.low <= 1 <= found.high)
        print(f"  {name:32s} {n:3d} runs: {held / 20_000:.1%}")


FORK = (
    "r, w = os.pipe()\nif not os.fork():\n    {} os.write(w, b'1'); signal.pause()\nos.read(r, 1)"
)
# An array of 1 KiB takes 1152 bytes of malloc: 112 for the object, 16 of its own, and the data.
SMALL = (1024 + 112 + 16 + 8) / 1024
ALLOCATIONS = {
    "numpy ones": "x = np.ones({mib} * 2**17)",
    "bytes": "x = b'1' * ({mib} * 2**20)",
    "bytearray, grown": "x = bytearray()\nfor _ in range({mib}): x += b'1' * 2**20",
    "list of arrays of 1 KiB": "x = [np.ones(128) for _ in range({mib} * 2**10)]",
    "private mmap": "x = mmap.mmap(-1, {mib} * 2**20, mmap.MAP_PRIVATE)\n"
    "for i in range(0, len(x), 4096): x[i] = 1",
    "shared mmap": "x = mmap.mmap(-1, {mib} * 2**20)\nfor i in range(0, len(x), 4096): x[i] = 1",
    "a file in the working folder": "with open('f', 'wb') as f:\n"
    "    for _ in range({mib}): f.write(b'1' * 2**20)",
    "a file in shared memory": "with open('/dev/shm/f', 'wb') as f:\n"
    "    for _ in range({mib}): f.write(b'1' * 2**20)",
    "a child process": FORK.format("x = b'1' * ({mib} * 2**20);"),
    "freed at once": "x = np.ones({mib} * 2**17)\ndel x",
}


def memory(options: argparse.Namespace) -> None:
    """Print the measured peaks of allocations of known size, in MiB."""
    print("way                              true   measured   error")
    limits = Limits(memory_mib=1024, wall_s=60, disk_mib=256)
    for mib, (name, code) in itertools.product((48, 192), ALLOCATIONS.items()):
        nothing = FORK.format("") if name == "a child process" else ""  # a fork costs some, too
        idle, run = (
            LocalSandbox().run(
                RunRequest(notebook(IMPORTS + used.format(mib=mib), "0"), limits, {})
            )
            for used in (nothing, code)
        )
        true = mib * (SMALL if name == "list of arrays of 1 KiB" else 1)
        measured = run.peak_mib - idle.peak_mib
        note = "" if run.verdict == "OK" else f"  {run.verdict}: {run.message}"
        print(f"{name:30s} {true:6.1f} {measured:10.1f} {measured - true:+7.1f} MiB{note}")
    print("held by:", " + ".join(run.layers))


if __name__ == "__main__":
    main()

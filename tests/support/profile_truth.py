"""Code whose memory is known line by line: what its lines hold afterwards and at most meanwhile."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinytorch_compete.kernel.compete_profiling.profiler import Profiler

FILE = "<ipython-input-1-truth>"  # as IPython names the code of a cell
MIB = 2**20


@dataclass(frozen=True)
class Case:
    """A cell, and by line the true net and peak in MiB; ``None`` is not asked for.

    ``resident`` says that a reading of resident memory can know the nets too.
    """

    name: str
    source: str
    truth: dict[int, tuple[float | None, float | None]]
    resident: bool = False


CASES = (
    Case(
        "an array made and deleted",
        "import numpy as np\na = np.ones(64 << 17)\ndel a",
        {2: (64, 64), 3: (-64, 0)},
        resident=True,
    ),
    Case(
        "memory reserved and never touched",
        "import numpy as np\na = np.zeros(64 << 17)",
        {2: (64, 64)},
    ),
    Case(
        "temporaries within a line",
        "import numpy as np\na = np.ones(16 << 17)\nb = np.add(a * 2, a * 3).sum()",
        {2: (16, 16), 3: (0, 48)},
    ),
    Case(
        "a peak that is over when its line ends",
        "import numpy as np\na = np.ones(8 << 17)\nb = (a[:, None] * np.ones(4)).sum(axis=1)",
        {3: (8, 40)},
    ),
    Case(
        "a view, a copy and a change of type",
        "import numpy as np\na = np.ones(32 << 17)\nv = a[::2]\nc = a[np.arange(0, len(a), 2)]\n"
        'd = a.astype("f4")',
        {3: (0, 0), 4: (16, 32), 5: (16, 16)},
    ),
    Case(
        "a name bound anew, and a change in place",
        "import numpy as np\na = np.ones(32 << 17)\na = a * 2\na *= 2",
        {2: (32, 32), 3: (0, 32), 4: (0, 0)},
    ),
    Case(
        "blocks that are handed out again",
        "import numpy as np\na = np.ones(24 << 17)\ndel a\nb = np.ones(24 << 17)\ndel b\n"
        "c = np.ones(24 << 17)",
        {2: (24, 24), 3: (-24, 0), 4: (24, 24), 6: (24, 24)},
    ),
    Case(
        "a list that grows by arrays",
        "import numpy as np\nkept = []\nfor i in range(10):\n    kept.append(np.ones(4 << 17))\n"
        "    kept[-1].sum()\nkept.clear()",
        {4: (40, 4), 5: (0, 0), 6: (-40, 0)},
    ),
    Case(
        "a comprehension",
        "import numpy as np\nkept = [np.ones(8 << 17) for _ in range(10)]",
        {2: (80, 80)},
        resident=True,
    ),
    Case(
        "functions in functions",
        "import numpy as np\ndef outer(n):\n    def inner(k):\n        t = np.ones(k << 17)\n"
        "        return t * 2\n    x = inner(n)\n    y = inner(n)\n    return x\nkept = outer(64)",
        {4: (128, 64), 5: (128, 64), 6: (64, 128), 7: (64, 128), 9: (64, 192)},
        resident=True,
    ),
    Case(
        "methods and their object",
        "import numpy as np\nclass Layer:\n    def __init__(self, n):\n"
        "        self.weight = np.ones(n << 17)\n    def forward(self):\n"
        "        return self.weight * 2\nlayer = Layer(64)\nout = layer.forward()",
        {4: (64, 64), 6: (64, 64), 7: (64, 64), 8: (64, 64)},
        resident=True,
    ),
    Case(
        "a generator",
        "import numpy as np\ndef parts(n):\n    for i in range(n):\n"
        "        part = np.ones(8 << 17)\n        yield part\nkept = list(parts(5))",
        {4: (40, 8), 6: (40, 40)},
    ),
    Case(
        "an exception on the way",
        "import numpy as np\ndef fails():\n    big = np.ones(32 << 17)\n    raise ValueError\n"
        "try:\n    fails()\nexcept ValueError:\n    small = np.ones(4 << 17)",
        {3: (32, 32), 8: (4 - 32, 4)},  # the traceback held it until the handler's end
    ),
    Case(
        "a thread",
        "import threading\nimport numpy as np\nkept = []\ndef work():\n"
        "    kept.append(np.ones(16 << 17))\nthread = threading.Thread(target=work)\n"
        "thread.start()\nthread.join()",
        {5: (16, 16)},
    ),
    Case(
        "a loop too fast to be seen each time",
        "from itertools import repeat\nout = []\ndef fill(n):\n    for x in repeat(0.5, n):\n"
        "        out.append(x + 0.5)\nfill(1_000_000)",
        # Python's own allocator hands out 32 bytes for a float, and a list has room to grow.
        {5: (1_000_000 * 32 / MIB + 8.06, None), 6: (1_000_000 * 32 / MIB + 8.06, None)},
    ),
    Case(
        "arrays in the middle of a fast loop",
        "import numpy as np\nkept = []\ns = 0\nfor i in range(300_000):\n    s += i * i\n"
        "    if i % 30_000 == 0:\n        kept.append(np.ones(2 << 17))\n    s -= i",
        {7: (20, 2)},
    ),
)


def profile(case: Case, memory: str, home: Path) -> dict[int, tuple[float, float]]:
    """The net and peak MiB by line that a backend finds for a case."""
    profiler = Profiler(str(home), memory)
    profiler.start()
    namespace: dict[str, Any] = {}
    try:
        profiler.begin_cell("truth")
        exec(compile(case.source, FILE, "exec"), namespace)  # noqa: S102
        profiler.end_cell()
    finally:
        profiler.stop()
    rows = profiler.report()["lines"]
    return {line: (net, peak) for _, line, _, _, net, peak, _ in rows}


INLINED = sys.version_info >= (3, 12)  # comprehensions, and one event for all that they do
# Cells of fast lines, and how often those run.
HITS = {
    "a comprehension": (
        "def f(n):\n    return [i * i for i in range(n)]\nf(3_000_000)\n",
        {2: 1 if INLINED else 3_000_002},
    ),
    "nested loops": (
        "t = 0\nfor a in range(200):\n    for b in range(100):\n        for c in range(100):\n"
        "            t += a * b * c\n",
        {3: 20_200, 4: 2_020_000, 5: 2_000_000},
    ),
    "recursion": (
        "def fib(n):\n    if n < 2:\n        return n\n    return fib(n - 1) + fib(n - 2)\n"
        "fib(27)\n",
        {2: 635_621, 3: 317_811, 4: 317_810},
    ),
    "calls": (
        "def g(x):\n    y = x + 1\n    return y * 2\nt = 0\nfor i in range(1_000_000):\n"
        "    t += g(i)\n",
        {2: 1_000_000, 3: 1_000_000, 5: 1_000_001, 6: 1_000_000},
    ),
    "methods of a value": (
        "class Value:\n    def __init__(self, data):\n        self.data = data\n"
        "        self.grad = 0\n    def __add__(self, other):\n"
        "        return Value(self.data + other.data)\ntotal = Value(0.0)\n"
        "for i in range(300_000):\n    total = total + Value(1.0)\n",
        {3: 600_001, 4: 600_001, 6: 300_000, 9: 300_000},
    ),
    "threads": (
        "import threading\ndef work(n):\n    t = 0\n    for i in range(n):\n        t += i\n"
        "threads = [threading.Thread(target=work, args=(1_500_000,)) for _ in range(2)]\n"
        "for thread in threads:\n    thread.start()\nfor thread in threads:\n    thread.join()\n",
        {4: 3_000_002, 5: 3_000_000},
    ),
}


def hits(source: str, home: Path) -> dict[int, tuple[int, float, bool]]:
    """By line: hits, seconds, and whether they are estimates."""
    profiler = Profiler(str(home))
    profiler.start()
    try:
        profiler.begin_cell("c")
        exec(compile(source, FILE, "exec"), {})  # noqa: S102
    finally:
        profiler.stop()
    return {row[1]: (row[2], row[3], row[6]) for row in profiler.report()["lines"]}

"""Flags for manual review: each trick is named with its place, and honest work isn't flagged."""

from __future__ import annotations

import base64
import zlib
from pathlib import Path

import msgspec
import numpy as np
import pytest

from tinytorch_compete.authoring import samples
from tinytorch_compete.challenges import packs
from tinytorch_compete.grading import scoring
from tinytorch_compete.model import Run, Verdict
from tinytorch_compete.submissions import flags, notebook
from tinytorch_compete.submissions.snapshot import load

# Samples that deliberately deserve a manual review.
REVIEWED = {"cheat", "pretrained", "crashed", "over_memory_killed"}
CHALLENGES = packs.find()
SAMPLES = [
    pytest.param(work, id=f"{slug}-{name}")
    for slug, challenge in CHALLENGES.items()
    for name, work in samples.samples(challenge).items()
]


def flags_of(source: str, **files: int) -> str:
    return " ".join(flags.read({"cell train": source}, {"mine.ipynb": 1000, **files}))


@pytest.mark.parametrize("work", SAMPLES)
def test_honest_samples_have_no_flags_and_tricky_ones_do(work) -> None:
    cells = notebook.read(work.notebook).cells
    answers = {notebook.grade_id(cell): cell.source for cell in cells if notebook.is_solution(cell)}
    snapshot = load(work)
    raised = flags.read(answers | snapshot.code(), snapshot.sizes)
    assert bool(raised) == (work.student in REVIEWED), raised


def test_the_reference_framework_has_no_flags() -> None:
    folder = Path(flags.__file__).parents[1] / "reference"
    sources = {path.name: path.read_text() for path in folder.rglob("*.py")}
    assert len(sources) > 5
    assert flags.read(sources, {}) == ()


@pytest.mark.parametrize(
    "source",
    [
        "import torch",
        "import torch.nn as nn",
        "from torch.nn import Linear",
        "def f():\n    from torch import nn",
        "t = __import__('torch')",
        "import importlib\nt = importlib.import_module('torch.nn')",
        "exec('import torch')",
        "%matplotlib inline\n!ls\nimport torch",
    ],
)
def test_another_framework_is_named_however_it_is_imported(source: str) -> None:
    assert "Uses another framework, torch: cell train." in flags_of(source)


def test_a_module_of_ones_own_is_no_framework() -> None:
    source = "from autograd import Function\nimport tinytorch.autograd"
    assert "autograd" in flags_of(source)
    assert flags_of(source, **{"autograd.py": 900}) == ""
    assert flags_of(source, **{"autograd/__init__.py": 900}) == ""


def weights(count: int, kind: str) -> str:
    values = np.random.default_rng(0).normal(0, 30, count).astype(kind)
    return base64.b85encode(zlib.compress(values.tobytes(), 9)).decode()


@pytest.mark.parametrize(
    "source",
    [
        f"W = {weights(1210, 'i1')!r}",
        f"W = {weights(33_546, 'f4').encode()!r}",
        f"W = ({' '.join(repr(part) for part in [weights(1210, 'i1')[:600]] * 2)})",
        f"def f():\n    '''{weights(1210, 'i1')}'''",
        f"W = {int.from_bytes(weights(1210, 'i1').encode()[:1500]):#x}",
    ],
    ids=["int8 network", "gold's network in bytes", "in pieces", "docstring", "one number"],
)
def test_weights_in_a_text_are_seen(source: str) -> None:
    assert flags_of(source) == "Holds data in its text: cell train."


def test_weights_as_numbers_are_seen() -> None:
    numbers = np.random.default_rng(0).normal(size=640).round(3).tolist()
    assert flags_of(f"W = np.array({numbers})") == "Holds a long list of numbers: cell train."
    assert flags_of(f"W = np.array({numbers[:100]})") == ""


def test_long_words_and_rules_in_prose_are_no_data() -> None:
    source = f"print('{'=' * 3000}')\n'''{'an honest sentence about gradients. ' * 200}'''"
    assert flags_of(source) == ""


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("import compete_probe", "probe"),
        ("ip.input_transformers_post.append(f)", "rewrites cells"),
        ("get_ipython().run_cell('1')", "kernel"),
        ("import ctypes", "C directly"),
        ("import gc\ngc.get_objects()", "objects"),
        ("open('/proc/self/maps')", "outside"),
        ("open('mine.ipynb')", "outside"),
        ("import os\nos.fork()", "processes"),
        ("import urllib.request", "network"),
        ("np.mean = lambda *_: 1.0", "replaces functions"),
        ("eval('1')", "text as code"),
        ("!pip install torch", "shell"),
        ("%pip install torch", "shell"),
        ("import importlib\nimportlib.import_module(name)", "only its run can tell"),
        ("this is ! no Python", flags.UNREADABLE),
    ],
)
def test_tricks_are_named(source: str, words: str) -> None:
    assert words.lower() in flags_of(source).lower()


@pytest.mark.parametrize(
    "source", ["model.eval()", "re.compile('a')", "np.load('data/train_images.npy', mmap_mode='r')"]
)
def test_what_only_looks_alike_is_not_named(source: str) -> None:
    assert flags_of(source) == ""


def test_files_that_are_no_code_are_named() -> None:
    files = {"w.npz": 10, "notes.md": 900, "big.txt": 10**6, "tinytorch/tensor.py": 10**6}
    raised = flags_of("1", **files)
    assert raised.count(":") == 2
    assert ": w.npz." in raised
    assert ": big.txt." in raised


def test_many_places_make_one_sentence() -> None:
    sources = {f"f{number}.py": "import torch" for number in range(10)}
    assert flags.read(sources, {}) == (
        "Uses another framework, torch: f0.py, f1.py, f2.py and 7 more.",
    )


@pytest.mark.parametrize(
    "source",
    [
        "-" * 200_000 + "1",
        "a" + ".b" * 60_000,
        "(" * 9999,
        "a\0b",
        "'\ud800'",
        "1" * 9999,
        "a=" * 99,
    ],
    ids=["minus", "attributes", "brackets", "nul", "surrogate", "number", "nothing"],
)
def test_what_breaks_a_parser_is_named(source: str) -> None:
    assert flags.UNREADABLE.lower() in flags_of(source).lower()


def test_more_code_than_anybody_writes_is_named() -> None:
    raised = flags.read({"a.py": "1\n" * flags.MAX_SOURCE, "b.py": "import torch"}, {})
    assert len(raised) == 1
    assert "256 KiB" in raised[0]
    assert raised[0].endswith(": a.py, b.py.")


def a_run(**facts: float) -> Run:
    figures = {"wall_s": 10.0, "cpu_s": 9.0, "peak_mib": 1.0, "baseline_mib": 1.0} | facts
    return Run(Verdict.OK, "", (), {}, layers=(), **figures)


def test_a_tier_that_took_no_training_is_flagged() -> None:
    spec = CHALLENGES["efficient-training"].spec
    assert scoring.figure_flags(spec, "expert", a_run(cpu_s=9.0)) == ()
    (flag,) = scoring.figure_flags(spec, "expert", a_run(cpu_s=0.4))
    assert "expert" in flag
    assert "0.4 s" in flag
    assert scoring.figure_flags(spec, "", a_run(cpu_s=0.4)) == ()


def test_more_cores_than_the_challenge_gives_are_flagged() -> None:
    spec = CHALLENGES["efficient-training"].spec
    (flag,) = scoring.figure_flags(spec, "", a_run(cpu_s=19.0))
    assert "1.9 cores" in flag
    wide = msgspec.structs.replace(spec.limits, threads=2)
    assert (
        scoring.figure_flags(msgspec.structs.replace(spec, limits=wide), "", a_run(cpu_s=19)) == ()
    )


@pytest.mark.parametrize(
    ("slug", "metric", "values", "spread"),
    [
        ("fast-convolution", "speedup", (1.0, 1.1, 1.0, 0.9, 1.0), ""),
        ("fast-convolution", "speedup", (1.0, 1.1, 1.0, 0.04, 1.0), "27.5"),
        ("efficient-training", "accuracy", (0.9, 0.8, 0.9), ""),
        ("efficient-training", "accuracy", (0.9, 0.2, 0.9), "70"),
    ],
)
def test_a_run_that_is_far_off_the_others_is_flagged(
    slug: str, metric: str, values: tuple[float, ...], spread: str
) -> None:
    raised = scoring.spread_flags(packs.find()[slug].spec, {metric: values})
    assert [(spread in flag, metric in flag) for flag in raised] == [(True, True)] * bool(spread)

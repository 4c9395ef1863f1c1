"""Grade notebooks that attack the grader, beside honest and wrong controls."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import nbformat
import psutil
import pytest
from attacks import table
from nbformat import v4

from tinytorch_compete import insights
from tinytorch_compete.challenges import packs
from tinytorch_compete.cli import console
from tinytorch_compete.errors import NotebookError
from tinytorch_compete.feedback import notebook as feedback_notebook
from tinytorch_compete.feedback import suggestion_cells
from tinytorch_compete.grading import pipeline
from tinytorch_compete.grading.pipeline import Graded
from tinytorch_compete.grading.plan import Plan
from tinytorch_compete.model import Advice, Autopsy, LineCost, Profile, Verdict
from tinytorch_compete.profiling import run
from tinytorch_compete.profiling.report import lines_of
from tinytorch_compete.results.table import FORMULA, frame, harmless
from tinytorch_compete.sandbox.isolation import bubblewrap, capabilities
from tinytorch_compete.sandbox.local import LocalSandbox
from tinytorch_compete.submissions import notebook
from tinytorch_compete.submissions.snapshot import load
from tinytorch_compete.submissions.submission import Submission

HERE = Path(__file__).parent
ATTACKS = sorted((HERE / "notebooks").glob("*.ipynb"))
HONEST = """\
def predict(images):
    train, labels = np.load("data/train_images.npy"), np.load("data/train_labels.npy")
    means = np.stack([train[labels == c].mean(axis=0) for c in range(10)])
    return ((images[:, None] - means) ** 2).sum(axis=(2, 3)).argmin(axis=1)
"""
TRAINED = """\
def train(images, labels, seed):
    return np.stack([images[labels == c].mean(axis=0) for c in range(10)])

def predict(model, images):
    return ((images[:, None] - model) ** 2).sum(axis=(2, 3)).argmin(axis=1)
"""
WRONG = "def predict(images):\n    return np.zeros(len(images), int)\n"
# Grading an attack must not cost the grader itself more memory than this.
GRADER_MIB = 300


# The layers that an attack may need to be contained: each layer's place in ``capabilities.survey``,
# and its name in the last line of the run.
NEEDS = {
    "walls": (0, "walls"),
    "cgroup": (1, "a cgroup"),
    "seccomp": (3, "a system-call filter"),
    "own user": (4, "a user of their own"),
    "landlock": (5, "Landlock"),
}


@pytest.fixture(scope="module")
def plans() -> dict[str, Plan]:
    challenges = packs.load(HERE / "pack")
    return {
        challenge.slug: Plan.of(challenge, b"a secret that no notebook knows")
        for challenge in challenges
    }


@pytest.fixture(scope="module")
def plan(plans: dict[str, Plan]) -> Plan:
    return plans["target"]


def submit(folder: Path, answer: str) -> Submission:
    cell = v4.new_code_cell(answer, metadata={"nbgrader": {"grade_id": "predict"}})
    path = folder / "target.ipynb"
    path.write_text(nbformat.writes(v4.new_notebook(cells=[cell])))
    return Submission("control", path, folder)


def grade(plan: Plan, work: Submission) -> Graded:
    return pipeline.grade(plan, load(work), LocalSandbox())


def test_the_honest_control_keeps_its_points(plan: Plan, tmp_path: Path) -> None:
    result = grade(plan, submit(tmp_path, HONEST)).result
    assert (result.verdict, result.points, result.tier) == (Verdict.OK, 10, "expert")
    assert result.flags == ()


def test_the_wrong_control_keeps_its_zero(plan: Plan, tmp_path: Path) -> None:
    result = grade(plan, submit(tmp_path, WRONG)).result
    assert (result.verdict, result.points, result.tier) == (Verdict.WRONG, 0, "")
    assert result.flags == ()


@pytest.mark.parametrize("path", ATTACKS, ids=lambda path: path.stem)
def test_an_attack_earns_and_breaks_nothing(
    path: Path,
    plans: dict[str, Plan],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    facts = nbformat.read(path, 4).metadata["attack"]
    layers = capabilities.survey()
    for need, (place, name) in NEEDS.items():
        if need in facts["needs"] and not layers[place].works:
            record_property("attack needs", name)
            pytest.skip(f"not contained without {name}, so not run: {layers[place].remedy}")
    if "walls" in facts.get("without", []):
        monkeypatch.setattr(bubblewrap, "find", lambda: None)
    record_property("attack", "tried")
    (tmp_path / "canary").write_text("alive")
    (tmp_path / "honest").mkdir()
    work = attacker(path, facts, tmp_path)
    before = children()
    with grown_mib() as grown, ThreadPoolExecutor(1) as pool:
        honest = submit(tmp_path / "honest", HONEST)
        neighbour = pool.submit(grade, plans["target"], honest)
        graded = grade(plans[facts.get("target", "target")], work)
    assert neighbour.result().result.points == 10, neighbour.result().result.message
    assert children() <= before
    assert max(grown) < GRADER_MIB
    assert (tmp_path / "canary").read_text() == "alive"
    assert work.notebook.read_bytes() == path.read_bytes()
    assert_earned(graded, facts)
    assert_harmless(graded, facts, plans["target"])


@pytest.mark.parametrize("path", ATTACKS, ids=lambda path: path.stem)
def test_advice_that_quotes_an_attack_only_shows_it(path: Path, plans: dict[str, Plan]) -> None:
    facts = nbformat.read(path, 4).metadata["attack"]
    try:
        master = plans[facts.get("target", "target")].master
        assembled = notebook.assemble(master, notebook.read(path)).notebook
    except NotebookError:
        return  # there is no advice on a notebook that can't be read
    sources = run.texts(assembled, {})
    costs = tuple(
        LineCost(name, number, 1, 1.0, 50.0, 50.0)
        for name, text in sources.items()
        for number, _ in enumerate(lines_of(text), 1)
    )
    profile, autopsy = Profile(("a", "b"), sources, costs), Autopsy("predict", 9, 99.0, True)
    advice = Advice(profile, tuple(insights.find(sources)), autopsy)
    shown = "".join(text for _, text in suggestion_cells.make(advice))
    for sign in ("<script", "<img", "](", "javascript:", "\x1b"):
        assert sign not in shown
    shown.encode()


def attacker(path: Path, facts: dict[str, Any], folder: Path) -> Submission:
    """The submission of an attack: its notebook, and the files that its metadata put beside it."""
    place = folder / "attack"
    place.mkdir()
    for name, text in facts.get("beside", {}).items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)
    if "ballast_mib" in facts:
        (place / "ballast").write_bytes(bytes(facts["ballast_mib"] * 2**20))
    for number in range(facts.get("folders", 0)):
        (place / f"folder{number}").mkdir()
    if facts.get("special") == "pipe":
        os.mkfifo(place / "weights")
    elif facts.get("special") == "link":
        (place / "weights").symlink_to("/etc/passwd")
    copy = place / "target.ipynb"
    copy.write_bytes(path.read_bytes())
    return Submission(facts.get("student", "mallory"), copy, place)


def assert_earned(graded: Graded, facts: dict[str, Any]) -> None:
    """It has no points but those it may have, hid no cost, and raised the flags promised."""
    result = graded.result
    assert result.verdict in facts["verdicts"], result.message
    assert result.points is not None
    assert result.points <= facts["points"]
    assert facts["points"] or not result.tier
    for name, least in facts.get("least", {}).items():
        assert graded.run is not None
        answer = graded.run.answers.get(name)
        assert (answer.wall_s if answer else getattr(result, name)) >= least, name
    for words in facts.get("flags", ()):
        assert words in " ".join(result.flags)


def assert_harmless(graded: Graded, facts: dict[str, Any], plan: Plan) -> None:
    """Nothing of it runs, leaks or fails to be written in feedback, table, file or terminal."""
    result = graded.result
    executed = graded.run.notebook if graded.run else None
    shown = nbformat.writes(feedback_notebook.make(plan.challenge.spec, result, executed))
    assert "BEGIN HIDDEN" not in shown
    assert "<script" not in shown
    assert not any(flag in shown for flag in result.flags)
    assert shown.count("\N{SECTION SIGN}") <= facts.get("most_shown", 0)
    shown.encode()
    msgspec.json.encode(result)
    texts = harmless(frame([result])).iloc[0]
    assert not [text for text in texts if isinstance(text, str) and text[:1] in FORMULA]
    with console.console.capture() as printed:
        console.print_results(plan.challenge.spec, [result])
        console.print_flags([result])
    assert not [char for char in printed.get() if not char.isprintable() and char != "\n"]


@contextlib.contextmanager
def grown_mib() -> Iterator[list[float]]:
    """The growth of this process in MiB, sampled while it grades."""
    process, done = psutil.Process(), threading.Event()
    start = process.memory_info().rss
    samples = [0.0]

    def look() -> None:
        while not done.wait(0.02):
            samples.append((process.memory_info().rss - start) / 2**20)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield samples
    finally:
        done.set()
        looking.join()


def children() -> set[int]:
    """The processes that this one has started and that are alive."""
    processes = psutil.Process(os.getpid()).children(recursive=True)
    return {child.pid for child in processes if child.status() != psutil.STATUS_ZOMBIE}


def test_after_all_attacks_the_honest_control_still_keeps_its_points(
    plan: Plan, tmp_path: Path
) -> None:
    result = grade(plan, submit(tmp_path, HONEST)).result
    assert (result.verdict, result.points) == (Verdict.OK, 10)


def test_a_training_from_the_given_labels_keeps_its_points(
    plans: dict[str, Plan], tmp_path: Path
) -> None:
    result = grade(plans["training"], submit(tmp_path, TRAINED)).result
    assert (result.verdict, result.points, result.flags) == (Verdict.OK, 10, ())


def test_the_table_of_attacks_is_up_to_date() -> None:
    assert (HERE / "README.md").read_text() == table.readme()

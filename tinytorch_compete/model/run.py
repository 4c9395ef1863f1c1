"""One execution of a notebook: its verdict, the probes' inputs and answers, and its costs."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from typing import Any

import msgspec


class Verdict(enum.StrEnum):
    """How a run ended; all but ``FAULT`` are the student's, ``FAULT`` is ours and never scored."""

    OK = "OK"
    WRONG = "WRONG"
    ERROR = "ERROR"
    OVER_MEMORY = "OVER_MEMORY"
    OVER_TIME = "OVER_TIME"
    FAULT = "FAULT"


class Inputs(msgspec.Struct, frozen=True):
    """The inputs of a probe: arrays as read-only memory-mapped files, and small JSON values."""

    arrays: Mapping[str, Any] = {}
    values: Mapping[str, Any] = {}


class Timed(msgspec.Struct, frozen=True):
    """The inputs of a timed probe: ``make(i)`` gives those of question ``i``, each time new ones.

    Question ``i`` is the same for the student and the reference, and takes the reference about
    20 ms or more. The grader asks as many questions as its own measurements require.
    """

    make: Callable[[int], Inputs]


class Cost(msgspec.Struct, frozen=True):
    """The cost of one question, from the release of its inputs to the last byte of the answer.

    ``cpu_s`` is the CPU time of the whole process tree since its previous answer; ``instructions``
    are those that it retired in user mode, ``None`` where they can't be counted. ``whole`` says
    that no process can have ended with CPU seconds that nobody saw.
    """

    wall_s: float
    cpu_s: float
    instructions: int | None = None
    whole: bool = True


class Round(msgspec.Struct, frozen=True):
    """One question to both sides: the student's arrays, their cost, and the reference's cost."""

    question: int
    arrays: Mapping[str, Any]
    own: Cost
    reference: Cost


class Answer(msgspec.Struct, frozen=True):
    """The answer of one probe: raw arrays, and how long they took by the grader's clock.

    ``wall_s`` runs from the release of the inputs to the last byte of the answer. ``problem`` says
    why there is no answer, and is empty if it arrived complete. A timed probe's answers are in
    ``rounds``, and ``flags`` ask for manual review of them.
    """

    arrays: Mapping[str, Any] = {}
    wall_s: float = 0.0
    problem: str = ""
    rounds: tuple[Round, ...] = ()
    flags: tuple[str, ...] = ()


class Evidence(msgspec.Struct, frozen=True):
    """Everything that left the sandbox for a judge to use."""

    answers: Mapping[str, Answer]
    peak_mib: float


class CellRun(msgspec.Struct, frozen=True):
    """How one cell of the assembled notebook ended; ``status`` is ``None`` if it never ran."""

    grade_id: str
    status: Verdict | None
    wall_s: float = 0.0
    message: str = ""


class Run(msgspec.Struct, frozen=True):
    """The facts of one execution, as measured from outside the sandbox.

    ``peak_mib`` is the tree's highest use above ``baseline_mib``, the idle kernel's.
    ``notebook`` is the executed copy (a notebook as nested dictionaries). ``layers`` names the
    mechanisms that enforced the limits. ``noise`` says how quiet the machine was, see
    ``sandbox.timing.noise``. ``flags`` ask for manual review, for staff alone. ``timeline`` is
    seconds since the first cell and the tree's MiB above the baseline, at up to 50 samples a
    second.
    """

    verdict: Verdict
    message: str
    cells: tuple[CellRun, ...]
    answers: Mapping[str, Answer]
    wall_s: float
    cpu_s: float
    peak_mib: float
    baseline_mib: float
    layers: tuple[str, ...]
    notebook: Any = None
    noise: Mapping[str, float] = {}
    flags: tuple[str, ...] = ()
    timeline: tuple[tuple[float, float], ...] = ()

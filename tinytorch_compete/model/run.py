"""One execution of a notebook: its verdict, what probes were asked and answered, what it cost."""

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
    """What a probe is handed: arrays as read-only memory-mapped files, and small JSON values."""

    arrays: Mapping[str, Any] = {}
    values: Mapping[str, Any] = {}


class Timed(msgspec.Struct, frozen=True):
    """What a timed probe is handed: ``make(i)`` gives the inputs of question ``i``, each new.

    Question ``i`` is the same for the student and for the reference, and takes the reference some
    20 ms or more. The grader asks as many questions as its own measurements call for.
    """

    make: Callable[[int], Inputs]


class Cost(msgspec.Struct, frozen=True):
    """What one question cost, from the release of its inputs to the last byte of the answer.

    ``cpu_s`` is that of the whole process tree since its previous answer; ``instructions`` are
    those that it retired in user mode, ``None`` where they can't be counted. ``whole`` says that no
    process can have ended with CPU seconds that nobody saw.
    """

    wall_s: float
    cpu_s: float
    instructions: int | None = None
    whole: bool = True


class Round(msgspec.Struct, frozen=True):
    """One question to both: the student's arrays, what they cost, and what the reference's did."""

    question: int
    arrays: Mapping[str, Any]
    own: Cost
    reference: Cost


class Answer(msgspec.Struct, frozen=True):
    """What one probe sent back: raw arrays, and how long they took by the grader's clock.

    ``wall_s`` runs from the release of the inputs to the last byte of the answer. ``problem`` says
    why there is no answer, and is empty if it came whole. A timed probe's answers are in
    ``rounds``, and ``flags`` say of them what a person should look at.
    """

    arrays: Mapping[str, Any] = {}
    wall_s: float = 0.0
    problem: str = ""
    rounds: tuple[Round, ...] = ()
    flags: tuple[str, ...] = ()


class Evidence(msgspec.Struct, frozen=True):
    """All that left the box and that a judge may look at."""

    answers: Mapping[str, Answer]
    peak_mib: float


class CellRun(msgspec.Struct, frozen=True):
    """How one cell of the assembled notebook ended; ``status`` is ``None`` if it never ran."""

    grade_id: str
    status: Verdict | None
    wall_s: float = 0.0
    message: str = ""


class Run(msgspec.Struct, frozen=True):
    """The facts of one execution, as seen from outside the box.

    ``peak_mib`` is the tree's highest use above ``baseline_mib``, the idle kernel's.
    ``notebook`` is the executed copy (a notebook as nested dictionaries). ``layers`` names what
    held the limits. ``noise`` is how quiet the machine was, see ``sandbox.noise``.
    ``flags`` say what a person should look at, for staff alone.
    ``timeline`` is seconds since the first cell and the tree's MiB above the
    baseline, at up to 50 looks a second.
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

"""Take a profile: the same notebook in the same sandbox, in a run of its own."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence

import msgspec
from nbformat import NotebookNode, v4

from tinytorch_compete.errors import EvidenceError
from tinytorch_compete.model import CellCost, Inputs, Profile, Run, Timed
from tinytorch_compete.profiling.operations import watched
from tinytorch_compete.profiling.report import parse
from tinytorch_compete.sandbox.contract import RunRequest, Sandbox
from tinytorch_compete.submissions.notebook import grade_id, is_grading

PROBE = "compete_profile"  # the name of the cell that sends the profile
START = "__import__('compete_profiling').start({names!r}, {watch!r}, {cap_mib}, {room_mib})"
FINISH = f"""\
with __import__("compete_probe").Probe({PROBE!r}) as probe:
    probe.send(profile=__import__("compete_profiling").finish())
"""
# What the profiler itself may use on top of the student's limits: its record, and its slowness.
ALLOWANCE_MIB = 128
SLOWER = 4
MAX_SOURCE = 2**20  # characters
# In a SyntaxError the name of the cell's file, which says nothing to a student.
KERNELS_FILE = re.compile(r"\(\d+\.py, (line \d+)\)$")
# These run the lines below them as another piece of code, whose lines would have no figures, or
# those of their neighbours. In a profile the lines run once, as they stand.
WRAPPING = re.compile(r"\A([ \t]*)(%%(?:capture|prun|time|timeit)\b.*)")


def take(sandbox: Sandbox, request: RunRequest, code: Mapping[str, str] | None = None) -> Profile:
    """The profile of an assembled notebook; see ``run``."""
    return run(sandbox, request, code or {})[0]


def run(
    sandbox: Sandbox, request: RunRequest, code: Mapping[str, str], cap_mib: int = 0
) -> tuple[Profile, Run]:
    """The profile of an assembled notebook and the run that it comes from.

    ``code`` has the text of each Python file beside the notebook. A timed probe asks one question,
    and ``reference`` isn't run, but keeps this run off the cores of others that are being timed.
    Grading cells run too, but only what they call of the student's is in the profile. Memory may go
    ``ALLOWANCE_MIB`` over the limit, and time ``SLOWER`` times as far. With ``cap_mib``, a lower
    cap, the profile's moment is when that was passed, and what goes over the limit, too, gets a
    ``MemoryError`` so that there is a profile. Raises ``EvidenceError`` if the run ended before the
    profile was sent, and ``Fault`` as the sandbox does.
    """
    notebook, limits = request.notebook, request.limits
    room = msgspec.structs.replace(
        limits, memory_mib=limits.memory_mib + ALLOWANCE_MIB, wall_s=limits.wall_s * SLOWER
    )
    profiled = with_profiler(notebook, code, cap_mib, limits.memory_mib if cap_mib else 0)
    asked = {**once(request.inputs), PROBE: Inputs()}
    facts = sandbox.run(
        msgspec.structs.replace(request, notebook=profiled, limits=room, inputs=asked)
    )
    answer = facts.answers[PROBE]
    if answer.problem or "profile" not in answer.arrays:
        why = facts.message or answer.problem or "the answer holds no profile"
        raise EvidenceError(f"the run ended before its profile was sent: {why}")
    cells = [f"cell:{_name(cell)}" for cell in notebook.cells if cell.cell_type == "code"]
    found = parse(answer.arrays["profile"].tobytes(), texts(notebook, code), cells)
    changes = {"cells": _with_failures(found.cells, facts), "timeline": _timeline(facts)}
    return msgspec.structs.replace(found, **changes), facts


def once(inputs: Mapping[str, Inputs | Timed]) -> dict[str, Inputs]:
    """What probes are handed where nothing is timed: of a timed probe's questions the first."""
    return {k: asked.make(0) if isinstance(asked, Timed) else asked for k, asked in inputs.items()}


def with_profiler(
    notebook: NotebookNode, code: Mapping[str, str], cap_mib: int = 0, room_mib: int = 0
) -> NotebookNode:
    """A copy whose first cell starts the profiler and whose last one sends what it found."""
    run = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    names = [(_name(cell), is_grading(cell)) for cell in run]
    last = v4.new_code_cell(FINISH, metadata={"nbgrader": {"grade_id": PROBE}})
    profiled = copy.deepcopy(notebook)
    for cell in profiled.cells:
        if cell.cell_type == "code":
            cell.source = WRAPPING.sub(r"\1pass  # \2", cell.source)
    watch = watched(texts(notebook, code))
    first = START.format(names=names, watch=watch, cap_mib=cap_mib, room_mib=room_mib)
    profiled.cells = [v4.new_code_cell(first), *profiled.cells, last]
    return profiled


def texts(notebook: NotebookNode, code: Mapping[str, str]) -> dict[str, str]:
    """The student's sources by the names that a profile gives them: cells in order, then files.

    ``code`` has the text of each Python file beside the notebook, by its path.
    """
    cells = {
        f"cell:{_name(cell)}": cell.source
        for cell in notebook.cells
        if cell.cell_type == "code" and not is_grading(cell)
    }
    files = {name: code[name] for name in sorted(code) if len(code[name]) <= MAX_SOURCE}
    return cells | files


def _with_failures(cells: Sequence[CellCost], facts: Run) -> tuple[CellCost, ...]:
    """The cells, each with the error that ended it in the run."""
    said = {f"cell:{run.grade_id}": KERNELS_FILE.sub(r"(\1)", run.message) for run in facts.cells}
    return tuple(msgspec.structs.replace(cell, failure=said.get(cell.source, "")) for cell in cells)


def _name(cell: NotebookNode) -> str:
    return grade_id(cell) or str(cell.id)


def _timeline(facts: Run) -> tuple[tuple[float, float], ...]:
    """The run's timeline from the end of the first cell, without what the profiler took there."""
    start = facts.cells[0].wall_s
    base = max([mib for at, mib in facts.timeline if at <= start], default=0.0)
    return tuple((at - start, max(0.0, mib - base)) for at, mib in facts.timeline if at > start)

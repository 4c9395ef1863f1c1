"""Profile a notebook: the same notebook in the same sandbox as for grading, in a separate run."""

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
# Allowances on top of the student's limits, for the profiler's record and its slowdown.
ALLOWANCE_MIB = 128
SLOWER = 4
MAX_SOURCE = 2**20  # characters
# The name of a cell's file in a SyntaxError, which tells a student nothing.
KERNELS_FILE = re.compile(r"\(\d+\.py, (line \d+)\)$")
# These magics run the lines below them as separate code, whose lines would have no figures, or
# their neighbours'. In a profile the lines run once, unwrapped.
WRAPPING = re.compile(r"\A([ \t]*)(%%(?:capture|prun|time|timeit)\b.*)")


def take(sandbox: Sandbox, request: RunRequest, code: Mapping[str, str] | None = None) -> Profile:
    """Return the profile of an assembled notebook; see ``run``."""
    return run(sandbox, request, code or {})[0]


def run(
    sandbox: Sandbox, request: RunRequest, code: Mapping[str, str], cap_mib: int = 0
) -> tuple[Profile, Run]:
    """Return the profile of an assembled notebook and the run that it comes from.

    ``code`` has the text of each Python file beside the notebook. A timed probe asks one question,
    and ``reference`` isn't run, but keeps this run off the cores of other timed runs. Grading cells
    run too, but the profile has only the student's code that they call. Memory may exceed its limit
    by ``ALLOWANCE_MIB``, and time by a factor of ``SLOWER``. With ``cap_mib``, a cap below the
    limit, the profile's moment is when memory passed that cap; allocations beyond the limit itself
    then raise a ``MemoryError``, so that there is a profile. Raises ``EvidenceError`` if the run
    ended before the profile was sent, and ``Fault`` as the sandbox does.
    """
    notebook, limits = request.notebook, request.limits
    room = msgspec.structs.replace(
        limits, memory_mib=limits.memory_mib + ALLOWANCE_MIB, wall_s=limits.wall_s * SLOWER
    )
    profiled = with_profiler(notebook, code, cap_mib, limits.memory_mib if cap_mib else 0)
    questions = {**once(request.inputs), PROBE: Inputs()}
    facts = sandbox.run(
        msgspec.structs.replace(request, notebook=profiled, limits=room, inputs=questions)
    )
    answer = facts.answers[PROBE]
    if answer.problem or "profile" not in answer.arrays:
        why = facts.message or answer.problem or "the answer holds no profile"
        raise EvidenceError(f"the run ended before its profile was sent: {why}")
    cells = [f"cell:{_name(cell)}" for cell in notebook.cells if cell.cell_type == "code"]
    profile = parse(answer.arrays["profile"].tobytes(), texts(notebook, code), cells)
    changes = {"cells": _with_failures(profile.cells, facts), "timeline": _timeline(facts)}
    return msgspec.structs.replace(profile, **changes), facts


def once(inputs: Mapping[str, Inputs | Timed]) -> dict[str, Inputs]:
    """Return the inputs of a run without timing: the first question of each timed probe."""
    return {k: v.make(0) if isinstance(v, Timed) else v for k, v in inputs.items()}


def with_profiler(
    notebook: NotebookNode, code: Mapping[str, str], cap_mib: int = 0, room_mib: int = 0
) -> NotebookNode:
    """Return a copy whose first cell starts the profiler and whose last one sends the profile."""
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
    """Return the student's sources by their names in a profile: cells in order, then files.

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
    """Add to each cell the error that ended it in the run."""
    errors = {f"cell:{run.grade_id}": KERNELS_FILE.sub(r"(\1)", run.message) for run in facts.cells}
    return tuple(
        msgspec.structs.replace(cell, failure=errors.get(cell.source, "")) for cell in cells
    )


def _name(cell: NotebookNode) -> str:
    return grade_id(cell) or str(cell.id)


def _timeline(facts: Run) -> tuple[tuple[float, float], ...]:
    """Return the run's timeline after the first cell, less the profiler's memory in that cell."""
    start = facts.cells[0].wall_s
    base = max([mib for at, mib in facts.timeline if at <= start], default=0.0)
    return tuple((at - start, max(0.0, mib - base)) for at, mib in facts.timeline if at > start)

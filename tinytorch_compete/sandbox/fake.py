"""A sandbox for tests: it runs cells in this very process, fast and without any protection."""

from __future__ import annotations

import contextlib
import copy
import io
import math
import os
import sys
import tempfile
import time
import traceback
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from nbformat import NotebookNode, v4

from tinytorch_compete.errors import EvidenceError, Fault
from tinytorch_compete.model import (
    Answer,
    CellRun,
    Cost,
    Round,
    Run,
    Timed,
    Verdict,
)
from tinytorch_compete.sandbox.contract import RunRequest
from tinytorch_compete.sandbox.session.evidence import parse_npy
from tinytorch_compete.sandbox.session.peer import UNANSWERED
from tinytorch_compete.sandbox.session.session import UNREACHED
from tinytorch_compete.sandbox.timing.race import FEWEST
from tinytorch_compete.util.files import copy_sent


class FakeSandbox:
    """Executes trusted notebooks in this process; it enforces the time limits and no others.

    The first ``faults`` runs fail, as on a broken machine, so that retries can be tested.
    """

    def __init__(self, faults: int = 0) -> None:
        self.faults = faults
        self.runs = 0
        self._stopped = False

    def stop(self) -> None:
        """See ``Sandbox.stop``."""
        self._stopped = True

    def run(self, request: RunRequest) -> Run:
        """See ``Sandbox.run``; the reference answers after the notebook, not in turn with it."""
        self.runs += 1
        if self._stopped or self.runs <= self.faults:
            raise Fault("the fake broke as it was told to")
        execution = _Execution(request)
        with _working_folder(request.files, request.data):
            execution.run()
            if request.reference and execution.timings:
                theirs = _Execution(
                    msgspec.structs.replace(request, notebook=request.reference, cell_s=None)
                )
                theirs.run()
                execution.compare(theirs)
        return execution.facts()


class _OverTimeError(BaseException):
    """Raised in the middle of a cell when the deadline has passed."""


class _Execution:
    def __init__(self, request: RunRequest) -> None:
        self._notebook = copy.deepcopy(request.notebook)
        self._limits, self._inputs = request.limits, request.inputs
        self._cell_s = request.cell_s or math.inf
        self._cell_end = math.inf
        self._cells: list[CellRun] = []
        self._answers: dict[str, Answer] = {}
        self.timings: dict[str, list[tuple[Mapping[str, Any], Cost]]] = {}
        self._open = ""
        self._stop: str = ""
        self._start = time.perf_counter()
        self._cpu_start = time.process_time()

    def run(self) -> None:
        namespace: dict[str, Any] = {"__name__": "__main__"}
        module = types.ModuleType("compete_probe")
        module.__dict__["Probe"] = self._probe
        sys.modules["compete_probe"] = module
        try:
            for cell in self._notebook.cells:
                if cell.cell_type == "code" and cell.source.strip():
                    self._cells.append(self._run_cell(cell, namespace))
        finally:
            del sys.modules["compete_probe"]

    def facts(self) -> Run:
        first = next((cell for cell in self._cells if cell.status != Verdict.OK), None)
        return Run(
            verdict=(first.status if first else Verdict.OK) or Verdict.ERROR,
            message=first.message if first else "",
            cells=tuple(self._cells),
            answers={name: Answer(problem=UNREACHED) for name in self._inputs} | self._answers,
            wall_s=time.perf_counter() - self._start,
            cpu_s=time.process_time() - self._cpu_start,
            peak_mib=0.0,
            baseline_mib=0.0,
            layers=("none: this is the fake",),
            notebook=self._notebook,
        )

    def _run_cell(self, cell: NotebookNode, namespace: dict[str, Any]) -> CellRun:
        name = cell.metadata.get("nbgrader", {}).get("grade_id", "")
        if self._stop:
            return CellRun(name, None, message=f"not run: {self._stop}")
        self._open = name if name in self._inputs else ""
        start = time.perf_counter()
        self._cell_end = start + self._cell_s
        status, message = self._execute(cell, namespace)
        if self._open:
            self._answers.setdefault(name, Answer(problem=UNANSWERED))
        wall_s = time.perf_counter() - start
        if wall_s > self._cell_s and not self._stop:
            status, message = Verdict.OVER_TIME, f"took over {self._cell_s:g} s"
        return CellRun(name, status, wall_s, message)

    def _execute(self, cell: NotebookNode, namespace: dict[str, Any]) -> tuple[Verdict, str]:
        printed = io.StringIO()
        sys.settrace(self._watch)
        try:
            with contextlib.redirect_stdout(printed):
                exec(compile(cell.source, "<cell>", "exec"), namespace)  # noqa: S102
            return Verdict.OK, ""
        except _OverTimeError:
            self._stop = f"stopped at the limit of {self._limits.wall_s:g} s"
            return Verdict.OVER_TIME, self._stop
        except BaseException as error:
            lines = traceback.format_exception_only(error)
            name = type(error).__name__
            cell.outputs.append(
                v4.new_output("error", ename=name, evalue=str(error), traceback=lines)
            )
            over = isinstance(error, MemoryError)
            message = f"{name}: {error}" if str(error) else name
            return Verdict.OVER_MEMORY if over else Verdict.ERROR, message
        finally:
            sys.settrace(None)
            if printed.getvalue():
                cell.outputs.insert(0, v4.new_output("stream", text=printed.getvalue()))

    def _watch(self, *_: object) -> Any:
        now = time.perf_counter()
        if now - self._start > self._limits.wall_s:
            raise _OverTimeError
        if now > self._cell_end:
            raise KeyboardInterrupt  # after it the cell is no longer watched
        return self._watch

    @contextlib.contextmanager
    def _probe(self, name: str) -> Iterator[types.SimpleNamespace]:
        if name != self._open or name in self._answers:
            raise ConnectionError(f"the grader isn't asking for {name!r} now")
        inputs = self._inputs[name]
        if isinstance(inputs, Timed):
            probe = types.SimpleNamespace()
            probe.questions = lambda: self._questions(name, inputs, probe)
            yield probe
            return
        start = time.perf_counter()

        def send(**arrays: Any) -> None:
            self._answers[name] = _answer(arrays, time.perf_counter() - start)

        yield types.SimpleNamespace(arrays=inputs.arrays, values=dict(inputs.values), send=send)

    def _questions(
        self, name: str, timed: Timed, probe: types.SimpleNamespace
    ) -> Iterator[types.SimpleNamespace]:
        """Ask as few questions as a timed probe may, and keep each answer and its cost."""
        timings = self.timings.setdefault(name, [])
        for number in range(2 * FEWEST):
            inputs, sent = timed.make(number), dict[str, Any]()
            probe.arrays, probe.values, probe.send = inputs.arrays, inputs.values, sent.update
            wall_s, cpu_s = time.perf_counter(), time.process_time()
            yield probe
            cost = Cost(time.perf_counter() - wall_s, time.process_time() - cpu_s)
            timings.append((_answer(sent, 0.0).arrays, cost))
        self._answers[name] = Answer()

    def compare(self, theirs: _Execution) -> None:
        """Put the costs of both into the answers of timed probes that were answered to the end."""
        for name, own in self.timings.items():
            if self._answers[name] == Answer():
                pairs = zip(own, theirs.timings[name], strict=True)
                rounds = (Round(n, a, c, other[1]) for n, ((a, c), other) in enumerate(pairs))
                self._answers[name] = Answer(rounds=tuple(rounds))


def _answer(arrays: Mapping[str, Any], wall_s: float) -> Answer:
    """The arrays as the evidence reader reads them, by the same route as from a kernel."""
    try:
        return Answer(
            {name: parse_npy(name, _npy(value)) for name, value in arrays.items()}, wall_s
        )
    except EvidenceError as error:
        return Answer(problem=str(error))


def _npy(value: Any) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.asarray(value), allow_pickle=False)
    return buffer.getvalue()


@contextlib.contextmanager
def _working_folder(files: Path | None, data: Path | None) -> Iterator[None]:
    with tempfile.TemporaryDirectory() as folder:
        if files:
            copy_sent(files, Path(folder))
        if data:
            Path(folder, "data").symlink_to(data.resolve())
        before = os.getcwd()
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)

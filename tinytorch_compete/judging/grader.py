"""Load, check and call a challenge's ``grader.py``."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from tinytorch_compete.errors import PackError
from tinytorch_compete.judging.exam import Exam
from tinytorch_compete.model import Evidence, Inputs, Judgement, Timed


class Grader:
    """The two functions of a ``grader.py``: one makes probes' inputs, the other judges the answers.

    ``inputs(exam)`` maps a grading cell's id to its ``Inputs``; ``judge(evidence, exam)`` is a pure
    function of its arguments.
    """

    def __init__(self, path: Path) -> None:
        module = _module(path)
        try:
            self._inputs, self._judge = module.inputs, module.judge
        except AttributeError as error:
            raise PackError(
                f"{path}: {error.name} is missing; a grader must define inputs(exam) and "
                "judge(evidence, exam)."
            ) from None

    def inputs(self, exam: Exam) -> Mapping[str, Inputs | Timed]:
        """Make the inputs of each probe, by the grading cell's id."""
        by_cell: Mapping[str, Inputs | Timed] = self._inputs(exam)
        return by_cell

    def judge(self, evidence: Evidence, exam: Exam) -> Judgement:
        """Judge the answers."""
        judgement: Judgement = self._judge(evidence, exam)
        return judgement


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"_grader_{path.parent.name}", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (SyntaxError, ImportError, NameError) as error:
        raise PackError(f"{path}: can't be loaded: {error}") from None
    return module

"""Profile a whole notebook in the sandbox, for its author, in a terminal or in Jupyter."""

from __future__ import annotations

import copy
import re
import shutil
import tempfile
from pathlib import Path

import msgspec
from nbformat import NotebookNode

from tinytorch_compete.challenges.packs import Challenge
from tinytorch_compete.datasets.splits import Progress
from tinytorch_compete.errors import StoreError
from tinytorch_compete.grading.plan import Plan
from tinytorch_compete.model import Limits, Profile, Reason, Verdict
from tinytorch_compete.profiling import bottlenecks, view
from tinytorch_compete.profiling import run as profiling_run
from tinytorch_compete.sandbox import interruptible
from tinytorch_compete.sandbox.contract import RunRequest, Sandbox
from tinytorch_compete.submissions import notebook
from tinytorch_compete.util.files import is_sent

# For a notebook outside any challenge: more than any of ours allows, and less than a laptop has.
PLAIN = Limits(memory_mib=2048, wall_s=600, processes=64, disk_mib=256)
# Profiled runs are never graded, so any secret will do; a fixed one makes them repeatable.
SECRET = b"the secret of profiles only"
FRAMEWORK = "tinytorch"
# Our own magics would start a sandbox in the sandbox, and an open notebook may contain one.
_MAGIC = re.compile(r"^([ \t]*)(%{1,2}(?:compete\w*|load_ext[ \t]+tinytorch_compete)\b.*)$", re.M)


class NotebookProfile(msgspec.Struct, frozen=True):
    """A profile, and the reasons for its hottest lines; ``None`` if this machine wasn't measured.

    ``failure`` says which cell failed first and why; it is empty if none did.
    """

    profile: Profile
    reasons: tuple[Reason, ...] | None
    failure: str


def plan(
    challenge: Challenge, dataset: str | None, data: Path | None, progress: Progress | None = None
) -> Plan:
    """Return the plan of a run that only profiles a notebook, with inputs that no grading uses.

    Raises ``CompeteError``.
    """
    return Plan.of(challenge, SECRET, dataset=dataset, source=data, seeds=1, progress=progress)


def take(path: Path, plan: Plan | None, sandbox: Sandbox) -> NotebookProfile:
    """Run and profile a notebook: assembled as for grading or, without a plan, with all its cells.

    The run can be interrupted. Raises ``CompeteError``.
    """
    source = notebook.read(path)
    with tempfile.TemporaryDirectory() as folder:
        code = code_beside(path, Path(folder))
        if plan is None:
            beside = path.parent / "data"
            where = beside if beside.is_dir() else None
            request = RunRequest(_own(source), PLAIN, files=code, data=where)
        else:
            made = notebook.assemble(plan.master, source).notebook
            request = plan.request(0, made, code)
        sources = sources_in(code)
        profile, run = interruptible.apart(
            lambda: profiling_run.run(sandbox, request, sources), sandbox
        )
    failure = "" if run.verdict == Verdict.OK else _failure(profile, run.message)
    return NotebookProfile(profile, bottlenecks.here(profile), failure)


def _failure(profile: Profile, message: str) -> str:
    failed = [cell for cell in profile.cells if cell.failure]
    if not failed:
        return f"The run failed: {message}"
    return f"{view.title(failed[0].source)} failed: {failed[0].failure}"


def as_json(result: NotebookProfile) -> str:
    """Encode the figures of a profile, with ``reasons`` beside them, as JSON."""
    figures = {**msgspec.to_builtins(result.profile), "reasons": result.reasons}
    return msgspec.json.format(msgspec.json.encode(figures)).decode() + "\n"


def sources_in(folder: Path) -> dict[str, str]:
    """The text of each Python file below a folder, by its path there."""
    paths = (path for path in folder.rglob("*.py") if is_sent(path, folder))
    return {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8", errors="replace")
        for path in paths
        if path.is_file() and not path.is_symlink()
    }


def code_beside(path: Path, folder: Path) -> Path:
    """Copy the student's modules and framework, and nothing else from beside the notebook.

    Dangling links, such as an editor's locks, are left out. Raises ``StoreError``.
    """
    framework = path.parent / FRAMEWORK
    skipped = shutil.ignore_patterns("__pycache__")
    try:
        for file in path.parent.glob("*.py"):
            if file.is_file():
                shutil.copy(file, folder)
        if framework.is_dir():
            shutil.copytree(
                framework, folder / FRAMEWORK, ignore=skipped, ignore_dangling_symlinks=True
            )
    except shutil.Error as error:  # a single error for all files of the tree that failed
        file, _, why = error.args[0][0]
        raise StoreError(f"{file}: can't be copied ({why}).") from None
    except OSError as error:
        raise StoreError(f"{error.filename}: can't be copied ({error.strerror}).") from None
    return folder


def _own(source: NotebookNode) -> NotebookNode:
    """Return a copy in which every code cell is the student's, named by its number."""
    own = copy.deepcopy(source)
    code = [cell for cell in own.cells if cell.cell_type == "code"]
    for number, cell in enumerate(code, 1):
        cell.outputs = []
        cell.source = _MAGIC.sub(r"\1pass  # \2", cell.source)
        cell.metadata["nbgrader"] = {"grade_id": str(number), "solution": True, "grade": False}
    return own

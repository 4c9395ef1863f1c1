"""The block of settings that this package writes into a course's ``nbgrader_config.py``."""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from tinytorch_compete.errors import StoreError
from tinytorch_compete.util import files

NAME = "nbgrader_config.py"
BEGIN = "# >>> tinytorch-compete, written by: tito compete course init >>>"
END = "# <<< tinytorch-compete {digest} <<<"
_BLOCK = re.compile(
    rf"^{re.escape(BEGIN)}\n(?P<body>.*?)^# <<< tinytorch-compete (?P<digest>\S*) <<<\n?",
    re.DOTALL | re.MULTILINE,
)
_VALUE = r"^c\.CompeteCourse\.{name} = ([\[{{].*[\]}}])$"
# Settings that the block assigns; a course that assigns one of them itself gets a warning.
OVERRIDDEN = (
    "Autograde.exporter_class",
    "Autograde.autograde_preprocessors",
    "Autograde.pre_convert_hook",
    "ZipCollectApp.extractor_plugin",
)
BODY = """\
# Add settings of your own outside of this block: a block that was changed is not written again.
c = get_config()
c.CompeteCourse.challenges = {challenges}
c.CompeteCourse.packs = {packs}
c.CompeteCourse.datasets = {datasets}
# Submissions are read, run and judged outside of nbgrader's process, which gets the points.
c.Autograde.pre_convert_hook = "tinytorch_compete.course.autograde.take_misnamed"
c.Autograde.exporter_class = "tinytorch_compete.course.autograde.CompeteExporter"
c.Autograde.autograde_preprocessors = [
    "tinytorch_compete.course.autograde.CompeteJudge",
    "nbgrader.preprocessors.IgnorePattern",
    "nbconvert.preprocessors.ClearMetadataPreprocessor",
    "nbgrader.preprocessors.LimitOutput",
    "nbgrader.preprocessors.SaveAutoGrades",
    "nbgrader.preprocessors.AssignLatePenalties",
    "nbgrader.preprocessors.CheckCellMetadata",
]
# Archives from an LMS are unpacked with suspicion.
c.ZipCollectApp.extractor_plugin = "tinytorch_compete.course.plugins.SafeExtractor"
# Students bring these files themselves; their graded copies keep their own.
c.Autograde.exclude_overwriting.update({student_files})
"""


class Written(msgspec.Struct, frozen=True):
    """The effect of writing the block: ``changed`` says whether the file's content changed.

    ``overridden`` names the course's own settings that the block, which comes later, replaces.
    """

    changed: bool
    overridden: tuple[str, ...] = ()


def names(path: Path, setting: str) -> list[str]:
    """Return the ``challenges`` or ``packs`` that the block in a configuration file names, if any.

    Raises ``StoreError`` for a line that isn't a list of names.
    """
    return [str(word) for word in _value(path, setting, list) or ()]


def datasets(path: Path) -> dict[str, str]:
    """Return the data sets that the block names, by challenge.

    Raises ``StoreError`` for a line that isn't a dictionary of names.
    """
    value = _value(path, "datasets", dict) or {}
    return {str(slug): str(dataset) for slug, dataset in value.items()}


def _value(path: Path, setting: str, kind: type) -> Any:
    """Return the value that the block assigns to a setting, if any."""
    match = re.search(_VALUE.format(name=setting), _text(path), re.MULTILINE)
    try:
        value = ast.literal_eval(match[1]) if match else None
    except (SyntaxError, ValueError):
        value = ()
    if value is not None and not isinstance(value, kind):
        expected = "list" if kind is list else "dictionary"
        raise StoreError(f"{path}: c.CompeteCourse.{setting} must be a {expected} of names.")
    return value


def write(
    path: Path,
    datasets: Mapping[str, str],
    packs: Sequence[str],
    student_files: Mapping[str, Sequence[str]],
) -> Written:
    """Write the block into the file, in place of an older one; everything else stays as it is.

    ``datasets`` are the data sets of the course's challenges, ``student_files`` the files that
    students bring to each. A file that doesn't exist is created, with the folder's name as the
    course's. Raises ``StoreError`` for a block that somebody changed; it stays as it is.
    """
    text = _text(path)
    block = _block(datasets, packs, student_files)
    if not path.exists():
        course = path.parent.name
        text = f"c = get_config()\nc.CourseDirectory.course_id = {course!r}\n"
    old = _BLOCK.search(text)
    if old and old["digest"] != _digest(old["body"]):
        raise StoreError(
            f"{path}: its tinytorch-compete block was changed by hand and is left as it is. Move "
            "your own settings out of it, delete the block, and rerun the command."
        )
    new = text[: old.start()] + block + text[old.end() :] if old else _joined(text, block)
    outside = text[: old.start()] + text[old.end() :] if old else text
    overridden = tuple(name for name in OVERRIDDEN if f"c.{name}" in outside)
    if new == text:
        return Written(False, overridden)
    files.write_text(path, new)
    return Written(True, overridden)


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8") if path.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"{path}: can't be read ({error}).") from None


def _joined(text: str, block: str) -> str:
    return f"{text.rstrip()}\n\n{block}" if text.strip() else block


def _block(
    datasets: Mapping[str, str], packs: Sequence[str], student_files: Mapping[str, Sequence[str]]
) -> str:
    lines = [f"    {slug!r}: {list(paths)!r}," for slug, paths in student_files.items()]
    body = BODY.format(
        challenges=list(datasets),
        packs=list(packs),
        datasets=dict(datasets),
        student_files="\n".join(["{", *lines, "}"]),
    )
    return f"{BEGIN}\n{body}{END.format(digest=_digest(body))}\n"


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()[:16]

"""A student's words in Markdown: they are shown, and do nothing else."""

from __future__ import annotations

import re
from collections.abc import Sequence

GAP = "&nbsp;&nbsp;"
_SPECIAL = re.compile(r"[\\`*_{}\[\]#|~$&<>]|:(?=//)|@")
_CODE = re.compile(r"`([^`]*)`")
_TICKS = re.compile("`+")
LONGEST, MOST = 160, 80  # characters of a line and lines of a fence


def escape(text: str) -> str:
    """A text as Markdown that shows it and does nothing else, on one line."""
    return _SPECIAL.sub(lambda found: f"&#{ord(found[0])};", _printable(text))


def sentence(text: str) -> str:
    """A sentence of ours with a student's code in it, between backticks: shown as code, escaped."""
    parts = _CODE.split(text)  # plain, code, plain, code, ..., plain
    shown = [f"<code>{escape(p)}</code>" if n % 2 else escape(p) for n, p in enumerate(parts)]
    return "".join(shown)


def row_of(cells: Sequence[str]) -> str:
    """A row of a table; spaces part its columns where a page's style doesn't, as in nbgrader's."""
    return f"| {' | '.join([*(f'{cell}{GAP}' for cell in cells[:-1]), *cells[-1:]])} |"


def fence(text: str, language: str) -> str:
    """A block of code that nothing in the text can end; what is too long is cut."""
    lines = text.rstrip("\n").split("\n")
    kept = [_cut(_printable(line.expandtabs(4))) for line in lines[:MOST]]
    kept += [f"… {len(lines) - MOST} more lines"] if len(lines) > MOST else []
    longest = max((len(run) for line in kept for run in _TICKS.findall(line)), default=0)
    marks = "`" * max(3, longest + 1)
    return "\n".join([f"{marks}{language}", *kept, marks])


def _cut(line: str) -> str:
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)

"""Escape a student's text for Markdown, so that it is shown and has no other effect."""

from __future__ import annotations

import re
from collections.abc import Sequence

GAP = "&nbsp;&nbsp;"
_SPECIAL = re.compile(r"[\\`*_{}\[\]#|~$&<>]|:(?=//)|@")
_CODE = re.compile(r"`([^`]*)`")
_TICKS = re.compile("`+")
LONGEST, MOST = 160, 80  # characters per line, and lines per fenced block


def escape(text: str) -> str:
    """Escape a text as one line of Markdown that shows it and has no other effect."""
    return _SPECIAL.sub(lambda match: f"&#{ord(match[0])};", _printable(text))


def sentence(text: str) -> str:
    """Format a sentence of ours whose backticks hold a student's code: as escaped code."""
    parts = _CODE.split(text)  # plain, code, plain, code, ..., plain
    escaped = [f"<code>{escape(p)}</code>" if n % 2 else escape(p) for n, p in enumerate(parts)]
    return "".join(escaped)


def row_of(cells: Sequence[str]) -> str:
    """Format a table's row, with spaces for pages that don't style columns, as nbgrader's."""
    return f"| {' | '.join([*(f'{cell}{GAP}' for cell in cells[:-1]), *cells[-1:]])} |"


def fence(text: str, language: str) -> str:
    """Format a block of code that no text in it can end; long lines and blocks are cut."""
    lines = text.rstrip("\n").split("\n")
    shown = [_cut(_printable(line.expandtabs(4))) for line in lines[:MOST]]
    shown += [f"… {len(lines) - MOST} more lines"] if len(lines) > MOST else []
    longest = max((len(run) for line in shown for run in _TICKS.findall(line)), default=0)
    marks = "`" * max(3, longest + 1)
    return "\n".join([f"{marks}{language}", *shown, marks])


def _cut(line: str) -> str:
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)

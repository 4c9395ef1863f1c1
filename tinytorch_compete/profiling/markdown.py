"""Render a profile's hottest lines as Markdown tables, for pages that allow no styles."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from tinytorch_compete.model import Profile
from tinytorch_compete.profiling import view
from tinytorch_compete.profiling.view import Row
from tinytorch_compete.rendering.markdown import row_of

FULL, WIDTH = "█", 8
LONGEST = 72
MOST_TIME = "**Lines that took the most time**"
MOST_MEMORY = "**Lines that held the most memory**"
UNBROKEN = "&nbsp;"
# Characters that could end a table's cell or start other markup in it.
_SPECIAL = re.compile(r"[\\`*_{}\[\]()#|~$&<>!+.:@-]")


def markdown(profile: Profile, count: int = 6) -> str:
    """Render the hottest lines by time and by memory, with bars made of characters.

    All text of the student's is escaped.
    """
    longest, largest = view.by_time(profile, count), view.by_memory(profile, count)
    parts = []
    if longest:
        head = ["where", "line", "hits", "time", ""]
        parts += [MOST_TIME, _table(head, "---|---|---:|---:|---", map(_time, longest))]
    if largest:
        head = ["where", "line", "peak MiB", "net MiB", ""]
        parts += [MOST_MEMORY, _table(head, "---|---|---:|---:|---", map(_memory, largest))]
    return "\n\n".join(parts) or "No line took a notable amount of time or memory."


def _table(head: Sequence[str], rule: str, rows: Iterable[Sequence[str]]) -> str:
    return "\n".join([row_of(head), f"|{rule}|", *(row_of(row) for row in rows)])


def _time(line: tuple[str, Row]) -> list[str]:
    source, row = line
    assert row.cost is not None
    hits = view.hits(row.cost).replace("~", "\\~")
    seconds = view.seconds(row.cost.seconds).replace(" ", UNBROKEN)
    return [place(source, row.number), code(row.text), hits, seconds, bar(row.time)]


def _memory(line: tuple[str, Row]) -> list[str]:
    source, row = line
    assert row.cost is not None
    peak, net = view.mib(row.cost.peak_mib), view.mib(row.cost.net_mib, sign=True)
    return [place(source, row.number), code(row.text), peak, net, bar(row.memory)]


def place(source: str, line: int) -> str:
    """Format a line's location, for a table's cell that never wraps."""
    return f"{_escape(view.title(source))}: {line}".replace(" ", UNBROKEN)


def code(text: str) -> str:
    """Format a line of the student's for a table's cell: stripped, cut and escaped."""
    text = text.strip()
    text = _escape(text if len(text) <= LONGEST else text[: LONGEST - 1] + "…")
    return f"<code>{text}</code>" if text else ""


def bar(share: float) -> str:
    """Draw a bar of up to ``WIDTH`` characters; empty for less than half a character."""
    return FULL * round(share * WIDTH)


def _escape(text: str) -> str:
    printable = "".join(char if char.isprintable() else " " for char in text)
    return _SPECIAL.sub(lambda match: f"&#{ord(match[0])};", printable)

"""A profile as a Markdown table of its hottest lines, for pages that allow no style."""

from __future__ import annotations

import re

from tinytorch_compete.costs import Profile
from tinytorch_compete.markdown import row_of
from tinytorch_compete.profile import view

FULL, WIDTH = "█", 8
LONGEST = 72
UNBROKEN = "&nbsp;"
# All that could end a cell of the table or start anything else in it.
_SPECIAL = re.compile(r"[\\`*_{}\[\]()#|~$&<>!+.:@-]")


def markdown(profile: Profile, count: int = 12) -> str:
    """The hottest lines with bars of characters; all that the student wrote is escaped."""
    rows = view.hottest(profile, count)
    if not rows:
        return "No line took any time or memory worth naming."
    head = [
        row_of(["where", "line", "hits", "time", "", "peak MiB", "", "net MiB"]),
        "|---|---|---:|---:|---|---:|---|---:|",
    ]
    lines = []
    for source, row in rows:
        assert row.cost is not None
        figures = [
            place(source, row.number),
            code(row.text),
            view.hits(row.cost).replace("~", "\\~"),
            view.seconds(row.cost.seconds).replace(" ", UNBROKEN),
            bar(row.time),
            view.mib(row.cost.peak_mib),
            bar(row.memory),
            view.mib(row.cost.net_mib, sign=True),
        ]
        lines.append(row_of(figures))
    return "\n".join([*head, *lines])


def place(source: str, line: int) -> str:
    """Where a line stands, for a table's cell that is never broken."""
    return f"{_escape(view.title(source))}: {line}".replace(" ", UNBROKEN)


def code(text: str) -> str:
    """A line of the student's for a table's cell: without its margin, cut, and escaped."""
    text = text.strip()
    text = _escape(text if len(text) <= LONGEST else text[: LONGEST - 1] + "…")
    return f"<code>{text}</code>" if text else ""


def bar(share: float) -> str:
    """A bar of up to ``WIDTH`` characters; empty for less than half of one."""
    return FULL * round(share * WIDTH)


def _escape(text: str) -> str:
    printable = "".join(char if char.isprintable() else " " for char in text)
    return _SPECIAL.sub(lambda found: f"&#{ord(found[0])};", printable)

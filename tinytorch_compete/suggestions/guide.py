"""Find the guide to insights, which comes with this package in the wheel or the checkout."""

from __future__ import annotations

import re
from pathlib import Path

from tinytorch_compete.errors import PackError

NAME = "insights"  # the name of the whole guide; a section has the name of its insight
PACKAGE = Path(__file__).resolve().parents[1]
PLACES = (PACKAGE / "_docs" / "insights.md", PACKAGE.parent / "docs" / "insights.md")
HEADING = re.compile("#{1,2} ")


def find(name: str) -> str | None:
    """Return the whole guide for ``NAME``, or the section of that name, as Markdown.

    ``None`` if there is no such section. Raises ``PackError`` if the guide is missing.
    """
    text = _text()
    return text if name == NAME else _section(text, name)


def _text() -> str:
    for path in PLACES:
        if path.is_file():
            return path.read_text("utf-8")
    raise PackError(f"{PLACES[0]}: the guide to insights is missing; install the package again.")


def _section(text: str, name: str) -> str | None:
    """The lines from a heading to the next; a comment in an example is no heading."""
    lines: list[str] = []
    is_fenced = False
    for line in text.splitlines():
        is_fenced ^= line.startswith("```")
        if lines and not is_fenced and HEADING.match(line):
            break
        if lines or line == f"## {name}":
            lines.append(line)
    return "\n".join(lines).strip() + "\n" if lines else None

"""The guide to insights, which comes with this package: in the wheel, or in the checkout."""

from __future__ import annotations

import re
from pathlib import Path

from tinytorch_compete.errors import PackError

NAME = "insights"  # what the guide as a whole is called; a section is called as its insight is
PACKAGE = Path(__file__).resolve().parents[1]
PLACES = (PACKAGE / "_docs" / "insights.md", PACKAGE.parent / "docs" / "insights.md")
HEADING = re.compile("#{1,2} ")


def find(name: str) -> str | None:
    """The guide for ``NAME``, the section of that name, or ``None``; in Markdown.

    Raises ``PackError`` if the guide isn't there.
    """
    text = _text()
    return text if name == NAME else _section(text, name)


def _text() -> str:
    for place in PLACES:
        if place.is_file():
            return place.read_text("utf-8")
    raise PackError(f"{PLACES[0]}: the guide to insights is missing; install the package again.")


def _section(text: str, name: str) -> str | None:
    """The lines from a heading to the next one; a comment in an example is no heading."""
    found: list[str] = []
    fenced = False
    for line in text.splitlines():
        fenced ^= line.startswith("```")
        if found and not fenced and HEADING.match(line):
            break
        if found or line == f"## {name}":
            found.append(line)
    return "\n".join(found).strip() + "\n" if found else None

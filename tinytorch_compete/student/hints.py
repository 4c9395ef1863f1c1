"""Show hints, one at a time, and guides."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

from tinytorch_compete.challenges import packs
from tinytorch_compete.challenges.packs import Challenge
from tinytorch_compete.errors import PackError
from tinytorch_compete.participants import registration
from tinytorch_compete.rendering.panel import Panel
from tinytorch_compete.student.workspace import entered
from tinytorch_compete.suggestions import guide as insights_guide


def hint(challenges: Mapping[str, Challenge], here: Path, slug: str | None) -> Panel:
    """Show the next hint, the mildest first, and count it in the student's registration."""
    challenge, folder, who = entered(challenges, here, slug)
    hints = _hints(challenge)
    number = min(who.hints + 1, len(hints))
    if number > who.hints:
        registration.write(folder, msgspec.structs.replace(who, hints=number))
    left = len(hints) - number
    after = f"{left} more: ask again." if left else "That was the last one. They are in hints.md."
    return Panel(f"Hint {number} of {len(hints)}", lines=(after,), markdown=hints[number - 1])


def guide(challenges: Mapping[str, Challenge], here: Path, slug: str | None) -> Panel:
    """Show a challenge's guide; a challenge that is named needn't have been joined.

    ``insights`` names the guide to feedback's suggestions, an insight's name its section there.
    """
    if slug and slug not in challenges and (text := insights_guide.find(slug)):
        return Panel(markdown=text)
    challenge = packs.resolve(challenges, slug) if slug else entered(challenges, here, None)[0]
    return Panel(markdown=(challenge.folder / "guide.md").read_text("utf-8"))


def _hints(challenge: Challenge) -> list[str]:
    """Read a challenge's hints, each with its heading; raises ``PackError`` if there are none."""
    path = challenge.folder / "hints.md"
    parts = re.split(r"^(?=# )", path.read_text("utf-8"), flags=re.MULTILINE)
    hints = [part.strip() for part in parts if part.startswith("# ")]
    if not hints:
        raise PackError(f"{path}: no hints; each starts with a heading: # A heading")
    return hints

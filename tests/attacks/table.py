"""Write this folder's README from the facts in the notebooks: python tests/attacks/table.py"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import nbformat

CONTAINED: Counter[str] = Counter()  # by this test run: tried, contained
HERE = Path(__file__).parent
HEAD = """\
# Attacks

Each notebook in `notebooks/` attacks the grader of the challenge in `pack/`. Its metadata say what
it tries, where it was seen, which defence holds, and what it may earn: nothing, as a rule.
`test_attacks.py` grades all of them between an honest control that must keep its points and a wrong
one that must keep its zero, and prints how many were tried and contained. Attacks that need a layer
which this machine lacks aren't run, and the run says so: under rlimits alone, those marked *walls*
or *cgroup* are **not** contained.

This page is written by `python tests/attacks/table.py`.
"""


def readme() -> str:
    """The page: a table for each family."""
    families: dict[str, list[str]] = {}
    for path in sorted((HERE / "notebooks").glob("*.ipynb")):
        facts = nbformat.read(path, 4).metadata["attack"]
        layers = ", ".join(facts["needs"]) or "any"
        cells = (f"`{path.stem}`", facts["tries"], facts["seen"], facts["defence"], layers)
        row = "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"
        families.setdefault(facts["family"], []).append(row)
    parts = [HEAD]
    for family in sorted(families):
        heading = "| attack | what it tries | where it was seen | what holds | needs |\n"
        table = heading + "|---|---|---|---|---|\n" + "\n".join(families[family])
        parts.append(f"\n## {family[:1].upper()}{family[1:]}\n\n{table}\n")
    return "".join(parts)


if __name__ == "__main__":
    (HERE / "README.md").write_text(readme())

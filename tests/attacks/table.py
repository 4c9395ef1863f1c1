"""Write this folder's README from the facts in the notebooks: python tests/attacks/table.py"""

from __future__ import annotations

from pathlib import Path

import nbformat

HERE = Path(__file__).parent
HEAD = """\
# Attacks

Each notebook in `notebooks/` attacks the grader of a challenge in `pack/`: `target`, or `training`
where its metadata say so. They also say what it tries, where it was seen, which defence holds, what
it may earn (nothing, as a rule), what the grader must have measured of what it hides, and which
flag it must raise for staff.

How to read it, attack by attack:

- *The wrong control* is the attack's own answer, which is false: zeros, or a guess. With the attack
  it must keep the zero that it has without.
- *The honest control* is another student, who is graded in another box at the same time. It must
  keep all its points, so an attack on neighbours, on the machine or on the grader would show.
- The notebook sent in is unchanged afterwards, no process is left, the grader has not grown, and
  feedback, table, CSV and terminal hold nothing that runs.

Before the first and after the last attack the controls are graded alone. The run's last line says
how many were tried and contained, and how many were not run for want of which layer. Those
that need *walls*, *cgroup*, *seccomp*, *own user* or *landlock* are **not** contained without it.

A few attacks may earn points, and the column *may earn* says so: what they do can't be told from
honest work by anything but reading it. They must be flagged.

This page is written by `python tests/attacks/table.py`.
"""


def readme() -> str:
    """The page: a table for each family."""
    families: dict[str, list[str]] = {}
    for path in sorted((HERE / "notebooks").glob("*.ipynb")):
        facts = nbformat.read(path, 4).metadata["attack"]
        layers = ", ".join(facts["needs"]) or "any"
        earns = f"{facts['points']} of 10" if facts["points"] else "0"
        cells = (f"`{path.stem}`", facts["tries"], facts["seen"], facts["defence"], earns, layers)
        row = "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"
        families.setdefault(facts["family"], []).append(row)
    parts = [HEAD]
    for family in sorted(families):
        heading = "| attack | what it tries | where it was seen | what holds | may earn | needs |\n"
        table = heading + "|---|---|---|---|---|---|\n" + "\n".join(families[family])
        parts.append(f"\n## {family[:1].upper()}{family[1:]}\n\n{table}\n")
    return "".join(parts)


if __name__ == "__main__":
    (HERE / "README.md").write_text(readme())

"""Write this folder's README from the facts in the notebooks: python tests/attacks/table.py"""

from __future__ import annotations

from pathlib import Path

import nbformat

HERE = Path(__file__).parent
HEAD = """\
# Attacks

Each notebook in `notebooks/` attacks the grader of a challenge in `pack/`: `target`, or `training`
where its metadata say so. The metadata also say what the attack tries, where it was seen, which
defence holds, what it may earn (nothing, as a rule), how much of the resources that it hides the
grader must have measured, and which flag it must raise for staff.

How each attack is tested:

- *The wrong control* is the attack's own answer, which is false: zeros, or a guess. It earns zero
  without the attack and must still earn zero with it.
- *The honest control* is another student, who is graded in another box at the same time. It must
  keep all its points, so an attack on neighbours, on the machine or on the grader would show.
- The submitted notebook is unchanged afterwards, no process is left, the grader's memory has not
  grown, and feedback, table, CSV and terminal contain nothing executable.

The controls are also graded alone, before the first attack and after the last one. The run's last
line says how many attacks were tried and contained, and how many were not run for lack of which
layer. Attacks that need *walls*, *cgroup*, *seccomp*, *own user* or *landlock* are **not**
contained without it.

A few attacks may earn points, and the column *may earn* says so: only reading them can distinguish
them from honest work. They must be flagged.

`python tests/attacks/table.py` writes this page.
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

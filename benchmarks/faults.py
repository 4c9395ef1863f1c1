"""Kill the batch grader at random moments and check that nothing is lost or done twice.

    python benchmarks/faults.py --kills 100

Grades a small class once undisturbed, then over and over with SIGKILL at random moments. Resumes
each batch until it ends, and compares its table row by row. Exits with 1 if any table differs.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path

import batch


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        batch.make(root)
        truth = batch.table(root, batch.finish(root, "undisturbed"))
        kills = batches = differing = 0
        while kills < options.kills:
            name = f"batch{batches}"
            while kills < options.kills and batch.kill(root, name, chance.uniform(0.5, 9.0)):
                kills += 1
            batch.finish(root, name)
            batches += 1
            differing += batch.table(root, name) != truth
        print(f"{kills} kills over {batches} batches of {len(truth)}: {differing} tables differ")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())

"""Feed coverage-guided bytes to everything that reads a submission or evidence.

    pip install atheris
    python benchmarks/fuzz.py --seconds 300 [--target notebook]

Runs each target of ``targets.py`` for the given number of seconds, starting from sound examples.
Prints the offending bytes and exits with 1 if a target raises anything but the documented errors.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import atheris

sys.path.append(str(Path(__file__).parents[1] / "tests"))  # for a result to put into a database
with atheris.instrument_imports(include=["tinytorch_compete"]):
    import targets


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=300)
    parser.add_argument("--target", choices=list(targets.TARGETS), action="append")
    options, more = parser.parse_known_args()
    if more:  # this is the child that runs one target; the rest is libFuzzer's
        atheris.Setup([sys.argv[0], *more], targets.TARGETS[options.target[0]])
        atheris.Fuzz()
    return max(run(name, options.seconds) for name in options.target or targets.TARGETS)


def run(name: str, seconds: int) -> int:
    """Run one target in its own process, which libFuzzer ends, and return its exit status."""
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(targets.seeds(name)):
            Path(corpus, str(number)).write_bytes(seed)
        libfuzzer = [f"-max_total_time={seconds}", "-timeout=60", "-max_len=40000"]
        libfuzzer += [f"-artifact_prefix={corpus}/", corpus]
        done = subprocess.run(
            [sys.executable, __file__, "--target", name, *libfuzzer], capture_output=True, text=True
        )
    report = done.stderr.strip().splitlines()[-1]
    if done.returncode:
        report = done.stdout + done.stderr  # the traceback, and libFuzzer's own report
    print(f"{name}: {report}", flush=True)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())

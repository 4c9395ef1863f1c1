"""The ``tito`` command: ``tito compete`` is ours, everything else is upstream TinyTorch's."""

from __future__ import annotations

import importlib
import importlib.util
import sys

UPSTREAM = "https://github.com/harvard-edge/cs249r_book (folder tinytorch)"


def main() -> int:
    """Run ``tito`` with the process's arguments; returns the exit status."""
    if sys.argv[1:2] == ["compete"]:
        from tinytorch_compete.cli.app import run

        return run(sys.argv[2:], "tito compete")
    if importlib.util.find_spec("tito") is not None:
        upstream = importlib.import_module("tito.main")
        return int(upstream.main() or 0)
    print(
        "tito: this is the command of tinytorch-compete, which adds one subcommand: tito compete\n"
        "For the other subcommands install TinyTorch's own command line in this environment:\n"
        f"  {UPSTREAM}",
        file=sys.stderr,
    )
    return 0 if sys.argv[1:] in ([], ["--help"], ["-h"]) else 2

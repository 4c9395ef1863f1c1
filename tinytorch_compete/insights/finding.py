"""Define what a detector yields: places in the syntax tree, and texts for the student."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping

import msgspec

from tinytorch_compete.source.code import Code


class RunContext(msgspec.Struct, frozen=True):
    """Facts about the run besides its profile.

    ``outputs`` maps a source's name to its printed output; ``threads`` is how many threads the run
    may use.
    """

    outputs: Mapping[str, str] = {}
    threads: int = 1


class Finding(msgspec.Struct, frozen=True):
    """One inefficiency or mistake at one place.

    The student sees the lines on which ``nodes`` begin. The cost is that of all lines of
    ``region``, or of the nodes if there is none. ``whole_run`` marks an entire run as wasted.
    """

    nodes: tuple[ast.AST, ...]
    look: str
    why: str
    change: str
    region: tuple[ast.AST, ...] = ()
    whole_run: bool = False


class Detector(msgspec.Struct, frozen=True):
    """A row of the registry: the insight's name, its detector function, and its subject.

    Findings about ``cost`` whose lines cost next to nothing aren't worth a student's time; those
    about ``learning`` always are, since the code runs but the network doesn't learn as it could.
    """

    name: str
    find: Callable[[Code, RunContext], Iterator[Finding]]
    about: str = "cost"

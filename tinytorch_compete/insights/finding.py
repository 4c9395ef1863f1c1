"""What a detector hands over: places in the syntax tree, and words for the student."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping

import msgspec

from tinytorch_compete.source.code import Code


class RunContext(msgspec.Struct, frozen=True):
    """What is known of the run besides its profile.

    ``outputs`` maps a source's name to what it printed; ``threads`` is how many the run may use.
    """

    outputs: Mapping[str, str] = {}
    threads: int = 1


class Finding(msgspec.Struct, frozen=True):
    """One place where something is amiss.

    ``nodes`` begin on the lines that are named. The cost is that of all lines of ``region``, or of
    the nodes where there is none. ``whole_run`` says that the run as a whole was in vain.
    """

    nodes: tuple[ast.AST, ...]
    look: str
    why: str
    change: str
    region: tuple[ast.AST, ...] = ()
    whole_run: bool = False


class Detector(msgspec.Struct, frozen=True):
    """A row of the table: the insight's name, what finds it, and what it is about.

    Findings on ``cost`` that cost next to nothing are not worth a student's time; those on
    ``learning`` always are, since the code runs but the network doesn't learn as it could.
    """

    name: str
    find: Callable[[Code, RunContext], Iterator[Finding]]
    about: str = "cost"

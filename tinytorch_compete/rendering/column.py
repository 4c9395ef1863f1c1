"""A table's columns, for a terminal and a notebook alike."""

from __future__ import annotations

from typing import Literal, Self

import msgspec

Align = Literal["left", "right"]
Wrap = Literal["fold", "never", "ellipsis"]


class Column(msgspec.Struct, frozen=True):
    """A column's heading, the side that its cells lean to, and what happens to long cells.

    Cells that are too wide are folded onto several lines, never broken, or, in a terminal, cut
    with an ellipsis. A table whose columns all lack a ``name`` has no row of headings.
    """

    name: str = ""
    align: Align = "left"
    wrap: Wrap = "fold"

    @classmethod
    def numeric(cls, name: str = "") -> Self:
        """A column of figures: flush right, never broken."""
        return cls(name, align="right", wrap="never")

    @classmethod
    def unbroken(cls, name: str = "") -> Self:
        """A column of words: flush left, never broken."""
        return cls(name, wrap="never")

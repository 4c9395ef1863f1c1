"""An answer to a student, which a terminal and a notebook show alike."""

from __future__ import annotations

import msgspec


class Panel(msgspec.Struct, frozen=True):
    """An answer: a title, a table, sentences below it, and a text in Markdown from a pack.

    ``columns`` are headings as ``cli.tables.table`` takes them: ``>`` for figures, ``!`` for words
    that aren't broken, ``~`` for what may be cut.
    """

    title: str = ""
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    lines: tuple[str, ...] = ()
    markdown: str = ""

"""Edit a text at positions of its syntax tree, so that everything else stays as written."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

import msgspec

from tinytorch_compete.source.code import Code, read
from tinytorch_compete.source.syntax import last_line, line, loads, root, within


class Edit(msgspec.Struct, frozen=True):
    """A replacement of the source's UTF-8 bytes ``start`` to ``end`` by ``text``."""

    start: int
    end: int
    text: str


def apply(code: Code, edits: Iterable[Edit]) -> str | None:
    """Return the source with all edits made; None if two overlap or the result isn't Python."""
    data = _whole(code)
    after = len(data)
    for edit in sorted(set(edits), key=lambda e: (e.start, e.end), reverse=True):
        if edit.end > after:
            return None
        data = data[: edit.start] + edit.text.encode() + data[edit.end :]
        after = edit.start
    changed = data.decode()
    if not code.text.endswith("\n"):
        changed = changed.removesuffix("\n")
    return changed if changed != code.text and _parses(changed) else None


def replace(code: Code, node: ast.AST, text: str) -> Edit:
    """Replace a node by the text."""
    return Edit(start(code, node), end(code, node), text)


def insert(code: Code, before: int, text: str) -> Edit:
    """Insert the text as separate lines before a line, counted from 1; past the end, append."""
    at = _line_start(code, before)
    return Edit(at, at, text + "\n")


def delete(code: Code, statement: ast.stmt) -> Edit:
    """Delete a statement's lines."""
    return Edit(
        _line_start(code, statement.lineno), _line_start(code, last_line(statement) + 1), ""
    )


def text(code: Code, node: ast.AST) -> str:
    """Return a node as written in the source."""
    return code.text.encode()[start(code, node) : end(code, node)].decode()


def lines(code: Code, statement: ast.stmt) -> str:
    """Return a statement's whole lines without the last line break."""
    rows = code.text.split("\n")[statement.lineno - 1 : last_line(statement)]
    return "\n".join(rows)


def moved(block: str, old: str, new: str) -> str:
    """Return lines with their indentation changed from ``old`` to ``new``."""
    return "\n".join(
        new + row.removeprefix(old) if row.strip() else row for row in block.split("\n")
    )


def margin(code: Code, statement: ast.stmt) -> str:
    """Return the indentation of a statement."""
    row = code.text.split("\n")[statement.lineno - 1]
    return row[: len(row) - len(row.lstrip())]


def movable(code: Code, statement: ast.stmt) -> bool:
    """Whether a statement has its lines to itself, and none of them is inside a string."""
    block = lines(code, statement)
    alone = block.encode()[: statement.col_offset].strip() == b""
    siblings = getattr(code.parents[statement], "body", [])
    shared = any(
        s is not statement and s.lineno <= last_line(statement) <= last_line(s) for s in siblings
    )
    return alone and not shared and '"""' not in block and "'''" not in block


def body_remains(code: Code, statement: ast.stmt, removed: Iterable[ast.stmt]) -> bool:
    """Whether the block that contains a statement has others besides those to be removed."""
    removals = list(removed)
    up = code.parents[statement]
    for name in ("body", "orelse", "finalbody"):
        block = getattr(up, name, [])
        if isinstance(block, list) and statement in block:
            return any(s not in removals for s in block)
    return False


def unread(code: Code, name: str, removed: Iterable[ast.AST]) -> Iterator[Edit]:
    """Delete the statements that define a local name if only the ``removed`` nodes read it."""
    scope, removals = code.scope(next(iter(removed))), set(removed)
    own = [n for n in within(scope) if isinstance(n, ast.Name) and n.id == name]
    makers = {code.statement(n) for n in own if n not in removals}
    if not isinstance(scope, ast.FunctionDef) or not all(_makes(s, name) for s in makers):
        return
    if all(movable(code, s) and body_remains(code, s, makers) for s in makers):
        yield from (delete(code, statement) for statement in makers)


def _makes(statement: ast.stmt, name: str) -> bool:
    """Whether a statement only assigns to a name, or to an element of it."""
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return False
    return root(statement.targets[0]) == name and name not in loads(statement.value)


def start(code: Code, node: ast.AST) -> int:
    """Return the byte offset at which a node begins."""
    return _line_start(code, line(node)) + int(getattr(node, "col_offset", 0))


def end(code: Code, node: ast.AST) -> int:
    """Return the byte offset at which a node ends."""
    return _line_start(code, last_line(node)) + int(getattr(node, "end_col_offset", 0))


def unused(code: Code, preferred: str) -> str:
    """Return the preferred name, with a number if the source already uses it."""
    names = {n.id for n in ast.walk(code.tree) if isinstance(n, ast.Name)}
    candidates = [preferred, *(f"{preferred}_{i}" for i in range(2, 100))]
    return next(name for name in candidates if name not in names)


def _line_start(code: Code, number: int) -> int:
    rows = _whole(code).split(b"\n")
    return min(sum(len(row) + 1 for row in rows[: number - 1]), len(_whole(code)))


def _whole(code: Code) -> bytes:
    """Return the source as UTF-8 with a final line break, so that all lines end alike."""
    return (code.text if code.text.endswith("\n") else code.text + "\n").encode()


def _parses(source: str) -> bool:
    return bool(read({"": source}))

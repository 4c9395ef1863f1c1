"""Read a student's source as a syntax tree and infer facts about its arrays.

Nothing is executed. A fact that the text doesn't settle stays unknown, and a detector that needs an
unknown fact reports nothing.
"""

from __future__ import annotations

import ast
import bisect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar, cast

import msgspec

from tinytorch_compete.source.syntax import (
    FUNCTIONS,
    assignments,
    dotted,
    inside,
    line,
    number,
    within,
)

# No student writes longer sources, and some detectors compare every pair of lines.
MAX_CHARACTERS = 100_000
MAX_LINES = 1_500
MAX_ALTOGETHER = 500_000
# No student writes deeper trees, and recursing into them would end in a RecursionError.
MAX_DEPTH = 120
T = TypeVar("T")
MAGIC = re.compile(r"^([ \t]*)[%!?]")
SCOPES = (*FUNCTIONS, ast.Module)
LOOPS = (ast.For, ast.While)
KNOWN_ALIASES = {"np": "numpy"}


class Project(msgspec.Struct, frozen=True):
    """Facts shared by all sources of a submission: functions by name, attribute reads, aliases.

    ``reads`` counts how often an attribute's name is loaded anywhere, including calls on it;
    ``repeated`` holds the names of functions and methods that are called in a loop.
    """

    functions: Mapping[str, tuple[ast.FunctionDef, ...]]
    reads: Mapping[str, int]
    aliases: Mapping[str, str]
    repeated: frozenset[str]


class Code(msgspec.Struct, frozen=True):
    """One parsed source, with a map from each node to its parent and a cache of derived facts."""

    name: str
    text: str
    tree: ast.Module
    parents: Mapping[ast.AST, ast.AST]
    project: Project
    cache: dict[tuple[str, ast.AST], object] = msgspec.field(default_factory=dict)

    def callee(self, node: ast.AST | None) -> str:
        """Return a call's full dotted name, such as ``numpy.exp``; empty for anything else."""
        if not isinstance(node, ast.Call):
            return ""
        root, _, rest = dotted(node.func).partition(".")
        root = self.project.aliases.get(root, root)
        return f"{root}.{rest}" if rest else root

    def numpy(self, node: ast.AST | None) -> str:
        """Return the numpy function called, such as ``linalg.inv``; empty for anything else."""
        name = self.callee(node)
        return name.removeprefix("numpy.") if name.startswith("numpy.") else ""

    def above(self, node: ast.AST) -> Iterator[ast.AST]:
        """Yield the node's ancestors, nearest first."""
        while (parent := self.parents.get(node)) is not None:
            yield parent
            node = parent

    def scope(self, node: ast.AST) -> ast.AST:
        """Return the function that encloses a node, or else the module."""
        return next((up for up in self.above(node) if isinstance(up, SCOPES)), self.tree)

    def owner(self, node: ast.AST) -> ast.AST:
        """Return the class that encloses a node, or else the module."""
        return next((up for up in self.above(node) if isinstance(up, ast.ClassDef)), self.tree)

    def statement(self, node: ast.AST) -> ast.stmt:
        """Return the innermost statement that contains a node."""
        chain = (node, *self.above(node))
        return next(up for up in chain if isinstance(up, ast.stmt))

    def loops(self, node: ast.AST) -> list[ast.For | ast.While]:
        """Return the loops that repeat a node within its function, innermost first."""
        loops: list[ast.For | ast.While] = []
        below = node
        for up in self.above(node):
            if isinstance(up, (*SCOPES, ast.ClassDef)):
                break
            if isinstance(up, LOOPS) and below in (*up.body, getattr(up, "test", None)):
                loops.append(up)
            below = up
        return loops

    def guarded(self, node: ast.AST, loop: ast.AST) -> bool:
        """Whether an ``if`` stands between a node and the loop around it."""
        for up in self.above(node):
            if up is loop:
                return False
            if isinstance(up, (ast.If, ast.IfExp, ast.ExceptHandler)):
                return True
        return False

    def values(self, path: str, near: ast.AST) -> list[ast.expr]:
        """Return all values of a name in the node's function, or of an attribute in its class."""
        home = self.owner(near) if "." in path else self.scope(near)
        return self.once(f"values {'.' in path}", home, self._values).get(path, [])

    def once(self, fact: str, home: ast.AST, compute: Callable[[ast.AST], T]) -> T:
        """Return ``compute(home)``, computed on first use and cached under the fact's name."""
        key = (fact, home)
        if key not in self.cache:
            self.cache[key] = compute(home)
        return cast(T, self.cache[key])

    def below(self, home: ast.AST) -> tuple[ast.AST, ...]:
        """Return all nodes of a function or module, excluding those of nested functions."""
        return self.once("below", home, lambda place: tuple(within(place)))

    def direct(self, loop: ast.For | ast.While) -> list[ast.AST]:
        """Return all nodes of a loop's body, excluding those of nested loops and functions."""
        return self.once("direct", loop, self._direct)

    def _direct(self, loop: ast.AST) -> list[ast.AST]:
        body = inside(loop.body) if isinstance(loop, LOOPS) else ()
        return [node for node in body if self.loops(node)[:1] == [loop]]

    def _values(self, home: ast.AST) -> dict[str, list[ast.expr]]:
        """Return all values assigned in a function, class or module, by name, in line order."""
        values: dict[str, list[ast.expr]] = {}
        nodes = ast.walk(home) if isinstance(home, ast.ClassDef) else within(home)
        for node in nodes:
            for target, value in assignments(node):
                values.setdefault(target, []).append(value)
        return {name: sorted(each, key=lambda v: v.lineno) for name, each in values.items()}

    def latest(self, node: ast.AST) -> ast.expr | None:
        """Return the value that a name was last given, by line, before its use here."""
        path = dotted(node)
        values = self.values(path, node) if path else []
        if "." in path:
            return values[0] if len(values) == 1 else None
        if path and not values and not self._is_parameter(path, node):
            values = self.once("values False", self.tree, self._values).get(path, [])
            return values[0] if len(values) == 1 else None
        # an assignment in the same statement, as in ``x = x / 255``, comes after the use
        place = bisect.bisect_left(values, line(node), key=lambda value: value.lineno)
        return values[place - 1] if place else None

    def _is_parameter(self, name: str, node: ast.AST) -> bool:
        scope = self.scope(node)
        arguments = scope.args if isinstance(scope, FUNCTIONS) else None
        return arguments is not None and any(
            isinstance(part, ast.arg) and part.arg == name for part in ast.walk(arguments)
        )

    def helper(self, node: ast.AST | None) -> ast.FunctionDef | None:
        """Return the student's own function or method that is called, if the name is unique."""
        own = isinstance(node, ast.Call) and not self.numpy(node)
        name = dotted(node.func).split(".")[-1] if own else ""  # type: ignore[union-attr]
        functions = self.project.functions.get(name, ())
        return functions[0] if len(functions) == 1 else None

    def axis(self, node: ast.AST, depth: int = 8) -> tuple[str, int] | None:
        """Return the array and the axis whose length an expression gives, if it gives one."""
        if isinstance(node, ast.Call) and dotted(node.func) == "len" and len(node.args) == 1:
            return (path, 0) if (path := dotted(node.args[0])) else None
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
            path = dotted(node.value)
            if path.endswith(".shape") and isinstance(node.slice.value, int):
                return path.removesuffix(".shape"), node.slice.value
        if not isinstance(node, ast.Name) or not depth:
            return None
        value = self.latest(node)
        if value is not None:
            return self.axis(value, depth - 1)
        unpacked = self.once("unpacked", self.scope(node), _unpacked).get(node.id)
        return unpacked[1] if unpacked and unpacked[0] < node.lineno else None


def read(sources: Mapping[str, str]) -> list[Code]:
    """Parse the sources, in order, and skip those that aren't Python.

    Sources past a total of ``MAX_ALTOGETHER`` characters are skipped too.
    """
    trees, characters = {}, 0
    for name, text in sources.items():
        characters += len(text)
        if characters <= MAX_ALTOGETHER and (tree := _parse(text)) is not None:
            trees[name] = tree
    project = _project(trees.values())
    return [
        Code(name, sources[name], tree, _parents(tree), project) for name, tree in trees.items()
    ]


def _unpacked(home: ast.AST) -> dict[str, tuple[int, tuple[str, int]]]:
    """Map each name in ``n, h, w = x.shape`` (or a slice of it) to its line, array and axis."""
    axes: dict[str, tuple[int, tuple[str, int]]] = {}
    for node in within(home):
        for names, value in _unpackings(node):
            if shape := _shape(value):
                for place, name in enumerate(names):
                    axes.setdefault(name, (line(node), (shape[0], shape[1] + place)))
    return axes


def _unpackings(node: ast.AST) -> Iterator[tuple[list[str], ast.expr]]:
    for target in node.targets if isinstance(node, ast.Assign) else ():
        assert isinstance(node, ast.Assign)
        if isinstance(target, ast.Tuple) and not isinstance(node.value, ast.Tuple):
            yield [dotted(item) for item in target.elts], node.value


def _shape(node: ast.expr) -> tuple[str, int] | None:
    """Return the array and the first axis of ``x.shape``, ``x.shape[1:]`` or ``x.shape[:2]``."""
    first = 0
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice):
        first = int(number(node.slice.lower) or 0)
        node = node.value
    path = dotted(node)
    return (path.removesuffix(".shape"), first) if path.endswith(".shape") else None


def _parse(text: str) -> ast.Module | None:
    if len(text) > MAX_CHARACTERS or text.count("\n") > MAX_LINES:
        return None
    plain = "\n".join(MAGIC.sub(r"\1pass #", line) for line in text.split("\n"))
    for candidate in (text, plain):
        try:
            tree = ast.parse(candidate)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        return tree if _depth(tree) <= MAX_DEPTH else None
    return None


def _depth(tree: ast.AST) -> int:
    depth, level = 0, [tree]
    while level:
        depth += 1
        level = [child for node in level for child in ast.iter_child_nodes(node)]
    return depth


def _parents(tree: ast.AST) -> dict[ast.AST, ast.AST]:
    return {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}


def _project(trees: Iterable[ast.Module]) -> Project:
    functions: dict[str, tuple[ast.FunctionDef, ...]] = {}
    reads: dict[str, int] = {}
    aliases = dict(KNOWN_ALIASES)
    repeated: set[str] = set()
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                functions[node.name] = (*functions.get(node.name, ()), node)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                reads[node.attr] = reads.get(node.attr, 0) + 1
            elif isinstance(node, (ast.Import, ast.ImportFrom)):
                aliases |= _aliases(node)
            elif isinstance(node, LOOPS):
                repeated |= {dotted(n.func) for n in inside(node.body) if isinstance(n, ast.Call)}
    callees = frozenset(path.split(".")[-1] for path in repeated)
    return Project(functions, reads, aliases, callees)


def _aliases(node: ast.Import | ast.ImportFrom) -> dict[str, str]:
    """Map the names that an import binds to full names; tinytorch's own names stay as they are."""
    if isinstance(node, ast.Import):
        return {item.asname: item.name for item in node.names if item.asname}
    module = node.module or ""
    if module.split(".")[0] != "numpy":
        return {}
    return {item.asname or item.name: f"{module}.{item.name}" for item in node.names}

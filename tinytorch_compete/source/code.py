"""What a student's source says about its arrays, read from the syntax tree alone.

Nothing is executed. What can't be told from the text is left unknown, and a detector that meets the
unknown keeps silent.
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

# Longer sources are no student's work either, and some detectors look at each pair of lines.
MAX_CHARACTERS = 100_000
MAX_LINES = 1_500
MAX_ALTOGETHER = 500_000
# Deeper trees are no student's work, and recursion over them would end in a RecursionError.
MAX_DEPTH = 120
T = TypeVar("T")
MAGIC = re.compile(r"^([ \t]*)[%!?]")
SCOPES = (*FUNCTIONS, ast.Module)
LOOPS = (ast.For, ast.While)
KNOWN_ALIASES = {"np": "numpy"}


class Project(msgspec.Struct, frozen=True):
    """What all sources of a submission share: functions by name, attributes that are read, aliases.

    ``reads`` counts how often an attribute's name is loaded anywhere, ``calls`` on it included;
    ``repeated`` are the names of what is called in a loop.
    """

    functions: Mapping[str, tuple[ast.FunctionDef, ...]]
    reads: Mapping[str, int]
    aliases: Mapping[str, str]
    repeated: frozenset[str]


class Code(msgspec.Struct, frozen=True):
    """One parsed source, with the way from each node to its parent."""

    name: str
    text: str
    tree: ast.Module
    parents: Mapping[ast.AST, ast.AST]
    project: Project
    made: dict[tuple[str, ast.AST], object] = msgspec.field(default_factory=dict)

    def callee(self, node: ast.AST | None) -> str:
        """The full dotted name that a call goes to, as ``numpy.exp``; empty if it has none."""
        if not isinstance(node, ast.Call):
            return ""
        root, _, rest = dotted(node.func).partition(".")
        root = self.project.aliases.get(root, root)
        return f"{root}.{rest}" if rest else root

    def numpy(self, node: ast.AST | None) -> str:
        """The name of the numpy function that is called, such as ``exp`` or ``linalg.inv``."""
        name = self.callee(node)
        return name.removeprefix("numpy.") if name.startswith("numpy.") else ""

    def above(self, node: ast.AST) -> Iterator[ast.AST]:
        """The node's parents, the nearest first."""
        while (parent := self.parents.get(node)) is not None:
            yield parent
            node = parent

    def scope(self, node: ast.AST) -> ast.AST:
        """The function that a node stands in, or the module."""
        return next((up for up in self.above(node) if isinstance(up, SCOPES)), self.tree)

    def owner(self, node: ast.AST) -> ast.AST:
        """The class that a node stands in, or else the module."""
        return next((up for up in self.above(node) if isinstance(up, ast.ClassDef)), self.tree)

    def statement(self, node: ast.AST) -> ast.stmt:
        """The innermost statement that a node belongs to."""
        chain = (node, *self.above(node))
        return next(up for up in chain if isinstance(up, ast.stmt))

    def loops(self, node: ast.AST) -> list[ast.For | ast.While]:
        """The loops that a node is repeated by within its function, the innermost first."""
        found: list[ast.For | ast.While] = []
        below = node
        for up in self.above(node):
            if isinstance(up, (*SCOPES, ast.ClassDef)):
                break
            if isinstance(up, LOOPS) and below in (*up.body, getattr(up, "test", None)):
                found.append(up)
            below = up
        return found

    def guarded(self, node: ast.AST, loop: ast.AST) -> bool:
        """Whether an ``if`` stands between a node and the loop around it."""
        for up in self.above(node):
            if up is loop:
                return False
            if isinstance(up, (ast.If, ast.IfExp, ast.ExceptHandler)):
                return True
        return False

    def values(self, path: str, near: ast.AST) -> list[ast.expr]:
        """What is assigned to a name in the node's function, or to an attribute in its class."""
        home = self.owner(near) if "." in path else self.scope(near)
        return self.once(f"values {'.' in path}", home, self._values).get(path, [])

    def once(self, what: str, home: ast.AST, make: Callable[[ast.AST], T]) -> T:
        """What ``make`` gives for a function, class or module, made when it is first asked for."""
        key = (what, home)
        if key not in self.made:
            self.made[key] = make(home)
        return cast(T, self.made[key])

    def below(self, home: ast.AST) -> tuple[ast.AST, ...]:
        """All nodes of a function or module, without those of the functions in it."""
        return self.once("below", home, lambda place: tuple(within(place)))

    def direct(self, loop: ast.For | ast.While) -> list[ast.AST]:
        """All nodes of a loop's body without those of the loops and functions in it."""
        return self.once("direct", loop, self._direct)

    def _direct(self, loop: ast.AST) -> list[ast.AST]:
        body = inside(loop.body) if isinstance(loop, LOOPS) else ()
        return [node for node in body if self.loops(node)[:1] == [loop]]

    def _values(self, home: ast.AST) -> dict[str, list[ast.expr]]:
        """All that is assigned in a place, by name, in the order of lines."""
        found: dict[str, list[ast.expr]] = {}
        nodes = ast.walk(home) if isinstance(home, ast.ClassDef) else within(home)
        for node in nodes:
            for target, value in assignments(node):
                found.setdefault(target, []).append(value)
        return {name: sorted(each, key=lambda v: v.lineno) for name, each in found.items()}

    def latest(self, node: ast.AST) -> ast.expr | None:
        """The value last assigned, by line, to the name before it is used here."""
        path = dotted(node)
        found = self.values(path, node) if path else []
        if "." in path:
            return found[0] if len(found) == 1 else None
        if path and not found and not self._is_parameter(path, node):
            found = self.once("values False", self.tree, self._values).get(path, [])
            return found[0] if len(found) == 1 else None
        # an assignment in the same statement, as in ``x = x / 255``, comes after the use
        place = bisect.bisect_left(found, line(node), key=lambda value: value.lineno)
        return found[place - 1] if place else None

    def _is_parameter(self, name: str, node: ast.AST) -> bool:
        scope = self.scope(node)
        arguments = scope.args if isinstance(scope, FUNCTIONS) else None
        return arguments is not None and any(
            isinstance(part, ast.arg) and part.arg == name for part in ast.walk(arguments)
        )

    def helper(self, node: ast.AST | None) -> ast.FunctionDef | None:
        """The student's own function or method that a call goes to, if only one has that name."""
        own = isinstance(node, ast.Call) and not self.numpy(node)
        called = dotted(node.func).split(".")[-1] if own else ""  # type: ignore[union-attr]
        found = self.project.functions.get(called, ())
        return found[0] if len(found) == 1 else None

    def axis(self, node: ast.AST, depth: int = 8) -> tuple[str, int] | None:
        """Of which array, and along which axis, an expression is the length."""
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
    """The sources that parse, in their order; what isn't Python has no findings.

    Sources beyond ``MAX_ALTOGETHER`` characters are left out.
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
    """The names from ``n, h, w = x.shape`` or a part of it: the line, the array and the axis."""
    found: dict[str, tuple[int, tuple[str, int]]] = {}
    for node in within(home):
        for names, value in _unpackings(node):
            if shape := _shape(value):
                for place, name in enumerate(names):
                    found.setdefault(name, (line(node), (shape[0], shape[1] + place)))
    return found


def _unpackings(node: ast.AST) -> Iterator[tuple[list[str], ast.expr]]:
    for target in node.targets if isinstance(node, ast.Assign) else ():
        assert isinstance(node, ast.Assign)
        if isinstance(target, ast.Tuple) and not isinstance(node.value, ast.Tuple):
            yield [dotted(item) for item in target.elts], node.value


def _shape(node: ast.expr) -> tuple[str, int] | None:
    """The array and the first axis of ``x.shape``, ``x.shape[1:]`` or ``x.shape[:2]``."""
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
    called = frozenset(path.split(".")[-1] for path in repeated)
    return Project(functions, reads, aliases, called)


def _aliases(node: ast.Import | ast.ImportFrom) -> dict[str, str]:
    """What the names that an import binds stand for; tinytorch's own names stay as they are."""
    if isinstance(node, ast.Import):
        return {item.asname: item.name for item in node.names if item.asname}
    module = node.module or ""
    if module.split(".")[0] != "numpy":
        return {}
    return {item.asname or item.name: f"{module}.{item.name}" for item in node.names}

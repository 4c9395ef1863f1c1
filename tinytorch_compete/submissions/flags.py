"""Flag submissions for manual review. Flags never change a grade.

Code is read as syntax trees, without running it. Anyone can evade these checks by renaming, so a
flag is a reason to look at a submission, and its absence proves nothing.
"""

from __future__ import annotations

import ast
import itertools
import re
import warnings
from collections.abc import Iterator, Mapping, Set
from pathlib import PurePosixPath

from tinytorch_compete.submissions.flag_rules import RULES
from tinytorch_compete.util.frameworks import FRAMEWORKS

_PATCHED = {"np", "numpy", "time", "json", "builtins", "IPython", "io", "socket"}
_IMPORTERS = {"__import__", "find_spec", "import_module"}
_COMMAND = re.compile(r"^[ \t]*(!|%%?(system|sx|bash|sh|script|pip|conda)\b)", re.MULTILINE)
_IMPORT = re.compile(r"\b(?:import|from)\s+(\w+)")

# Bounds on data in code. In the sample submissions and the reference framework, no string has a
# word of ``LONG_WORD`` letters or more, and no statement has more than 20 numbers; weights in
# base 85 are one word of 1,500 letters for 1,210 int8, of 36,000 for the gold sample's network.
LONG_WORD = 40
MAX_DENSE = 500
MAX_NUMBERS = 150
MAX_SOURCE = 256 * 1024  # a tree takes up to 200 times as much memory as its source
MAX_FILE = 64 * 1024
TEXT_SUFFIXES = {".cfg", ".ini", ".ipynb", ".md", ".py", ".rst", ".toml", ".txt", ".yaml", ".yml"}
MAX_PLACES = 3

UNREADABLE = "can't be looked at as plain Python"


def read(sources: Mapping[str, str], files: Mapping[str, int]) -> tuple[str, ...]:
    """Return one sentence for each reason to review the code and the files.

    ``sources`` maps the name of a cell or ``.py`` file to its text, ``files`` the path of every
    file to its size in bytes.
    """
    places: dict[str, list[str]] = {}
    for reason, place in itertools.chain(_code_reasons(sources, files), _file_reasons(files)):
        places.setdefault(reason, []).append(place)
    return tuple(
        f"{reason[:1].upper()}{reason[1:]}: {_listed(names)}." for reason, names in places.items()
    )


def _code_reasons(
    sources: Mapping[str, str], files: Mapping[str, int]
) -> Iterator[tuple[str, str]]:
    """Yield each reason with the name of the cell or file that it is about."""
    own_modules = {PurePosixPath(name).parts[0].removesuffix(".py") for name in files}
    characters_left = MAX_SOURCE
    for name, text in sources.items():
        characters_left -= len(text)
        for reason in sorted(_source_reasons(text, own_modules, characters_left >= 0)):
            yield reason, name


def _source_reasons(text: str, own_modules: Set[str], is_within_bound: bool) -> set[str]:
    if not is_within_bound:
        return {f"is beyond the first {MAX_SOURCE // 1024} KiB of code, which are looked at"}
    shell = {"runs shell commands"} if _COMMAND.search(text) else set()
    tree = _tree(text)
    return shell | (set(_tree_reasons(tree, own_modules)) if tree else {UNREADABLE})


def _file_reasons(files: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    for name, size in files.items():
        if PurePosixPath(name).suffix not in TEXT_SUFFIXES:
            yield "comes with a file that is no code", name
        elif size > MAX_FILE and not name.endswith((".py", ".ipynb")):
            yield "comes with a large file", name


def _tree(text: str) -> ast.Module | None:
    """The syntax tree of a cell or file; ``None`` if it isn't Python."""
    lines = (re.sub(r"^(\s*)[%!?].*", r"\1pass", line) for line in text.split("\n"))
    try:
        with warnings.catch_warnings():  # about the student's escapes, on the grader's terminal
            warnings.simplefilter("ignore")
            return ast.parse("\n".join(lines))
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None


def _tree_reasons(tree: ast.Module, own_modules: Set[str]) -> Iterator[str]:
    """Yield the reasons to review one syntax tree, the same reason perhaps many times."""
    statements = [node for node in ast.walk(tree) if isinstance(node, ast.Expr)]
    docstrings = {id(node.value) for node in statements}  # which nothing runs
    dense = 0
    for node in ast.walk(tree):
        dense += _dense(node)
        yield from _import_reasons(node, own_modules)
        yield from _name_reasons(node)
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in docstrings
        ):
            yield from _text_reasons(node.value, own_modules)
        if isinstance(node, ast.Assign | ast.Expr | ast.Return) and _numbers(node) > MAX_NUMBERS:
            yield "holds a long list of numbers"
    if dense > MAX_DENSE:
        yield "holds data in its text"


def _import_reasons(node: ast.AST, own_modules: Set[str]) -> Iterator[str]:
    if _is_computed_import(node):
        yield "imports what only its run can tell"
    for name in _imported(node):
        yield from _framework_reason(name.partition(".")[0], own_modules)
        yield from (rule.reason for rule in RULES if rule.matches_import(name))


def _imported(node: ast.AST) -> list[str]:
    """The dotted names that a statement or call imports, as far as its text shows them."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and not node.level:
        return [f"{node.module}.{alias.name}" for alias in node.names]
    if isinstance(node, ast.Call) and _last_name(node.func) in _IMPORTERS:
        return [str(arg.value) for arg in node.args[:1] if isinstance(arg, ast.Constant)]
    return []


def _is_computed_import(node: ast.AST) -> bool:
    is_import = isinstance(node, ast.Call) and _last_name(node.func) in _IMPORTERS
    return is_import and not _imported(node)


def _framework_reason(name: str, own_modules: Set[str]) -> Iterator[str]:
    if name in FRAMEWORKS and name not in own_modules:
        yield f"uses another framework, {name}"


def _name_reasons(node: ast.AST) -> Iterator[str]:
    name, is_attribute = _last_name(node), isinstance(node, ast.Attribute)
    yield from (rule.reason for rule in RULES if rule.matches_name(name, is_attribute=is_attribute))
    if (
        isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and _last_name(node.value) in _PATCHED
    ):
        yield "replaces functions of a library"


def _text_reasons(text: str, own_modules: Set[str]) -> Iterator[str]:
    for name in _IMPORT.findall(text):
        yield from _framework_reason(name, own_modules)
    yield from (rule.reason for rule in RULES if rule.matches_text(text))


def _last_name(node: ast.AST) -> str:
    """The last name of ``a``, ``b.a`` or ``c.b.a``; empty for anything else."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _numbers(statement: ast.AST) -> int:
    nodes = (node.value for node in ast.walk(statement) if isinstance(node, ast.Constant))
    return sum(type(value) in (int, float, complex) for value in nodes)


def _dense(node: ast.AST) -> int:
    """Count a constant's letters or bytes in words too long for any language."""
    value = node.value if isinstance(node, ast.Constant) else None
    if isinstance(value, bytes):
        return len(value) if len(value) >= LONG_WORD else 0
    if type(value) is int:
        return value.bit_length() // 6 if value.bit_length() // 6 >= LONG_WORD else 0
    words = value.split() if isinstance(value, str) else []
    return sum(len(word) for word in words if len(word) >= LONG_WORD and len(set(word)) > 10)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - MAX_PLACES} more" if len(names) > MAX_PLACES else ""
    return ", ".join(names[:MAX_PLACES]) + more

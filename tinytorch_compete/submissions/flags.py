"""What a person should look at in a submission: sentences for staff, which decide nothing.

Code is read as syntax trees, without running it. Whoever wants to can evade this by renaming, so
what is found is a reason to look, and what isn't found proves nothing.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from tinytorch_compete.util.frameworks import FRAMEWORKS

# What an answer has no need of, by module, by name and by what it says in a string.
_REASONS: Mapping[str, tuple[str, str, str]] = {
    "touches the grader's probe": ("compete_probe", "", r"COMPETE_|compete_probe"),
    "rewrites cells that run later": (
        "",
        "ast_node_interactivity ast_transformers input_transformer_manager "
        "input_transformers_cleanup input_transformers_post",
        "",
    ),
    "reaches into the notebook's kernel": (
        "IPython.core ipykernel jupyter_client zmq",
        "get_ipython iopub_socket run_cell user_ns",
        r"kernel\.json|inside\.json",
    ),
    "calls C directly": ("_ctypes cffi ctypes", "ctypeslib", ""),
    "looks at objects and frames that aren't its own": (
        "",
        "f_back f_globals f_locals _getframe get_objects get_referents get_referrers",
        "",
    ),
    "starts processes or threads, or ends them": (
        "_posixsubprocess _thread concurrent multiprocessing subprocess threading",
        "_exit abort execv execve execvp fork forkpty kill killpg posix_spawn system",
        "",
    ),
    "uses the network": ("ftplib http requests socket ssl urllib urllib3", "", r"https?://"),
    "keeps memory where it is hard to count": ("mmap", "memfd_create shm_open", r"/dev/shm"),
    "changes limits, signals or clocks": (
        "resource signal",
        "clock_settime prctl setprofile setrlimit settrace",
        "",
    ),
    "names files outside its own folder": ("", "", r"^(/|\.\./)\w*.*|/proc/|\.ipynb"),
    "runs text as code": ("code codeop marshal runpy", "exec eval compile __builtins__", ""),
}
# Methods of other things are called so too: ``model.eval()``, ``re.compile``.
_ALONE = {"eval", "compile", "exec"}
_PATCHED = {"np", "numpy", "time", "json", "builtins", "IPython", "io", "socket"}
_IMPORTERS = {"__import__", "find_spec", "import_module"}
_COMMAND = re.compile(r"^[ \t]*(!|%%?(system|sx|bash|sh|script|pip|conda)\b)", re.MULTILINE)
_IMPORT = re.compile(r"\b(?:import|from)\s+(\w+)")

# Bounds on data in code. Of the sample submissions and the reference framework none has a word
# of ``WORD`` letters or more in a string, and none over 20 numbers in one statement; weights in
# base 85 are one word of 1,500 letters for 1,210 int8, of 36,000 for the gold sample's network.
WORD = 40
MAX_DENSE = 500
MAX_NUMBERS = 150
MAX_SOURCE = 256 * 1024  # a tree takes up to 200 times as much memory as its source
MAX_FILE = 64 * 1024
PLAIN = {".cfg", ".ini", ".ipynb", ".md", ".py", ".rst", ".toml", ".txt", ".yaml", ".yml"}
NAMED = 3


def read(sources: Mapping[str, str], files: Mapping[str, int]) -> tuple[str, ...]:
    """What there is to look at in the code and the files, a sentence each.

    ``sources`` maps the name of a cell or ``.py`` file to its text, ``files`` the path of every
    file to its size in bytes.
    """
    own = {PurePosixPath(name).parts[0].removesuffix(".py") for name in files}
    found: dict[str, list[str]] = {}
    room = MAX_SOURCE
    for name, text in sources.items():
        room -= len(text)
        tree = _tree(text) if room >= 0 else None
        reasons = set(_look(tree, own)) if tree else {_unread(room)}
        for reason in sorted(reasons | (_shell(text) if room >= 0 else set())):
            found.setdefault(reason, []).append(name)
    for name, size in files.items():
        if PurePosixPath(name).suffix not in PLAIN:
            found.setdefault("comes with a file that is no code", []).append(name)
        elif size > MAX_FILE and not name.endswith((".py", ".ipynb")):
            found.setdefault("comes with a large file", []).append(name)
    return tuple(f"{reason[:1].upper()}{reason[1:]}: {_some(at)}." for reason, at in found.items())


def _tree(text: str) -> ast.Module | None:
    """The syntax tree of a cell or file; ``None`` for what is no Python."""
    lines = (re.sub(r"^(\s*)[%!?].*", r"\1pass", line) for line in text.split("\n"))
    try:
        with warnings.catch_warnings():  # about the student's escapes, on the grader's terminal
            warnings.simplefilter("ignore")
            return ast.parse("\n".join(lines))
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None


def _unread(room: int) -> str:
    too_long = f"is beyond the first {MAX_SOURCE // 1024} KiB of code, which are looked at"
    return "can't be looked at as plain Python" if room >= 0 else too_long


def _shell(text: str) -> set[str]:
    return {"runs shell commands"} if _COMMAND.search(text) else set()


def _look(tree: ast.Module, own: set[str]) -> Iterator[str]:
    """The reasons to look at one tree; ``own`` are names of the submission's own modules."""
    statements = [node for node in ast.walk(tree) if isinstance(node, ast.Expr)]
    said = {id(node.value) for node in statements}  # docstrings, which nothing runs
    dense = 0
    for node in ast.walk(tree):
        dense += _dense(node)
        yield from _imported(node, own)
        yield from _named(node)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said:
            yield from _written(node.value, own)
        if isinstance(node, ast.Assign | ast.Expr | ast.Return) and _numbers(node) > MAX_NUMBERS:
            yield "holds a long list of numbers"
    if dense > MAX_DENSE:
        yield "holds data in its text"


def _imported(node: ast.AST, own: set[str]) -> Iterator[str]:
    names = []
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom) and not node.level:
        names = [f"{node.module}.{alias.name}" for alias in node.names]
    elif isinstance(node, ast.Call) and _last(node.func) in _IMPORTERS:
        given = [arg.value for arg in node.args[:1] if isinstance(arg, ast.Constant)]
        names = [str(value) for value in given]
        if not names:
            yield "imports what only its run can tell"
    for name in names:
        yield from _framework(name.partition(".")[0], own)
        for reason, (modules, _, _) in _REASONS.items():
            if any(f"{name}.".startswith(f"{module}.") for module in modules.split()):
                yield reason


def _framework(name: str, own: set[str]) -> Iterator[str]:
    if name in FRAMEWORKS and name not in own:
        yield f"uses another framework, {name}"


def _named(node: ast.AST) -> Iterator[str]:
    name = _last(node)
    if name and not (name in _ALONE and isinstance(node, ast.Attribute)):
        yield from (reason for reason, facts in _REASONS.items() if name in facts[1].split())
    if (
        isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and _last(node.value) in _PATCHED
    ):
        yield "replaces functions of a library"


def _written(text: str, own: set[str]) -> Iterator[str]:
    for name in _IMPORT.findall(text):
        yield from _framework(name, own)
    for reason, (_, _, pattern) in _REASONS.items():
        if pattern and re.search(pattern, text):
            yield reason


def _last(node: ast.AST) -> str:
    """The last name of ``a``, ``b.a`` or ``c.b.a``; empty for anything else."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _numbers(statement: ast.AST) -> int:
    nodes = (node.value for node in ast.walk(statement) if isinstance(node, ast.Constant))
    return sum(type(value) in (int, float, complex) for value in nodes)


def _dense(node: ast.AST) -> int:
    """How many letters of a constant are in words too long to be anybody's language."""
    value = node.value if isinstance(node, ast.Constant) else None
    if isinstance(value, bytes):
        return len(value) if len(value) >= WORD else 0
    if type(value) is int:
        return value.bit_length() // 6 if value.bit_length() // 6 >= WORD else 0
    words = value.split() if isinstance(value, str) else []
    return sum(len(word) for word in words if len(word) >= WORD and len(set(word)) > 10)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more

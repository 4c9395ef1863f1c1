"""Detect work that is repeated needlessly, or spread over too many threads."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence

from tinytorch_compete.insights.batches import trains
from tinytorch_compete.insights.finding import Finding, RunContext
from tinytorch_compete.source.code import Code
from tinytorch_compete.source.syntax import (
    changed,
    dotted,
    keyword,
    loads,
    method,
    number,
    receiver,
    shown,
    within,
)

HEAVY = (
    "mean sum std var max min argsort sort cumsum prod median norm exp log sqrt tanh arange "
    "linspace eye meshgrid matmul dot outer einsum transpose tile repeat pad concatenate "
    "percentile unique triu tril linalg.inv linalg.pinv linalg.svd linalg.eigh linalg.eig "
    "linalg.solve linalg.norm linalg.qr"
).split()
REDUCING = {"mean", "sum", "std", "var", "max", "min", "argsort", "astype", "dot", "cumsum"}
HARMLESS = {"len", "range", "float", "int", "abs", "min", "max", "sum", "tuple", "list"}
MAKERS = {"zeros", "ones", "full", "eye", "identity", "tri", "arange"}
OWN_LOOPS = (ast.FunctionDef, ast.ClassDef, ast.Lambda, ast.ListComp, ast.GeneratorExp)
VARIABLE = re.compile(r"_NUM_THREADS$")
COUNTS = {"cpu_count", "process_cpu_count"}
POOLS = {"ThreadPoolExecutor", "ProcessPoolExecutor", "Pool", "ThreadPool"}


def loop_constant(code: Code, context: RunContext) -> Iterator[Finding]:
    """Find an array that each pass recomputes although none of its inputs change."""
    for loop in ast.walk(code.tree):
        if not isinstance(loop, (ast.For, ast.While)):
            continue
        for node in constants(code, loop):
            yield Finding(
                (node,),
                f"Which of the names in `{shown(node)}` change from one pass to the next?",
                f"Nothing in `{shown(node)}` changes while the loop runs, yet it is computed on "
                "each pass. The result is the same every time.",
                "Compute it once before the loop and use the result inside.",
            )


def print_hot_loop(code: Code, context: RunContext) -> Iterator[Finding]:
    """Find a line that is printed at each step of an inner loop."""
    for node in ast.walk(code.tree):
        if not isinstance(node, ast.Call):
            continue
        if dotted(node.func) != "print" and not _only_prints(code, node):
            continue
        if not printed(code, node):
            continue
        yield Finding(
            (node,),
            "How many lines does this print in a whole run?",
            "Each `print` in a notebook sends a message to the browser and costs far more than the "
            "arithmetic around it, and every line is saved in the notebook. Nobody reads thousands "
            "of them.",
            "Print once per epoch, or every few hundred steps, and keep the rest in a list.",
        )


def threads(code: Code, context: RunContext) -> Iterator[Finding]:
    """Find code that requests more threads than the run has cores."""
    for node in ast.walk(code.tree):
        count = _in_environment(code, node) or _in_pool(code, node, context)
        if count is not None and count > context.threads:
            cores = "1 core" if context.threads == 1 else f"{context.threads} cores"
            yield Finding(
                (node,),
                "How many cores does the run have, and how many threads does this start?",
                f"The run has {cores}, so {count} threads have to take turns. They push each "
                "other's data out of the cache, each needs memory of its own, and the matrix "
                "library may start just as many again inside each.",
                f"Request {context.threads}; batches of a few hundred rows help more than threads.",
                (node,),
            )


def constants(code: Code, loop: ast.For | ast.While) -> list[ast.AST]:
    """Return a loop's largest expressions that are costly and the same on each pass."""
    bound = changed([loop])
    results: list[ast.AST] = []
    todo: list[ast.AST] = list(loop.body)
    while todo:
        node = todo.pop(0)
        own = isinstance(node, ast.expr) and code.loops(node)[:1] == [loop]
        if own and _is_costly(code, node) and _is_same(code, node, bound):
            results.append(node)
        elif not isinstance(node, OWN_LOOPS):
            todo += ast.iter_child_nodes(node)
    # hoisting saves nothing from the header of an inner loop or a statement that ends the loop
    ends = (ast.Return, ast.Raise, ast.For, ast.While)
    return [node for node in results if not isinstance(code.statement(node), ends)]


def printed(code: Code, node: ast.Call) -> bool:
    """Whether a print runs at each training step, or at each pass of a nested loop."""
    loops = code.loops(node)
    if not loops or code.guarded(node, loops[0]):
        return False
    return code.once("is hot", loops[0], lambda _: _is_hot(code, loops))


def _is_hot(code: Code, loops: Sequence[ast.For | ast.While]) -> bool:
    """Whether the innermost loop is one of many short passes, such as training steps."""
    target = getattr(loops[0], "target", None)
    if target is not None and "epoch" in ast.unparse(target):
        return False
    direct = code.direct(loops[0])
    if any(method(n) in {"backward", "step"} for n in direct):
        return True
    if all(_is_short(code, loop) for loop in loops) or any(_is_long(n) for n in direct):
        return False
    works = any(code.numpy(n) or isinstance(n, (ast.AugAssign, ast.MatMult)) for n in direct)
    return len(loops) > 1 and (works or trains(loops[0]))


def _only_prints(code: Code, node: ast.Call) -> bool:
    """Whether a call goes to a function that always prints and has no loop of its own."""
    helper = code.helper(node)
    if helper is None or any(isinstance(n, (ast.For, ast.While)) for n in within(helper)):
        return False
    calls = (s.value for s in helper.body if isinstance(s, ast.Expr))
    return any(isinstance(call, ast.Call) and dotted(call.func) == "print" for call in calls)


def _is_short(code: Code, loop: ast.For | ast.While) -> bool:
    """Whether a loop iterates over a literal tuple or list, given directly or by name."""
    source = getattr(loop, "iter", None)
    source = code.latest(source) if isinstance(source, ast.Name) else source
    return isinstance(source, (ast.Tuple, ast.List))


def _is_long(node: ast.AST) -> bool:
    """Whether a call trains a model, which makes the cost of printing negligible."""
    callee = dotted(node.func).split(".")[-1] if isinstance(node, ast.Call) else ""
    return bool(re.match(r"^(fit|train|run)", callee))


def _is_costly(code: Code, node: ast.AST) -> bool:
    """Whether an expression does heavy array work: a reduction, a product, a grid."""
    if isinstance(node, ast.BinOp):
        if isinstance(node.op, ast.MatMult):
            return True
        return _is_costly(code, node.left) or _is_costly(code, node.right)
    if isinstance(node, ast.UnaryOp):
        return _is_costly(code, node.operand)
    if not isinstance(node, ast.Call):
        return isinstance(node, ast.Subscript) and _is_costly(code, node.value)
    name = code.numpy(node)
    if helper := code.helper(node):
        return any(code.numpy(part) in HEAVY for part in within(helper))
    if name in {"exp", "log", "sqrt", "tanh", "max", "min"}:
        return any(_is_costly(code, arg) for arg in node.args)
    if name:
        return name in HEAVY
    if method(node) in REDUCING and isinstance(node.func, ast.Attribute):
        return bool(loads(receiver(node)))
    return False


def _is_same(code: Code, node: ast.AST, bound: set[str]) -> bool:
    """Whether an expression reads and calls only things that can't differ between passes."""
    paths = loads(node)
    if any(
        path == b or path.startswith(f"{b}.") or b.startswith(f"{path}.")
        for path in paths
        for b in bound
    ):
        return False
    if any("random" in path or path.startswith("rng") for path in paths):
        return False
    if not all(_is_repeatable(code, part) for part in ast.walk(node)):
        return False
    # methods that the loop calls may change their owner's attributes, but hardly a shape
    paths = paths - _shapes(code, node)
    return not any(
        "." in path and path.split(".")[0] not in ("np", "numpy")
        for path in paths
        if not _is_method(node, path)
    )


def _is_repeatable(code: Code, node: ast.AST) -> bool:
    """Whether a node is no call of an unknown or random function, and binds or yields nothing."""
    if isinstance(node, ast.Call):
        pure = _is_pure_call(code, node) or _is_pure(code, code.helper(node))
        return pure and not code.numpy(node).startswith("random.")
    return not isinstance(node, (ast.NamedExpr, ast.Await, ast.Yield, ast.YieldFrom, ast.Lambda))


def _is_pure_call(code: Code, call: ast.Call) -> bool:
    """Whether a call goes to numpy, a reducing method or a harmless builtin."""
    reduces = method(call) in REDUCING
    return bool(code.numpy(call)) or reduces or dotted(call.func) in HARMLESS


def _is_pure(code: Code, helper: ast.FunctionDef | None) -> bool:
    """Whether a function only binds names and calls numpy."""
    body = helper.body if helper else []
    docs = [s for s in body if isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant)]
    simple = (isinstance(s, (ast.Assign, ast.Return)) or s in docs for s in body)
    if helper is None or not all(simple):
        return False
    for node in within(helper):
        if isinstance(node, ast.Call):
            drawn = code.numpy(node).startswith("random.")
            if not _is_pure_call(code, node) or drawn or keyword(node, "out"):
                return False
        if isinstance(getattr(node, "ctx", None), ast.Store) and not isinstance(node, ast.Name):
            return False
    bound = changed(helper.body) | {a.arg for a in ast.walk(helper.args) if isinstance(a, ast.arg)}
    roots = {path.split(".")[0] for s in helper.body for path in loads(s)}
    return "self" not in roots and roots <= bound | HARMLESS | {"np", "numpy"}


def _shapes(code: Code, node: ast.AST) -> set[str]:
    """Return the names that occur only in shapes of new arrays."""
    makers = [p for p in ast.walk(node) if code.numpy(p) in MAKERS and isinstance(p, ast.Call)]
    in_shapes = [name for call in makers for shape in call.args[:1] for name in _loaded(shape)]
    everywhere = _loaded(node)
    return {name for name in in_shapes if in_shapes.count(name) == everywhere.count(name)}


def _loaded(node: ast.AST) -> list[str]:
    return [dotted(part) for part in ast.walk(node) if isinstance(part, (ast.Name, ast.Attribute))]


def _is_method(node: ast.AST, path: str) -> bool:
    callees = {dotted(n.func) for n in ast.walk(node) if isinstance(n, ast.Call)}
    return (path in callees and path.count(".") == 1) or path.endswith((".T", ".shape", ".size"))


def _in_environment(code: Code, node: ast.AST) -> int | None:
    """Return the threads set by ``os.environ["OMP_NUM_THREADS"] = "8"`` or ``setdefault``."""
    name: ast.AST | None = None
    value: ast.AST | None = None
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
        name, value = node.targets[0].slice, node.value
    elif method(node) == "setdefault" and isinstance(node, ast.Call) and len(node.args) == 2:
        name, value = node.args
    if isinstance(name, ast.Name) and code.loops(node):
        texts = ast.walk(getattr(code.loops(node)[0], "iter", node))
        name = next((n for n in texts if isinstance(n, ast.Constant)), None)
    if isinstance(name, ast.Constant) and VARIABLE.search(str(name.value)):
        text = str(getattr(value, "value", ""))
        return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else None
    return None


def _in_pool(code: Code, node: ast.AST, context: RunContext) -> int | None:
    """Return the number of workers that a pool of threads or processes is created with."""
    if not isinstance(node, ast.Call) or dotted(node.func).split(".")[-1] not in POOLS:
        return None
    size = keyword(node, "max_workers") or keyword(node, "processes")
    size = size or (node.args[0] if node.args else None)
    size = code.latest(size) if isinstance(size, ast.Name) else size
    if isinstance(size, ast.BinOp) and isinstance(size.op, ast.Mult):
        # any multiple of the core count exceeds it, whatever it is
        left_counts = _is_count(size.left)
        cores, times = (size.left, size.right) if left_counts else (size.right, size.left)
        factor = number(times) if _is_count(cores) else None
        return int(factor * context.threads) if factor else None
    value = number(size)
    return int(value) if value is not None else None


def _is_count(node: ast.expr) -> bool:
    """Whether an expression queries the number of cores."""
    return isinstance(node, ast.Call) and dotted(node.func).split(".")[-1] in COUNTS

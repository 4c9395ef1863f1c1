"""Change whole statements: move them before or after the loop, update in place, or delete."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tinytorch_compete.insights import memory, repeated_work
from tinytorch_compete.insights.rewriting import edits
from tinytorch_compete.insights.rewriting.edits import Edit
from tinytorch_compete.source.code import Code
from tinytorch_compete.source.syntax import changed, dotted, inside, keyword, line, loads

EVERY = 100


def loop_constant(code: Code, lines: set[int]) -> Iterator[Edit]:
    """Compute a constant expression once before the loop."""
    for loop in ast.walk(code.tree):
        if not isinstance(loop, (ast.For, ast.While)):
            continue
        done: list[ast.stmt] = []
        for node in repeated_work.constants(code, loop):
            statement = code.statement(node)
            if line(node) in lines and statement not in done:
                done.append(statement)
                yield from _hoisted(code, loop, node, statement)


def temporaries(code: Code, lines: set[int]) -> Iterator[Edit]:
    """Replace ``x = x - y`` by ``x -= y``."""
    for node in ast.walk(code.tree):
        if isinstance(node, ast.Assign) and node.lineno in lines and memory.in_place(code, node):
            value = node.value
            assert isinstance(value, ast.BinOp)
            data = code.text.encode()
            rest = data[edits.end(code, value.left) : edits.end(code, node)].decode().lstrip()
            sign = memory.sign(node)
            if rest.startswith(sign):
                target = edits.text(code, node.targets[0])
                yield edits.replace(code, node, f"{target} {sign}= {rest[len(sign) :].lstrip()}")


def growing_arrays(code: Code, lines: set[int]) -> Iterator[Edit]:
    """Collect the parts in a list and join them once after the loop."""
    for node in ast.walk(code.tree):
        if not isinstance(node, ast.Assign) or node.lineno not in lines or not code.loops(node):
            continue
        loop, name, call = code.loops(node)[-1], dotted(node.targets[0]), node.value
        if not isinstance(call, ast.Call) or not name or not edits.movable(code, node):
            continue
        part = _part(code, call, name)
        if part is None or _other_uses(loop, node, name) or _leaves(loop):
            continue
        parts = edits.unused(code, name.split(".")[-1] + "_parts")
        join = ast.unparse(call.func).replace(".append", ".concatenate")
        more = "".join(f", {edits.text(code, k)}" for k in call.keywords)
        more += "".join(
            f", {edits.text(code, a)}" for a in call.args[1:] if not _appends(code, call)
        )
        margin = edits.margin(code, loop)
        yield edits.insert(code, loop.lineno, f"{margin}{parts} = [{name}]")
        yield edits.replace(code, node, f"{parts}.append({part})")
        yield edits.insert(code, _after(loop), f"{margin}{name} = {join}({parts}{more})")


def print_hot_loop(code: Code, lines: set[int]) -> Iterator[Edit]:
    """Print the line once after the inner loop, for its last pass."""
    for node in ast.walk(code.tree):
        if isinstance(node, ast.Call) and node.lineno in lines and dotted(node.func) == "print":
            statement = code.statement(node)
            loops = code.loops(node)
            if loops and repeated_work.printed(code, node) and statement in loops[0].body:
                yield from _moved_out(code, loops[0], [statement])


def evaluate_often(code: Code, lines: set[int]) -> Iterator[Edit]:
    """Move the evaluation after the inner loop, or run it every hundred steps."""
    for loop in ast.walk(code.tree):
        if not isinstance(loop, (ast.For, ast.While)):
            continue
        first = next((s for s in loop.body if _around(s, lines)), None)
        if first is None or any(
            first in (*ast.walk(other),) for other in loop.body if isinstance(other, ast.For)
        ):
            continue
        group = _dependants(loop, first)
        if code.loops(loop):
            yield from _moved_out(code, loop, group)
        elif isinstance(loop, ast.For) and _counter(loop):
            yield from _thinned(code, group, _counter(loop))


def unread_cache(code: Code, lines: set[int]) -> Iterator[Edit]:
    """Delete the line that stores an array nobody reads."""
    for node in ast.walk(code.tree):
        if not isinstance(node, (ast.Assign, ast.Expr)) or node.lineno not in lines:
            continue
        if edits.movable(code, node) and edits.body_remains(code, node, [node]):
            yield edits.delete(code, node)


def _hoisted(
    code: Code, loop: ast.For | ast.While, node: ast.AST, statement: ast.stmt
) -> Iterator[Edit]:
    """Move the statement before the loop if it only names the value, else name the value there."""
    margin = edits.margin(code, loop)
    name = dotted(statement.targets[0]) if isinstance(statement, ast.Assign) else ""
    whole = isinstance(statement, ast.Assign) and statement.value is node and "." not in name
    others = [s for s in inside(loop.body) if isinstance(s, ast.stmt) and s is not statement]
    simple = [s for s in others if not isinstance(s, (ast.For, ast.While, ast.If, ast.With))]
    if whole and name and name not in changed(simple) and statement in loop.body:
        if edits.movable(code, statement) and edits.body_remains(code, statement, [statement]):
            block = edits.moved(edits.lines(code, statement), edits.margin(code, statement), margin)
            yield edits.delete(code, statement)
            yield edits.insert(code, loop.lineno, block)
        return
    constant = edits.unused(code, "constant")
    yield edits.insert(code, loop.lineno, f"{margin}{constant} = {ast.unparse(node)}")
    yield edits.replace(code, node, constant)


def _part(code: Code, call: ast.Call, name: str) -> str | None:
    """Return what each pass adds to the array; None unless the array is the first of two."""
    if _appends(code, call):
        second = call.args[1] if len(call.args) == 2 and dotted(call.args[0]) == name else None
        if second is None:
            return None
        text = edits.text(code, second)
        return text if keyword(call, "axis") else f"np.ravel({text})"
    joined = call.args[0] if call.args else None
    if not isinstance(joined, (ast.List, ast.Tuple)) or len(joined.elts) != 2:
        return None
    return edits.text(code, joined.elts[1]) if dotted(joined.elts[0]) == name else None


def _appends(code: Code, call: ast.Call) -> bool:
    return code.numpy(call) == "append"


def _other_uses(loop: ast.AST, node: ast.stmt, name: str) -> bool:
    """Whether a loop reads or writes a name in a statement other than this one."""
    own = {*ast.walk(node)}
    return any(dotted(n) == name for n in ast.walk(loop) if n not in own)


def _leaves(loop: ast.For | ast.While) -> bool:
    return any(isinstance(n, (ast.Return, ast.Yield)) for n in inside(loop.body)) or bool(
        loop.orelse
    )


def _after(loop: ast.stmt) -> int:
    return (loop.end_lineno or loop.lineno) + 1


def _moved_out(code: Code, loop: ast.For | ast.While, group: list[ast.stmt]) -> Iterator[Edit]:
    """Move statements of a loop's body after the loop."""
    fits = all(edits.movable(code, s) for s in group) and edits.body_remains(code, group[0], group)
    if not fits or loop.orelse:
        return
    margin = edits.margin(code, loop)
    blocks = [edits.moved(edits.lines(code, s), edits.margin(code, s), margin) for s in group]
    yield from (edits.delete(code, statement) for statement in group)
    yield edits.insert(code, _after(loop), "\n".join(blocks))


def _thinned(code: Code, group: list[ast.stmt], counter: str) -> Iterator[Edit]:
    """Run statements only on every hundredth pass."""
    if not all(edits.movable(code, s) for s in group):
        return
    margin = edits.margin(code, group[0])
    blocks = [edits.moved(edits.lines(code, s), margin, margin + "    ") for s in group]
    head = f"{margin}if {counter} % {EVERY} == 0:\n"
    yield edits.insert(code, _after(group[-1]), head + "\n".join(blocks))
    yield from (edits.delete(code, statement) for statement in group)


def _dependants(loop: ast.For | ast.While, first: ast.stmt) -> list[ast.stmt]:
    """Return a statement of a loop and the later ones that read its results."""
    group, results = [first], changed([first])
    for statement in loop.body[loop.body.index(first) + 1 :]:
        if results & loads(statement):
            group.append(statement)
            results |= changed([statement])
    return group


def _around(statement: ast.stmt, lines: set[int]) -> bool:
    last = statement.end_lineno or statement.lineno
    return any(statement.lineno <= line <= last for line in lines)


def _counter(loop: ast.For) -> str:
    """Return the name that counts a loop's passes; empty without one."""
    call = loop.iter
    by_one = isinstance(call, ast.Call) and dotted(call.func) == "range" and len(call.args) < 3
    return loop.target.id if by_one and isinstance(loop.target, ast.Name) else ""

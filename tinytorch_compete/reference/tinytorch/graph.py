"""Reverse-mode differentiation that visits every operation once, however deep or tangled the graph.

The graph consists of ``Operation`` records, one on each tensor that results from an operation.
Gradients flow from the root back to the leaves, the tensors that the user created with
``requires_grad=True``; only leaves keep theirs, in ``.grad``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from .tensor import Tensor

Array: TypeAlias = NDArray[np.float32]
Backward: TypeAlias = Callable[[Array], "tuple[Array | None, ...]"]

_recording: ContextVar[bool] = ContextVar("recording", default=True)


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """The origin of a tensor: its inputs, and how a gradient passes back to them.

    ``backward`` takes the gradient of the result and returns one gradient for each parent, of the
    parent's shape, or None for a parent that needs none. It must not write into its argument, and
    must not return an array that it keeps or gives to two parents, except its argument itself.
    """

    parents: tuple[Tensor, ...]
    backward: Backward


RELEASED = Operation((), lambda gradient: ())


@contextmanager
def no_grad() -> Iterator[None]:
    """Record no operations within this block, so that activations are freed as soon as possible.

    Blocks nest, end even after an exception, and affect the current thread only.
    """
    token = _recording.set(False)
    try:
        yield
    finally:
        _recording.reset(token)


def is_recording() -> bool:
    """True unless the caller is inside ``no_grad``."""
    return _recording.get()


def backpropagate(root: Tensor, gradient: Array) -> None:
    """Add each leaf's gradient to its ``.grad``, for all leaves under ``root``; release the graph.

    ``gradient`` is the root's gradient and has its shape. The time is linear in the number of
    operations and their inputs. Each operation is released right after its turn, so that
    activations are freed during the pass.

    Raises:
        RuntimeError: part of the graph was released by an earlier backward pass.
    """
    if root.operation is None:
        _accumulate(root, gradient, owned=False)
        return
    order = _topological_order(root)
    pending = {id(root): gradient}
    while order:
        tensor = order.pop()
        operation, tensor.operation = tensor.operation, RELEASED
        incoming = pending.pop(id(tensor), None)
        if operation is None or incoming is None:
            continue
        for parent, outgoing in zip(operation.parents, operation.backward(incoming), strict=True):
            if outgoing is None or not parent.requires_grad:
                continue
            if parent.operation is None:
                _accumulate(parent, outgoing, outgoing is not incoming and outgoing.base is None)
            elif id(parent) in pending:
                pending[id(parent)] = pending[id(parent)] + outgoing
            else:
                pending[id(parent)] = outgoing


def _topological_order(root: Tensor) -> list[Tensor]:
    """List every recorded tensor under ``root``, each after all of its parents; the root is last.

    This is the post-order of a depth-first search with an explicit stack: Python's call stack ends
    at about 1,000 frames, enough only for a short recurrent network.
    """
    order: list[Tensor] = []
    seen = {id(root)}
    stack = [(root, iter(_parents(root)))]
    while stack:
        tensor, parents = stack[-1]
        for parent in parents:
            if parent.operation is not None and id(parent) not in seen:
                seen.add(id(parent))
                stack.append((parent, iter(_parents(parent))))
                break
        else:
            order.append(tensor)
            stack.pop()
    return order


def _parents(tensor: Tensor) -> tuple[Tensor, ...]:
    if tensor.operation is RELEASED:
        raise RuntimeError(
            f"the graph of a tensor of shape {tensor.shape} was released by an earlier backward(); "
            "run the forward pass again"
        )
    return tensor.operation.parents if tensor.operation is not None else ()


def _accumulate(leaf: Tensor, gradient: Array, owned: bool) -> None:
    """Add to a leaf's ``.grad``; a gradient that may share memory with another is copied first."""
    if leaf.grad is None:
        leaf.grad = np.asarray(gradient) if owned else np.array(gradient)
    else:
        leaf.grad += gradient

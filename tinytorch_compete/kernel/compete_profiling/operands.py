"""Look up the dtypes and shapes of the arrays that a line works on, by name, as the line begins.

No code of the student's is called for this: attributes are read from the instance's own dictionary
or slots, so properties stay unknown.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping, Sequence
from types import FrameType, MemberDescriptorType
from typing import Any

import numpy as np

LOOKS = 32  # how many of a line's first hits to look at the operands of
Watch = Mapping[str, Mapping[int, Sequence[str]]]
# In 3.12 a function's f_locals is a copy that would keep arrays alive for as long as the frame
# lives, so we clear it; functions that might hold that copy themselves are skipped.
_COPIES = sys.version_info[:2] == (3, 12)
_HOLDERS = frozenset({"locals", "vars", "eval", "exec", "dir"})


def look(paths: Sequence[str], frame: FrameType) -> tuple[tuple[Any, ...] | None, ...]:
    """Return each dotted name's dtype and shape as ``("<f4", 3, 5)``, or ``None``."""
    code = frame.f_code
    copied = _COPIES and bool(code.co_flags & inspect.CO_OPTIMIZED)
    if copied and not _HOLDERS.isdisjoint(code.co_names):
        return (None,) * len(paths)
    names = frame.f_locals
    facts = tuple(_facts(_value(path.split("."), names, frame.f_globals)) for path in paths)
    if copied:
        names.clear()
    return facts


def _value(path: Sequence[str], names: Mapping[str, Any], globals_: Mapping[str, Any]) -> Any:
    value = names.get(path[0], globals_.get(path[0]))
    for attribute in path[1:]:
        value = _attribute(value, attribute)
    return value


def _attribute(value: Any, name: str) -> Any:
    for kind in type(value).__mro__:
        if name in kind.__dict__:
            slot = kind.__dict__[name]
            try:
                return slot.__get__(value) if type(slot) is MemberDescriptorType else None
            except AttributeError:
                return None
    try:
        return object.__getattribute__(value, "__dict__").get(name)
    except AttributeError:
        return None


def _facts(value: Any) -> tuple[Any, ...] | None:
    if type(value) is np.ndarray or isinstance(value, np.generic):
        return (value.dtype.str, *value.shape)
    return (type(value).__name__,) if type(value) in (bool, int, float) else None

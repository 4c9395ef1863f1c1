"""Leave out the middle of a deep stack, and of a long chain of errors, when IPython shows them.

IPython (9.18) doesn't fold the calls of a kernel's cells, which are no files, and looks at each
anew: the thousand of an endless recursion took 2 s, 5 to 9 s under the profiler, and 4,000 lines of
output; where each call raised an error from the one below, 7 s and 24 s. Student code can undo
this, and gains nothing.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any

FIRST, LAST = 10, 20  # calls of a traceback that are shown
ERRORS = 4  # of a chain that are shown before the one that began it
CALLS_NOTE = "({} calls between the first {} and the last {} of a traceback are left out)\n"
ERRORS_NOTE = "({} errors between the first and the last {} are left out)\n"


METHODS = ("structured_traceback", "get_records", "get_parts_of_chained_exception")


def shorten(formatter: Any) -> None:
    """Have IPython's formatter of tracebacks leave out what is too much, if we know it."""
    if all(hasattr(formatter, name) for name in METHODS):
        Shortening(formatter)


class Shortening:
    """Stands in for three methods of a formatter."""

    def __init__(self, formatter: Any) -> None:
        self._render = formatter.structured_traceback
        self._records = formatter.get_records
        self._cause = formatter.get_parts_of_chained_exception
        self._errors, self._notes = 0, list[str]()
        formatter.structured_traceback = self.structured_traceback
        formatter.get_records = self.get_records
        formatter.get_parts_of_chained_exception = self.get_parts_of_chained_exception

    def structured_traceback(self, *args: Any, **kwargs: Any) -> list[str]:
        """The traceback in pieces, with a note before the error's own message, the last one."""
        self._errors = 0
        self._notes.clear()
        shown = self._render(*args, **kwargs)
        return [*shown[:-1], *self._notes, *shown[-1:]]

    def get_records(self, traceback: TracebackType, *args: Any, **kwargs: Any) -> Any:
        """What is known of the calls in a traceback; it is asked for by error."""
        calls = _calls(traceback)
        if left_out := max(0, len(calls) - FIRST - LAST):
            self._notes.append(CALLS_NOTE.format(left_out, FIRST, LAST))
            traceback = _joined(calls[:FIRST], calls[-LAST])
        return self._records(traceback, *args, **kwargs)

    def get_parts_of_chained_exception(self, error: BaseException | None) -> Any:
        """The error that another came from, or the very first one, where many are in between."""
        self._errors += 1
        if self._errors > ERRORS:
            return None
        found = self._cause(error)
        if self._errors == ERRORS:
            seen: set[int] = set()
            while found and id(found[1]) not in seen and (before := self._cause(found[1])):
                seen.add(id(found[1]))
                found = before
            if seen:
                self._notes.append(ERRORS_NOTE.format(len(seen), ERRORS))
        return found


def _calls(traceback: TracebackType | None) -> list[TracebackType]:
    found = []
    while traceback is not None:
        found.append(traceback)
        traceback = traceback.tb_next
    return found


def _joined(first: list[TracebackType], rest: TracebackType) -> TracebackType:
    """A traceback of some calls, and then of others."""
    for call in reversed(first):
        rest = TracebackType(rest, call.tb_frame, call.tb_lasti, call.tb_lineno)
    return rest

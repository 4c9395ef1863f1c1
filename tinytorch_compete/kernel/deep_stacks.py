"""Shorten the tracebacks that IPython shows: omit the middle of deep stacks and long error chains.

IPython (9.18) doesn't fold calls from a kernel's cells, because cells are not files, and inspects
each call anew. The thousand calls of an endless recursion took 2 s (5 to 9 s under the profiler)
and 4,000 lines of output; where each call raised an error from the one below, 7 s (24 s). Student
code can undo this and gains nothing by it.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any

FIRST, LAST = 10, 20  # calls shown at each end of a traceback
ERRORS = 4  # errors of a chain shown before the one that began it
CALLS_NOTE = "({} calls between the first {} and the last {} of a traceback are left out)\n"
ERRORS_NOTE = "({} errors between the first and the last {} are left out)\n"
METHODS = ("structured_traceback", "get_records", "get_parts_of_chained_exception")


def shorten(formatter: Any) -> None:
    """Shorten what IPython's traceback formatter shows, if it has the methods that we replace."""
    if all(hasattr(formatter, name) for name in METHODS):
        Shortening(formatter)


class Shortening:
    """Replacements for three methods of a traceback formatter."""

    def __init__(self, formatter: Any) -> None:
        self._render = formatter.structured_traceback
        self._records = formatter.get_records
        self._cause = formatter.get_parts_of_chained_exception
        self._errors, self._notes = 0, list[str]()
        formatter.structured_traceback = self.structured_traceback
        formatter.get_records = self.get_records
        formatter.get_parts_of_chained_exception = self.get_parts_of_chained_exception

    def structured_traceback(self, *args: Any, **kwargs: Any) -> list[str]:
        """Return the traceback in pieces, with our notes before the error message, the last one."""
        self._errors = 0
        self._notes.clear()
        shown = self._render(*args, **kwargs)
        return [*shown[:-1], *self._notes, *shown[-1:]]

    def get_records(self, traceback: TracebackType, *args: Any, **kwargs: Any) -> Any:
        """Return the records of the calls in a traceback; IPython asks once per error."""
        calls = _calls(traceback)
        if left_out := max(0, len(calls) - FIRST - LAST):
            self._notes.append(CALLS_NOTE.format(left_out, FIRST, LAST))
            traceback = _joined(calls[:FIRST], calls[-LAST])
        return self._records(traceback, *args, **kwargs)

    def get_parts_of_chained_exception(self, error: BaseException | None) -> Any:
        """Return the error that another came from, skipping to the first one in a long chain."""
        self._errors += 1
        if self._errors > ERRORS:
            return None
        cause = self._cause(error)
        if self._errors == ERRORS:
            skipped: set[int] = set()
            while cause and id(cause[1]) not in skipped and (earlier := self._cause(cause[1])):
                skipped.add(id(cause[1]))
                cause = earlier
            if skipped:
                self._notes.append(ERRORS_NOTE.format(len(skipped), ERRORS))
        return cause


def _calls(traceback: TracebackType | None) -> list[TracebackType]:
    calls = []
    while traceback is not None:
        calls.append(traceback)
        traceback = traceback.tb_next
    return calls


def _joined(first: list[TracebackType], rest: TracebackType) -> TracebackType:
    """Join the first calls of a traceback to the rest."""
    for call in reversed(first):
        rest = TracebackType(rest, call.tb_frame, call.tb_lasti, call.tb_lineno)
    return rest

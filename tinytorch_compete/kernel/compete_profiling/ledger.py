"""Who held how much: a level of memory, and the lines that were open while it moved."""

from __future__ import annotations


class Cost:
    """Bytes that a line still held after its hits, summed, and the highest within one."""

    __slots__ = ("net", "peak", "seen")

    def __init__(self) -> None:
        self.net = self.peak = 0
        self.seen = False  # at least one hit between two marks


class _Open:
    """A frame of the main thread on a line: the level at its start and the highest since."""

    __slots__ = ("index", "peak", "start")

    def __init__(self, index: int, start: int) -> None:
        self.index, self.start, self.peak = index, start, start


class Moment:
    """One point of the run: its level, who had made what was held, and the lines that were on.

    The lines are outermost first, each with how many times it had begun; 0 where nobody counted.
    """

    __slots__ = ("held", "level", "on")

    def __init__(self, level: int, held: dict[int, int], on: list[tuple[int, int]]) -> None:
        self.level, self.held, self.on = level, held, on


class Ledger:
    """Turns changes of the level and the clock's marks into each line's net and peak.

    In a silence nobody says which line is on: there ``charge`` is told of blocks and their lines.
    """

    def __init__(self) -> None:
        self.level = 0
        self.costs: dict[int, Cost] = {}
        self.silent = False
        self._uncounted = False  # since the first silence
        self._open: list[_Open] = []
        self._held: dict[int, int] = {}  # by line: bytes of blocks charged to it
        self._begun: dict[int, int] = {}  # by line: how many times, since marks are there

    def change(self, size: int) -> None:
        """The level moves by so many bytes."""
        self.level += size
        if self._open and self.level > self._open[-1].peak:
            self._open[-1].peak = self.level

    def top(self) -> tuple[int, ...]:
        """The line that the innermost frame is on, if it is known."""
        return (self._open[-1].index,) if self._open and self._open[-1].index else ()

    def on(self) -> list[tuple[int, int]]:
        """The lines that are on, outermost first, and how many times each had begun."""
        return [
            (entry.index, 0 if self._uncounted else self._begun.get(entry.index, 0))
            for entry in self._open
            if entry.index
        ]

    def charge(self, indices: tuple[int, ...], size: int) -> None:
        """Lines that no mark tells apart made or freed a block."""
        for index in indices:
            self._held[index] = held = self._held.get(index, 0) + size
            cost = self.costs.setdefault(index, Cost())
            # What a line holds on to over many hits is no peak within one.
            cost.peak = max(cost.peak, size if cost.seen else held)

    def mark(self, op: int) -> None:
        """One of the clock's marks, as ``(depth << 32) + index``."""
        depth, index = op >> 32, op & 0xFFFFFFFF
        if depth >= 0:
            self._cut(depth, self.level)
            while index and len(self._open) < depth:  # frames without a mark, too fast for one
                self._open.append(_Open(0, self.level))
            if index:
                self._open.append(_Open(index, self.level))
                self._begun[index] = self._begun.get(index, 0) + 1
        elif depth == -1:
            self.silent = True
            self._uncounted = True
            self._open.append(_Open(0, self.level))  # holds the silence's own peak
        else:
            self._end_silence(-2 - depth)

    def close(self) -> None:
        """The end: whatever is open is left."""
        if self.silent:
            self._end_silence(0)
        self._cut(0, self.level)
        self._settle()

    def _end_silence(self, kept: int) -> None:
        """Frames beyond the outermost ``kept`` count as left when the silence began."""
        if not self.silent:
            return
        quiet = self._open.pop()
        self._cut(kept, quiet.start)
        if self._open:
            self._open[-1].peak = max(self._open[-1].peak, quiet.peak)
        self.silent = False
        self._settle()

    def _settle(self) -> None:
        """What charged lines still hold is their net; lines that are open know it themselves."""
        still = {entry.index for entry in self._open}
        for index, held in self._held.items():
            if index not in still:
                self.costs.setdefault(index, Cost()).net += held
        self._held.clear()

    def _cut(self, depth: int, level: int) -> None:
        while len(self._open) > depth:
            entry = self._open.pop()
            if self._open and entry.peak > self._open[-1].peak:
                self._open[-1].peak = entry.peak
            if not any(outer.index == entry.index for outer in self._open):
                cost = self.costs.setdefault(entry.index, Cost())
                cost.seen = True
                cost.net += level - entry.start
                cost.peak = max(cost.peak, entry.peak - entry.start)

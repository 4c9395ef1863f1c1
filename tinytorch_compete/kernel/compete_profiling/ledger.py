"""Attribute memory to lines: the level of memory, and the lines open while it changed."""

from __future__ import annotations


class Cost:
    """Bytes that a line's hits left behind, summed, and the highest peak within one hit."""

    __slots__ = ("marked", "net", "peak")

    def __init__(self) -> None:
        self.net = self.peak = 0
        self.marked = False  # whether at least one hit was between two marks


class _OpenLine:
    """A line that a main-thread frame is on: the level at its start and the highest since."""

    __slots__ = ("index", "peak", "start")

    def __init__(self, index: int, start: int) -> None:
        self.index, self.start, self.peak = index, start, start


class Moment:
    """One point of the run: the level, the bytes held by the line that made them, the lines on.

    The lines on are outermost first, each with how many times it had begun; 0 if that wasn't
    counted.
    """

    __slots__ = ("held", "level", "on")

    def __init__(self, level: int, held: dict[int, int], on: list[tuple[int, int]]) -> None:
        self.level, self.held, self.on = level, held, on


class Ledger:
    """Turns changes of the level and the clock's marks into each line's net and peak.

    In a silence no mark says which line is on: ``charge`` then receives blocks with their lines.
    """

    def __init__(self) -> None:
        self.level = 0
        self.costs: dict[int, Cost] = {}
        self.silent = False
        self._uncounted = False  # True from the first silence on
        self._open: list[_OpenLine] = []
        self._held: dict[int, int] = {}  # by line: bytes of the blocks charged to it
        self._begun: dict[int, int] = {}  # by line: how many times it began, as far as marked

    def change(self, size: int) -> None:
        """Change the level by ``size`` bytes."""
        self.level += size
        if self._open and self.level > self._open[-1].peak:
            self._open[-1].peak = self.level

    def top(self) -> tuple[int, ...]:
        """Return the line that the innermost frame is on, if it is known."""
        return (self._open[-1].index,) if self._open and self._open[-1].index else ()

    def on(self) -> list[tuple[int, int]]:
        """Return the lines that are on, outermost first, and how many times each has begun."""
        return [
            (entry.index, 0 if self._uncounted else self._begun.get(entry.index, 0))
            for entry in self._open
            if entry.index
        ]

    def charge(self, indices: tuple[int, ...], size: int) -> None:
        """Charge a block, made or freed (negative size), to lines that no mark distinguishes."""
        for index in indices:
            self._held[index] = held = self._held.get(index, 0) + size
            cost = self.costs.setdefault(index, Cost())
            # Memory that a line accumulates over many hits is not a peak within one.
            cost.peak = max(cost.peak, size if cost.marked else held)

    def mark(self, op: int) -> None:
        """Process one of the clock's marks, ``(depth << 32) + index``."""
        depth, index = op >> 32, op & 0xFFFFFFFF
        if depth >= 0:
            self._cut(depth, self.level)
            while index and len(self._open) < depth:  # frames too fast to be marked
                self._open.append(_OpenLine(0, self.level))
            if index:
                self._open.append(_OpenLine(index, self.level))
                self._begun[index] = self._begun.get(index, 0) + 1
        elif depth == -1:
            self.silent = True
            self._uncounted = True
            self._open.append(_OpenLine(0, self.level))  # holds the silence's own peak
        else:
            self._end_silence(-2 - depth)

    def close(self) -> None:
        """End the record and close every open line."""
        if self.silent:
            self._end_silence(0)
        self._cut(0, self.level)
        self._settle()

    def _end_silence(self, depth: int) -> None:
        """End a silence; frames beyond the outermost ``depth`` count as left when it began."""
        if not self.silent:
            return
        quiet = self._open.pop()
        self._cut(depth, quiet.start)
        if self._open:
            self._open[-1].peak = max(self._open[-1].peak, quiet.peak)
        self.silent = False
        self._settle()

    def _settle(self) -> None:
        """Add to each closed line's net what it still holds; open lines measure it themselves."""
        open_lines = {entry.index for entry in self._open}
        for index, held in self._held.items():
            if index not in open_lines:
                self.costs.setdefault(index, Cost()).net += held
        self._held.clear()

    def _cut(self, depth: int, level: int) -> None:
        while len(self._open) > depth:
            entry = self._open.pop()
            if self._open and entry.peak > self._open[-1].peak:
                self._open[-1].peak = entry.peak
            if not any(outer.index == entry.index for outer in self._open):
                cost = self.costs.setdefault(entry.index, Cost())
                cost.marked = True
                cost.net += level - entry.start
                cost.peak = max(cost.peak, entry.peak - entry.start)

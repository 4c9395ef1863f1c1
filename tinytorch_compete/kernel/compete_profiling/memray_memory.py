"""Memory by line from memray's record of every allocation, replayed in order.

A free carries no line and no record carries a time, so the clock's line events are put into the
record itself: at each, small blocks are made whose sizes say which event it is. Between two such
marks all that was made and freed belongs to the lines that were open, so the net change and the
peak within a line are exact. In a silence there are no marks: there a block is charged to the lines
of the stack that made it, and one that goes is taken off the lines that made it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import memray
import numpy as np

from .ledger import Cost, Ledger, Moment

# A mark is two blocks, each gone at once: one of a constant size, which opens it, and one whose
# size counts the marks. Both are beyond what Python's own allocator serves (512 bytes). A thread
# that comes in between can spoil a mark; the next then stands for up to SKIPPED spoilt ones too.
OPENING, BASE, SPAN, SKIPPED = 1499, 769, 512, 32
CHUNK = 16 * 2**20  # bytes of record; then it is replayed and begun anew
# What Python maps at a time for small objects. Other mappings are files, or address space that is
# kept for later (OpenBLAS takes 32 MiB at its first product): they say nothing of memory used.
ARENA = 2**20
MARKS = 2**20  # that are kept; near that number the record is replayed, too
LOOK = 4096  # marks between two looks at the record's size
SMALLEST = 2**20  # bytes of the first moment that is worth remembering
GRAIN = 100  # a higher level is another moment if it is higher by one part of so many
DEPTH = 60  # frames of a stack that are looked through for the student's

MMAP, MUNMAP = int(memray.AllocatorType.MMAP), int(memray.AllocatorType.MUNMAP)
FREES = frozenset(map(int, (memray.AllocatorType.FREE, memray.AllocatorType.PYMALLOC_FREE)))


class Memory:
    """Records allocations from ``start`` to ``stop``; then ``costs`` has them by line index.

    ``index_of`` maps a file and a line number to the index of a line of the student's, or to 0.
    ``on_full`` is called when the record has grown so large that it is time to ``roll``. ``moment``
    is when the level first passed ``cap`` bytes, or else was at its highest.
    """

    name = "memray"
    later = 4.0  # measured: a mark is four records

    def __init__(
        self, index_of: Callable[[str, int], int], on_full: Callable[[], None], cap: int = 0
    ) -> None:
        self._on_full = on_full
        self._folder = tempfile.mkdtemp(prefix="profile-")
        self._path = os.path.join(self._folder, "record")
        self._tracker: Any = None
        # Made before the record begins, so that it is not in it, and touched only as it fills.
        self._log = np.zeros(MARKS, np.int64).data
        self._count = 0
        self._replay = Replay(index_of, cap)
        self.full = False

    @property
    def costs(self) -> Mapping[int, Cost]:
        """What each line did, by its index."""
        return self._replay.ledger.costs

    @property
    def moment(self) -> Moment | None:
        """See the class."""
        return self._replay.moment

    def start(self) -> None:
        """Begin to record; raises ``RuntimeError`` if memray records in this process already."""
        target = memray.FileDestination(self._path, overwrite=True, compress_on_exit=False)
        try:
            self._tracker = memray.Tracker(destination=target, memory_interval_ms=1000)
            self._tracker.__enter__()
        except RuntimeError:
            shutil.rmtree(self._folder)
            raise

    def mark(self, depth: int, index: int) -> None:
        """The frame at ``depth`` begins the line ``index`` or, with 0, is left.

        A depth of -1 begins a silence; -2 - n ends it with the n outermost frames still open.
        """
        count = self._count
        if count == MARKS:
            return
        bytearray(OPENING - 1)  # its block has one byte more
        bytearray(BASE - 1 + count % SPAN)
        self._log[count] = (depth << 32) + index
        self._count = count + 1
        if not self._count % LOOK:
            self.look()

    def look(self) -> None:
        """See whether the record has grown so much that it must be replayed."""
        if os.stat(self._path).st_size > CHUNK or self._count > MARKS - 16 * LOOK:
            self.full = True
            self._on_full()

    def roll(self) -> None:
        """Replay what was recorded, and begin a new record."""
        self._end()
        self.start()

    def stop(self) -> None:
        """End the record and replay it; the files are gone afterwards."""
        self._end()
        self._replay.ledger.close()
        os.rmdir(self._folder)

    def _end(self) -> None:
        tracker, self._tracker = self._tracker, None
        if tracker is None:
            return
        tracker.__exit__(None, None, None)
        try:
            with memray.FileReader(self._path) as reader:
                self._replay.run(reader.get_allocation_records(), self._log[: self._count])
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path)
            self._count = 0
            self.full = False


class Replay:
    """Follows the level of memory through records and marks, over any number of records."""

    def __init__(self, index_of: Callable[[str, int], int], cap: int) -> None:
        self.ledger = Ledger()
        self.moment: Moment | None = None
        self._cap = cap or sys.maxsize
        self._worth = SMALLEST  # the level that is the next moment
        self._held: dict[int, int] = {}  # bytes that are alive, by the line that made them
        self._last: tuple[int, ...] = ()  # who made the last block, innermost first
        self._index_of = index_of
        # by address: the size, and the lines that made it
        self._blocks: dict[int, tuple[int, tuple[int, ...]]] = {}
        self._stacks: dict[int, tuple[int, ...]] = {}
        self._main: int | None = None

    def run(self, records: Any, marks: Sequence[int]) -> None:
        """Take in one record and its marks, in the order in which they were made."""
        self._stacks = {}  # memray numbers them anew in each record
        done = opening = 0
        opened = False
        for record in records:
            kind, size = record.allocator, record.size
            if kind in FREES:
                opened = record.address == opening
                self._free(record)
                continue
            spoilt = (size - BASE - done) % SPAN if opened else SKIPPED
            opened = False
            opening = record.address if size == OPENING else 0
            if spoilt < SKIPPED and BASE <= size < BASE + SPAN and done + spoilt < len(marks):
                self._main = record.tid
                for op in marks[done : done + spoilt + 1]:
                    self.ledger.mark(op)
                done += spoilt + 1
            elif kind == MUNMAP:
                self._unmap(record)
            else:
                self._allocate(record, kind, size)
        for op in marks[done:]:  # so that what is open stays right
            self.ledger.mark(op)

    def _allocate(self, record: Any, kind: int, size: int) -> None:
        apart = self.ledger.silent or record.tid != self._main
        lines = self.ledger.top()
        if kind == MMAP and size != ARENA:
            return
        if apart:
            lines = self._stack(record)
        if record.address in self._blocks:  # its end was not seen
            self._free(record)
        self._blocks[record.address] = size, lines
        self._last = lines
        self._hold(lines, size)
        self.ledger.change(size)
        if self.ledger.level >= self._worth:
            self._remember()
        if apart:
            self.ledger.charge(lines, size)

    def _free(self, record: Any) -> None:
        block = self._blocks.pop(record.address, None)
        if block is not None:
            size, lines = block
            self._hold(lines, -size)
            self.ledger.change(-size)
            if self.ledger.silent or record.tid != self._main:
                self.ledger.charge(lines, -size)

    def _hold(self, lines: tuple[int, ...], size: int) -> None:
        maker = lines[0] if lines else 0
        self._held[maker] = self._held.get(maker, 0) + size

    def _remember(self) -> None:
        """The level is higher than ever: what is held now."""
        level = self.ledger.level
        on = self.ledger.on()
        if self.ledger.silent:  # then nobody knows the innermost lines, but who made the last block
            on += [(index, 0) for index in reversed(self._last) if (index, 0) not in on]
        self.moment = Moment(level, dict(self._held), on)
        self._worth = sys.maxsize if level >= self._cap else min(self._cap, level + level // GRAIN)

    def _unmap(self, record: Any) -> None:
        block = self._blocks.get(record.address)
        if block is not None and block[0] == record.size:
            self._free(record)

    def _stack(self, record: Any) -> tuple[int, ...]:
        """The student's lines in the stack that made a block."""
        found = self._stacks.get(record.stack_id)
        if found is None:
            frames = record.stack_trace(max_stacks=DEPTH)
            lines = dict.fromkeys(self._index_of(file, number) for _, file, number in frames)
            lines.pop(0, None)
            self._stacks[record.stack_id] = found = tuple(lines)  # innermost first
        return found

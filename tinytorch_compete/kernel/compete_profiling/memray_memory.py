"""Measure memory by line from memray's record of every allocation, replayed in order.

Frees carry no line and records carry no time, so the clock's line events are written into the
record itself: at each event we allocate small blocks whose sizes encode it. Everything allocated
and freed between two such marks belongs to the lines that were open, so the net change and the peak
within a line are exact. In a silence there are no marks: a block is then charged to the lines of
the stack that allocated it, and credited to them when it is freed.
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

# A mark is two blocks, each freed at once: one of a constant size, which opens the mark, and one
# whose size counts the marks. Both are larger than Python's own allocator serves (512 bytes).
# Another thread can spoil a mark by allocating in between; the next mark then also stands for up to
# SKIPPED spoilt ones.
OPENING, BASE, SPAN, SKIPPED = 1499, 769, 512, 32
CHUNK = 16 * 2**20  # bytes of record, beyond which it is replayed and restarted
# Size of the arenas that Python maps for small objects. Other mappings are files, or address space
# reserved for later (OpenBLAS takes 32 MiB at its first product), and don't show memory in use.
ARENA = 2**20
MARKS = 2**20  # capacity of the log of marks; near it, the record is replayed too
LOOK = 4096  # marks between two checks of the record's size
SMALLEST = 2**20  # level in bytes of the first moment to remember
GRAIN = 100  # a level is a new moment if it exceeds the last by one part in GRAIN
DEPTH = 60  # frames of a stack to search for the student's

MMAP, MUNMAP = int(memray.AllocatorType.MMAP), int(memray.AllocatorType.MUNMAP)
FREES = frozenset(map(int, (memray.AllocatorType.FREE, memray.AllocatorType.PYMALLOC_FREE)))


class Memory:
    """Records allocations from ``start`` to ``stop``; then ``costs`` has them by line index.

    ``index_of`` maps a file and a line number to the index of a line of the student's, or to 0.
    ``on_full`` is called when the record is so large that it is time to ``roll``. ``moment`` is the
    point where the level first passed ``cap`` bytes, or its highest point if it never did.
    """

    name = "memray"
    later = 4.0  # measured; a mark is four records

    def __init__(
        self, index_of: Callable[[str, int], int], on_full: Callable[[], None], cap: int = 0
    ) -> None:
        self._on_full = on_full
        self._folder = tempfile.mkdtemp(prefix="profile-")
        self._path = os.path.join(self._folder, "record")
        self._tracker: Any = None
        # Allocated before recording begins, so that it isn't recorded; pages are used as it fills.
        self._log = np.zeros(MARKS, np.int64).data
        self._count = 0
        self._replay = Replay(index_of, cap)
        self.full = False

    @property
    def costs(self) -> Mapping[int, Cost]:
        """The memory costs of each line, by its index."""
        return self._replay.ledger.costs

    @property
    def moment(self) -> Moment | None:
        """The point of the run described in the class's docstring."""
        return self._replay.moment

    def start(self) -> None:
        """Start recording; raises ``RuntimeError`` if memray already records in this process."""
        target = memray.FileDestination(self._path, overwrite=True, compress_on_exit=False)
        try:
            self._tracker = memray.Tracker(destination=target, memory_interval_ms=1000)
            self._tracker.__enter__()
        except RuntimeError:
            shutil.rmtree(self._folder)
            raise

    def mark(self, depth: int, index: int) -> None:
        """Mark that the frame at ``depth`` begins the line ``index`` or, with 0, is left.

        A depth of -1 begins a silence; -2 - n ends it with the n outermost frames still open.
        """
        count = self._count
        if count == MARKS:
            return
        bytearray(OPENING - 1)  # its block is one byte larger
        bytearray(BASE - 1 + count % SPAN)
        self._log[count] = (depth << 32) + index
        self._count = count + 1
        if not self._count % LOOK:
            self.look()

    def look(self) -> None:
        """Check whether the record is so large that it must be replayed."""
        if os.stat(self._path).st_size > CHUNK or self._count > MARKS - 16 * LOOK:
            self.full = True
            self._on_full()

    def roll(self) -> None:
        """Replay the record and start a new one."""
        self._end()
        self.start()

    def stop(self) -> None:
        """End the record, replay it, and delete its files."""
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
        self._threshold = SMALLEST  # the level at which to remember the next moment
        self._held: dict[int, int] = {}  # live bytes by the line that allocated them
        self._last: tuple[int, ...] = ()  # lines that allocated the last block, innermost first
        self._index_of = index_of
        # By address: the block's size and the lines that allocated it.
        self._blocks: dict[int, tuple[int, tuple[int, ...]]] = {}
        self._stacks: dict[int, tuple[int, ...]] = {}
        self._main: int | None = None

    def run(self, records: Any, marks: Sequence[int]) -> None:
        """Replay one record and its marks, in the order in which they were made."""
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
        for op in marks[done:]:  # keeps the set of open lines right
            self.ledger.mark(op)

    def _allocate(self, record: Any, kind: int, size: int) -> None:
        unmarked = self.ledger.silent or record.tid != self._main
        lines = self.ledger.top()
        if kind == MMAP and size != ARENA:
            return
        if unmarked:
            lines = self._stack(record)
        if record.address in self._blocks:  # its free was not recorded
            self._free(record)
        self._blocks[record.address] = size, lines
        self._last = lines
        self._hold(lines, size)
        self.ledger.change(size)
        if self.ledger.level >= self._threshold:
            self._remember()
        if unmarked:
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
        """Remember what is held now, at the highest level so far."""
        level = self.ledger.level
        on = self.ledger.on()
        if self.ledger.silent:  # no marks: take the innermost lines from the last block's stack
            on += [(index, 0) for index in reversed(self._last) if (index, 0) not in on]
        self.moment = Moment(level, dict(self._held), on)
        higher = min(self._cap, level + level // GRAIN)
        self._threshold = sys.maxsize if level >= self._cap else higher

    def _unmap(self, record: Any) -> None:
        block = self._blocks.get(record.address)
        if block is not None and block[0] == record.size:
            self._free(record)

    def _stack(self, record: Any) -> tuple[int, ...]:
        """Return the student's lines in the stack that allocated a block, innermost first."""
        stack = self._stacks.get(record.stack_id)
        if stack is None:
            frames = record.stack_trace(max_stacks=DEPTH)
            lines = dict.fromkeys(self._index_of(file, number) for _, file, number in frames)
            lines.pop(0, None)
            self._stacks[record.stack_id] = stack = tuple(lines)
        return stack

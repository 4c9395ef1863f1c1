"""A timed probe: the student's kernel and the reference's answer the same questions in turn."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
import statistics
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import msgspec

from tinytorch_compete.errors import EvidenceError, Fault
from tinytorch_compete.model import MIB, Answer, Cost, Round, Timed
from tinytorch_compete.sandbox.isolation.cores import Lanes
from tinytorch_compete.sandbox.session.channel import TimedProbeHandler
from tinytorch_compete.sandbox.session.peer import ProbePeer
from tinytorch_compete.sandbox.session.session import Session
from tinytorch_compete.sandbox.timing import clocks
from tinytorch_compete.sandbox.timing.racer import TimedPeer

WARM = 2  # questions to each side that don't count: first calls import, allocate and fault in pages
EMPTY = 9  # empty questions to the reference
TRIED = 8  # questions to the reference alone, to see how noisy this machine is now
# Questions go on until a run's ratio should be exact to this, 95 % of the time; a run's own luck
# with memory layout is 1 to 3 %, so that more would not help.
EXACT = 0.01
FEWEST, MOST = 6, 30
MAX_KEPT_BYTES = 256 * MIB
SHORTEST_S = 1e-6
WAIT_S = 0.005
SETTLE_S = 5


async def race(
    own: ProbePeer, timed: Timed, reference: Callable[[TimedProbeHandler], Session], lanes: Lanes
) -> Answer:
    """Start the reference, take a lane, ask both in blocks of A B B A; return the student's answer.

    Each is frozen while the other works or is waited for. Raises ``EvidenceError`` for failures of
    the student's kernel, and ``Fault`` for those of the reference.
    """
    student = TimedPeer(own)
    try:
        async with _waiting(reference, own.probe) as theirs, _lane(lanes, student, theirs):
            rounds = [r async for r in _rounds(student, theirs, timed)]
            flags = clocks.clock_flags(rounds)
            return Answer(rounds=tuple(clocks.vouched(rounds)), flags=tuple(flags))
    finally:
        student.end(lanes.rest)


@contextlib.asynccontextmanager
async def _waiting(
    reference: Callable[[TimedProbeHandler], Session], probe: str
) -> AsyncIterator[TimedPeer]:
    """Run the reference until its kernel comes to the timed probe, and yield it there."""
    ready: asyncio.Future[ProbePeer] = asyncio.get_running_loop().create_future()
    over = asyncio.Event()

    async def wait_there(peer: ProbePeer, _: Timed) -> Answer:
        if peer.probe == probe:
            ready.set_result(peer)
            await over.wait()
        else:
            peer.end()
        return Answer()

    session = reference(wait_there)
    running: asyncio.Future[None] = asyncio.ensure_future(session.execute())
    try:
        either: set[asyncio.Future[Any]] = {running, ready}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            running.result()
            raise Fault("the reference never came to its timed probe")
        peer = TimedPeer(ready.result())
        try:
            yield peer
        finally:
            peer.end(frozenset())
            over.set()
        await running
    except Fault as fault:  # let its notebook come to an end, which says why
        await asyncio.wait({running}, timeout=SETTLE_S)
        raise Fault(f"{fault}{_why(session)}") from None
    finally:
        if not running.done():
            running.cancel()
            await asyncio.wait({running})


def _why(session: Session) -> str:
    return next((f": {cell.message}" for cell in session.cells if cell.message), "")


@contextlib.asynccontextmanager
async def _lane(lanes: Lanes, *peers: TimedPeer) -> AsyncIterator[None]:
    """Bind the peers to the same lane, as soon as one is free."""
    while (lane := lanes.take()) is None:
        await asyncio.sleep(WAIT_S)
    try:
        for peer in peers:
            peer.bind(lane)
        yield
    finally:
        lanes.give(lane)


async def _rounds(own: TimedPeer, theirs: TimedPeer, timed: Timed) -> AsyncIterator[Round]:
    numbers = itertools.count()
    for number in itertools.islice(numbers, WARM):
        await _reference_cost(theirs, timed, number)
        await own.ask(timed.make(number))
    empty = [await _reference_cost(theirs, timed, None) for _ in range(EMPTY)]
    empty_cost = overhead(empty)
    tried = [await _reference_cost(theirs, timed, n) for n in itertools.islice(numbers, TRIED)]
    kept_bytes = 0
    for block in range(blocks_for([_less(cost, empty_cost).cpu_s for cost in tried])):
        first, second = itertools.islice(numbers, 2)
        for number, own_first in ((first, block % 2 == 0), (second, block % 2 == 1)):
            costs = [] if own_first else [await _reference_cost(theirs, timed, number)]
            arrays, cost = await own.ask(timed.make(number))
            costs += [await _reference_cost(theirs, timed, number)] if own_first else []
            kept_bytes += sum(array.nbytes for array in arrays.values())
            if kept_bytes > MAX_KEPT_BYTES:
                raise EvidenceError(f"the answers are larger than {MAX_KEPT_BYTES // MIB} MiB")
            own_cost, reference_cost = _less(cost, empty_cost), _less(costs[0], empty_cost)
            yield Round(number, arrays, own_cost, reference_cost)


def overhead(empty: Sequence[Cost]) -> Cost:
    """The cost of a question itself, from those of empty questions.

    Of wall times it is the least: time spent waiting on a busy machine is no part of it, and to
    subtract more would leave other questions with more CPU time than wall time.
    """
    return Cost(min(cost.wall_s for cost in empty), statistics.median(cost.cpu_s for cost in empty))


def blocks_for(tried_s: list[float]) -> int:
    """How many blocks of A B B A make a run's ratio as exact as ``EXACT``.

    From the reference's CPU seconds for equal questions alone, so that a student's code has no
    influence. A block's logarithmic ratio is of two pairs: its standard deviation is
    that of one question's logarithm.
    """
    spread = statistics.stdev(math.log(seconds) for seconds in tried_s)
    return min(MOST, max(FEWEST, math.ceil((1.96 * spread / EXACT) ** 2)))


async def _reference_cost(theirs: TimedPeer, timed: Timed, number: int | None) -> Cost:
    try:
        return (await theirs.ask(None if number is None else timed.make(number)))[1]
    except EvidenceError as error:
        raise Fault(f"the reference failed at question {number}: {error}") from None


def _less(cost: Cost, empty: Cost) -> Cost:
    """A cost without that of an empty question."""
    return msgspec.structs.replace(
        cost,
        wall_s=max(SHORTEST_S, cost.wall_s - empty.wall_s),
        cpu_s=max(SHORTEST_S, cost.cpu_s - empty.cpu_s),
    )

"""A peer that is asked timed questions."""

from __future__ import annotations

from tinytorch_compete.model import Cost, Inputs
from tinytorch_compete.sandbox.isolation import watcher
from tinytorch_compete.sandbox.isolation.cores import Cores
from tinytorch_compete.sandbox.session.peer import EMPTY, Arrays, ProbePeer


class TimedPeer:
    """A peer that is frozen except while it answers, on cores of its own; end it after use."""

    def __init__(self, peer: ProbePeer) -> None:
        self._peer, self._box, self._clock = peer, peer.box, peer.clock
        self._freeze()
        self._instructions = self._box.instructions()
        self._cpu_s = self._box.usage.cpu_s()
        self._members = set(self._box.members())

    def bind(self, lane: Cores) -> None:
        """Move to a lane."""
        self._box.bind(lane)

    async def ask(self, inputs: Inputs | None) -> tuple[Arrays, Cost]:
        """Thaw, ask, freeze; ``None`` asks an empty question, for the cost of a question itself.

        Work between two answers is charged to the second. Raises ``EvidenceError``.
        """
        question = EMPTY if inputs is None else await self._peer.release(inputs)
        instructions, started = self._instructions.read(), watcher.started()
        self._box.thaw()
        self._clock.go_on()
        try:
            arrays, wall_s = await self._peer.exchange(question)
        finally:
            self._freeze()
        before_s, self._cpu_s = self._cpu_s, self._box.usage.cpu_s()
        now = self._instructions.read()
        retired = None if now is None or instructions is None else now - instructions
        return arrays, Cost(wall_s, self._cpu_s - before_s, retired, self._all_seen(started))

    def end(self, cores: Cores) -> None:
        """Tell the kernel that there are no more questions, and let it go on on other cores."""
        self._instructions.close()
        self._peer.end()
        self._box.bind(cores)
        self._clock.go_on()
        self._box.thaw()

    def _all_seen(self, started: int | None) -> bool:
        """Whether no process has ended since, neither an old one nor one that was started since.

        A control group counts the seconds of ended processes, too.
        """
        if self._box.group:
            return True
        before, self._members = self._members, set(self._box.members())
        return started is not None and watcher.started() == started and before <= self._members

    def _freeze(self) -> None:
        self._clock.pause()
        self._box.freeze()

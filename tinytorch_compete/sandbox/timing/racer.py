"""A peer that is asked timed questions."""

from __future__ import annotations

from tinytorch_compete.model import Cost, Inputs
from tinytorch_compete.sandbox.isolation.cores import Cores
from tinytorch_compete.sandbox.session.peer import EMPTY, Arrays, ProbePeer


class TimedPeer:
    """A contender that is frozen except while it answers, on cores of its own; end it after use."""

    def __init__(self, contender: ProbePeer) -> None:
        self._contender, self._box, self._clock = contender, contender.box, contender.clock
        self._freeze()
        self._instructions = self._box.instructions()
        self._cpu_s = self._box.cpu_s()

    @property
    def exact(self) -> bool:
        """Whether no process of the tree can lose its CPU seconds: a control group counts them."""
        return self._box.group is not None

    def bind(self, lane: Cores) -> None:
        """Move to a lane."""
        self._box.bind(lane)

    async def ask(self, inputs: Inputs | None) -> tuple[Arrays, Cost]:
        """Thaw, ask, freeze; ``None`` asks nothing, to see what a question costs by itself.

        Work between two answers would be charged to the second. Raises ``EvidenceError``.
        """
        question = EMPTY if inputs is None else await self._contender.release(inputs)
        counted = self._instructions.read()
        self._box.thaw()
        self._clock.go_on()
        try:
            arrays, wall_s = await self._contender.exchange(question)
        finally:
            self._freeze()
        before, self._cpu_s = self._cpu_s, self._box.cpu_s()
        now = self._instructions.read()
        retired = None if now is None or counted is None else now - counted
        return arrays, Cost(wall_s, self._cpu_s - before, retired)

    def end(self, cores: Cores) -> None:
        """Say that there are no more questions, and let the kernel go on elsewhere."""
        self._instructions.close()
        self._contender.end()
        self._box.bind(cores)
        self._clock.go_on()
        self._box.thaw()

    def _freeze(self) -> None:
        self._clock.pause()
        self._box.freeze()

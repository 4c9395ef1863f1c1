"""A clock that counts a kernel's own seconds."""

from __future__ import annotations

import time


class Clock:
    """The seconds in which a kernel could work: it stands still while the kernel is frozen."""

    def __init__(self) -> None:
        self._before_s = 0.0
        self._since: float | None = time.perf_counter()

    def elapsed_s(self) -> float:
        """Seconds so far."""
        running = 0.0 if self._since is None else time.perf_counter() - self._since
        return self._before_s + running

    def pause(self) -> None:
        """Stop counting."""
        self._before_s, self._since = self.elapsed_s(), None

    def go_on(self) -> None:
        """Count again."""
        if self._since is None:
            self._since = time.perf_counter()

"""A sandbox's run that Ctrl-C can end, with a word on its progress."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent import futures
from typing import TypeVar

from tinytorch_compete.sandbox.contract import Sandbox

Done = TypeVar("Done")
# A signal that another thread of the process gets doesn't wake this one.
INTERRUPTIBLE_S = 0.2


def apart(
    run: Callable[[], Done], sandbox: Sandbox, passing: Callable[[float], None] = lambda _: None
) -> Done:
    """What a run in a sandbox returns, in a thread of its own.

    A notebook's kernel is busy with an event loop in this one. When this thread is interrupted, the
    run is ended first, and then the interruption goes on. Meanwhile ``passing`` is told again and
    again how many seconds have gone by.
    """
    started = time.monotonic()
    with futures.ThreadPoolExecutor(1) as pool:
        done = pool.submit(run)
        try:
            while not futures.wait([done], INTERRUPTIBLE_S).done:
                passing(time.monotonic() - started)
            return done.result()
        except BaseException:
            sandbox.stop()
            raise

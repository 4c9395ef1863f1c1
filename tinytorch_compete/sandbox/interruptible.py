"""Run in a sandbox so that Ctrl-C ends the run, and report its progress."""

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
    """Return the result of a run in a sandbox, which gets a thread of its own.

    In a notebook this thread is busy with the kernel's event loop. When it is interrupted, the run
    is ended first, and then the interruption is raised. Until the run is over, ``passing`` is
    called repeatedly with the seconds that have passed.
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

"""Find inefficiencies in a submission's source, weigh them by its profile, and rewrite the code.

``find`` returns the findings, ``rewrite`` the changed source where a change can be made
mechanically, ``diff`` the difference, and ``trial`` and ``worth_showing`` compare two measured
runs. All are pure.
"""

from tinytorch_compete.insights.finder import find
from tinytorch_compete.insights.finding import RunContext
from tinytorch_compete.insights.registry import ABOUT_LEARNING, ABOUT_MEMORY, DETECTORS
from tinytorch_compete.insights.rewriting.changes import diff, rewrite
from tinytorch_compete.insights.trials import (
    Measurement,
    equal,
    gain,
    saves_memory,
    saves_time,
    trial,
    worth_showing,
)

__all__ = [
    "ABOUT_LEARNING",
    "ABOUT_MEMORY",
    "DETECTORS",
    "Measurement",
    "RunContext",
    "diff",
    "equal",
    "find",
    "gain",
    "rewrite",
    "saves_memory",
    "saves_time",
    "trial",
    "worth_showing",
]

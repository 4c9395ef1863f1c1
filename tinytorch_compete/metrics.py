"""The former name of ``tinytorch_compete.judging.metrics``, kept for one release."""

from tinytorch_compete.judging.metrics import *  # noqa: F403

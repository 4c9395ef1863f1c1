"""The former name of ``tinytorch_compete.judging.exam``, kept for one release."""

from tinytorch_compete.judging.exam import *  # noqa: F403

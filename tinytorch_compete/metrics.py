"""The former name of ``tinytorch_compete.judging.metrics`` and ``tiers``, kept for one release."""

from tinytorch_compete.judging.metrics import *  # noqa: F403
from tinytorch_compete.judging.tiers import *  # noqa: F403

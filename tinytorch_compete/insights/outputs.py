"""Read the printed losses of a run."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

LOSS = re.compile(
    r"(?:loss|cost|objective|nll)[^\d\n+-]{0,12}?([-+]?(?:\d+\.?\d*(?:e[-+]?\d+)?|nan|inf))", re.I
)
# A loss that varies by at most half a percent over four or more values stands still: chance alone
# moves an epoch's mean by more.
STILL = 0.005
FEWEST = 4


def course(outputs: Mapping[str, str]) -> str:
    """Return ``nan``, ``rising`` or ``flat`` if the printed losses show it, else empty."""
    for text in outputs.values():
        losses = [float(figure) for figure in LOSS.findall(text)]
        if any(not math.isfinite(loss) for loss in losses):
            return "nan"
        if len(losses) < FEWEST:
            continue
        first, last = losses[0], losses[-1]
        if last > 2 * first > 0 and last >= max(losses[:-1]):
            return "rising"
        if max(losses) - min(losses) <= STILL * abs(first):
            return "flat"
    return ""

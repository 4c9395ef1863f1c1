"""What a run printed about its loss."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

LOSS = re.compile(
    r"(?:loss|cost|objective|nll)[^\d\n+-]{0,12}?([-+]?(?:\d+\.?\d*(?:e[-+]?\d+)?|nan|inf))", re.I
)
# A loss within half a percent of its start after four figures or more stands still: chance alone
# moves the mean of an epoch by more.
STILL = 0.005
FEWEST = 4


def course(outputs: Mapping[str, str]) -> str:
    """``nan``, ``rising`` or ``flat`` where the printed losses say so, else empty."""
    for text in outputs.values():
        losses = [float(found) for found in LOSS.findall(text)]
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

"""Which slices a time stands for. Pure.

States are kept in slices that grow wider with age, so a query can look no closer: a time stands for the begin of the
slice that it is in, and a window from one time to another has the slices between. A window in which there would be none
has the last slice that ended. Where a window truly begins and ends is told, so that a rate is always exact.
"""

from __future__ import annotations

import numpy as np

from taba.prometheus.promql.vectors import Integers
from taba.states.tiers import Ladder


def begins(ladder: Ladder, times: Integers, now: float) -> Integers:
    """The begin, in seconds, of the slice that each time (milliseconds) is in."""
    seconds = times // 1000
    width = np.full(len(times), ladder[-1].width)
    for tier in reversed(ladder[:-1]):
        width = np.where(seconds >= tier.cutoff(now), tier.width, width)
    return seconds // width * width


def windows(ladder: Ladder, times: Integers, length: int, now: float) -> tuple[Integers, Integers]:
    """(begin, end) in seconds of the window of about `length` milliseconds that ends at each time."""
    ends = begins(ladder, times, now)
    starts = begins(ladder, times - length, now)
    last = begins(ladder, ends * 1000 - 1, now)
    return np.minimum(starts, last), ends

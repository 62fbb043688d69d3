"""When the mean of an hour is known: with at least half of the values that the meter usually gives in an hour."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

USUAL_HOURS = 24
"""Hours, this one included, whose values show how many are usual."""
MIN_USUAL_HOURS = 3
"""Hours with values from which on their number shows what is usual."""
DEFAULT_VALUES = 60
"""Values an hour of a meter whose cadence is not known yet."""


def required_values(counts: Sequence[int]) -> int:
    """Return the values that the mean of an hour needs; counts: of the USUAL_HOURS up to this hour, as far as known.

    >>> required_values([60, 60, 20]), required_values([4, 4, 0, 4]), required_values([1, 1, 1]), required_values([4])
    (30, 2, 1, 30)
    """
    return max(1, -int(-usual_values(counts) // 2))


def usual_values(counts: Sequence[int]) -> float:
    """Return the values that an hour usually has; counts as in `required_values`."""
    known = [count for count in counts if count]
    return statistics.median(known) if len(known) >= MIN_USUAL_HOURS else DEFAULT_VALUES

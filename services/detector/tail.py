"""Limits from what the clean days reached: a false-alarm rate, not a number of sigmas."""

from __future__ import annotations

import numpy as np

from shared.domain.series import Floats

FAR = 5.0
"""Daily maxima this many tail lengths above the median are taken for events, not for noise."""


EXPECTED_LENGTH, EXPECTED_DAYS = 0.2, 5.0
"""Tail length in parts of the median that is assumed with the weight of five days, before a site has shown its own."""
HIGH, MANY = 0.75, 28
"""With so many days or more the tail begins at their upper quarter, else at their median."""


def limit_for(maxima: Floats, per_day: float) -> float:
    """Score that a clean day exceeds with probability per_day, from the maxima of days (NaN: unknown).

    Exponential tail of the block maxima (peaks over threshold; Pickands, 1975). Days with an anomaly are given as
    infinite: as many of them as false alarms were wished for count as beyond all others, since leaving these out would
    cut the tail by what it is to foretell; the rest had a cause and tell nothing of noise. Days that stand out as
    events are left out. Wider while few days are known; infinite when none is.
    """
    known = np.sort(maxima[~np.isnan(maxima)])
    finite = known[np.isfinite(known)]
    if not len(finite):
        return float("inf")
    beyond = min(len(known) - len(finite), int(np.ceil(per_day * len(known))))
    ordered = np.append(finite, np.full(beyond, finite[-1]))
    part = HIGH if len(ordered) >= MANY else 0.5
    median, start, upper = np.quantile(ordered, (0.5, part, 0.75))
    typical = max(float(upper - median) / np.log(2), 0.02 * abs(float(median)))
    above = finite[(finite > start) & (finite <= median + FAR * typical)] - start
    length = float(above.sum() + beyond * above[-1]) / len(above) if len(above) else typical
    weight = len(finite) / (len(finite) + EXPECTED_DAYS)
    length = weight * length + (1 - weight) * max(EXPECTED_LENGTH * abs(float(median)), typical)
    small = 1.0 + 8.0 / len(finite)
    return float(start + length * max(float(np.log((1 - part) / per_day)), 1.0) * small)

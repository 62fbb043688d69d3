"""Last night (야간 최소 유량): its minimum flow against the two weeks before. What broke by day shows at night in full.

One look a day needs a far lower limit than a look each minute; of what users take by night, a flow that goes on counts
as water lost until somebody knows better.
"""

from __future__ import annotations

import numpy as np

from services.detector.memory import Past
from services.detector.methods.rises import BY_DAY, DEMAND, MINIMUM, rises
from services.detector.methods.spreads import Learned, caution, rounded
from services.detector.tail import limit_for
from shared.domain.series import Floats

BASELINE = 14
"""Nights before that tell what is usual."""
LEAST = 2.0
"""No limit is fewer spreads than this."""
ENOUGH = 4
"""Nights that a limit needs."""
HIGHEST = (0.2, 0.1)
"""Parts of the nights that its tail is told from: a night is one value, no maximum of a day's many."""


def learn(series: Floats, past: Past, per_day: float) -> Learned | None:
    """Limit in m³/h for false alarms per day, and the spread of nights; None before enough of them are known.

    series: (3, n) of `steady.measures`.
    """
    more = _excess(series[MINIMUM])[past.known]
    known = more[~np.isnan(more)]
    if len(known) < ENOUGH:
        return None
    spread = 1.4826 * float(np.median(np.abs(known)))
    limit = max(limit_for(known, per_day, HIGHEST), LEAST * spread) * caution(len(known))
    return Learned({"last": rounded(limit), "last_spread": rounded(spread)}, {}) if limit > 0.0 else None


def excess(series: Floats) -> float:
    """m³/h by which the last night's minimum flow is above the nights before; 0 after a day of demand, NaN: unknown."""
    night, day = (_excess(series[measure, -1 - BASELINE :])[-1] for measure in (MINIMUM, BY_DAY))
    return 0.0 if day > DEMAND * night > 0.0 else float(night)


def _excess(flows: Floats) -> Floats:
    """(n,) m³/h above the median of the nights before; NaN where unknown.

    Nights with an alarm count as well: medians bear them, and without them what lasts would stay unusual.
    """
    (found,), _ = rises(flows, np.ones(len(flows), dtype=np.bool_), (1,), BASELINE)
    return np.asarray(found)

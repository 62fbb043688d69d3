"""The yardstick for bursts: what it is told of chance is so, and a step stands out as far as that says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bench.detection.bound import BURSTS, standings
from bench.detection.simulator import make_record
from shared.domain.series import Floats

DAYS, BEGINS = 12, 9 * 1440
"""Nothing happens in the first three months of a plan but, seldom, one event; not at this seed."""


def test_chance_alone_seldom_stands_out_and_a_step_does_by_its_size() -> None:
    record = make_record(2, "hard", DAYS, BURSTS)
    assert not [event for event in record.events if event.kind == "burst"]
    calm = np.array(list(standings(record)))
    assert 0.5 < np.median(calm) < 2.5
    assert calm.max() < 5.0
    small, large = (_highest_after(share) for share in (0.1, 0.4))
    assert calm[_look(BEGINS) :].max() < small < large
    assert large > 6.0


def _highest_after(share: float) -> float:
    record = make_record(2, "hard", DAYS, BURSTS)
    flow: Floats = record.flow.copy()
    flow[BEGINS:] += share * record.site.mean_flow * record.site.meters.flow_unit
    found = np.array(list(standings(replace(record, flow=flow))))
    return float(found[_look(BEGINS) :].max())


def _look(minute: int) -> int:
    """Place of the first look at or after a minute: one each half hour, the first after three days."""
    return (minute - 3 * 1440) // 30

"""Oracle bound: the score of noise is near standard normal, and a step scores as its size predicts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bench.detection.oracle_bound import BURST_SPECS, step_scores
from bench.detection.simulator import make_record
from shared.domain.series import Floats

DAYS, BEGINS = 12, 9 * 1440
"""At this seed no event happens in the first three months."""


def test_score_is_low_for_noise_and_proportional_to_step() -> None:
    record = make_record(2, "hard", DAYS, BURST_SPECS)
    assert not [event for event in record.events if event.kind == "burst"]
    noise_score = np.array(list(step_scores(record)))
    assert 0.5 < np.median(noise_score) < 2.5
    assert noise_score.max() < 5.0
    small, large = (_highest_after(share) for share in (0.1, 0.4))
    assert noise_score[_look(BEGINS) :].max() < small < large
    assert large > 6.0


def _highest_after(share: float) -> float:
    record = make_record(2, "hard", DAYS, BURST_SPECS)
    flow: Floats = record.flow.copy()
    flow[BEGINS:] += share * record.site.mean_flow * record.site.meters.flow_unit
    scores = np.array(list(step_scores(replace(record, flow=flow))))
    return float(scores[_look(BEGINS) :].max())


def _look(minute: int) -> int:
    """Return the index of the first evaluation at or after a minute: every half hour, from the third day on."""
    return (minute - 3 * 1440) // 30

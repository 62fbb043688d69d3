"""The forecast of one hour of one channel."""

from __future__ import annotations

from typing import NamedTuple

from shared.contract.messages import Channel


class ForecastPoint(NamedTuple):
    """Quantiles of one hour's mean in the channel's unit; times in epoch seconds."""

    channel: Channel
    issued_at: int
    at: int
    """Start of the hour."""
    model: str
    p10: float
    p50: float
    p90: float

"""The newest forecast, earlier forecasts of hours that have passed, and how good they were."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import fmean

from services.dashboard.queries.database import Database
from services.dashboard.queries.site_time import HOUR
from shared.contract.messages import CHANNELS, SCORED_HORIZONS, Channel

LEAST_MEAN_OF_MAPE = 0.01
"""Hours with a smaller observed mean are left out of the MAPE: a share of nothing is no measure."""


@dataclass(frozen=True, slots=True)
class ForecastHour:
    """Forecast of one hour, in the channel's unit."""

    at: int
    """Start of the hour, epoch seconds."""
    p10: float
    p50: float
    p90: float


@dataclass(frozen=True, slots=True)
class NewestForecast:
    """The newest prediction of one channel."""

    issued_at: int
    model: str
    hours: list[ForecastHour]
    """Empty if nothing could be forecast."""


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Errors of the forecasts of one channel at one horizon, in the channel's unit."""

    channel: Channel
    horizon: int
    """Hours from issue to the hour that was forecast."""
    hours: int
    """Hours that were compared."""
    mae: float
    """Mean absolute error."""
    mape: float | None
    """Mean absolute error as a share of the observed mean of each hour; None where that is about nothing."""
    coverage: float
    """Share of hours within p10 to p90; 0.8 is right."""
    bias: float
    """Mean of forecast less observed."""
    profile_mae: float | None
    """Mean absolute error of the weekly profile in the same hours."""


_NEWEST_SQL = """SELECT issued_at, model, at, p10, p50, p90 FROM PRED_VAL_TB
    WHERE site = ?1 AND sensor = ?2 AND channel = ?3 AND issued_at =
    (SELECT max(issued_at) FROM PRED_VAL_TB WHERE site = ?1 AND sensor = ?2 AND channel = ?3) ORDER BY at"""
_EARLIER_SQL = """SELECT at, p10, p50, p90 FROM PRED_VAL_TB WHERE site = ?1 AND sensor = ?2 AND channel = ?3
    AND issued_at >= ?4 - ?6 AND issued_at < ?5 - ?6 AND at = issued_at + ?6 AND p50 IS NOT NULL ORDER BY at"""
_SCORES_SQL = """SELECT s.channel, s.horizon, s.error, s.inside, s.profile_error,
    CASE s.channel WHEN 'flow_rate' THEN h.flow_rate_mean ELSE h.pressure_mean END
    FROM SCORE_TB s LEFT JOIN HOURLY_VAL_TB h ON h.site = s.site AND h.sensor = s.sensor AND h.at = s.at
    WHERE s.site = ?1 AND s.sensor = ?2 AND s.channel = ?3 AND s.at >= ?4 AND s.at < ?5"""


def read_newest_forecast(database: Database, sensor: str, channel: Channel) -> NewestForecast | None:
    """Return the newest prediction of a channel; None before the first. Raises Unavailable."""
    rows = database.rows(_NEWEST_SQL, sensor, channel)
    if not rows:
        return None
    hours = [ForecastHour(*values) for _, _, *values in rows if values[2] is not None]
    return NewestForecast(rows[0][0], rows[0][1], hours)


def read_earlier_forecasts(
    database: Database, sensor: str, channel: Channel, start: int, stop: int, horizon: int
) -> list[ForecastHour]:
    """Return the forecasts of the hours of [start, stop) that were made `horizon` hours ahead. Raises Unavailable."""
    rows = database.rows(_EARLIER_SQL, sensor, channel, start, stop, horizon * HOUR)
    return [ForecastHour(*row) for row in rows]


def read_accuracy(database: Database, sensor: str, start: int, stop: int) -> list[Accuracy]:
    """Return how good the forecasts of the hours of [start, stop) were, by channel and horizon. Raises Unavailable."""
    return [accuracy for channel in CHANNELS for accuracy in _of_channel(database, sensor, channel, start, stop)]


def _of_channel(database: Database, sensor: str, channel: Channel, start: int, stop: int) -> Iterator[Accuracy]:
    rows = database.rows(_SCORES_SQL, sensor, channel, start, stop)
    for horizon in SCORED_HORIZONS:
        scored = [row[2:] for row in rows if row[1] == horizon]
        if not scored:
            continue
        shares = [abs(error / mean) for error, _, _, mean in scored if mean and abs(mean) >= LEAST_MEAN_OF_MAPE]
        profile = [abs(error) for _, _, error, _ in scored if error is not None]
        yield Accuracy(
            channel=channel,
            horizon=horizon,
            hours=len(scored),
            mae=fmean(abs(error) for error, *_ in scored),
            mape=fmean(shares) if shares else None,
            coverage=fmean(bool(inside) for _, inside, *_ in scored),
            bias=fmean(error for error, *_ in scored),
            profile_mae=fmean(profile) if len(profile) == len(scored) else None,
        )

"""Converts messages to table rows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from shared.contract.messages import (
    CHANNELS,
    Anomaly,
    Cadence,
    Criteria,
    ExpectedDay,
    Forecast,
    HistoryBatch,
    ModelTrained,
    NightResult,
    Notification,
    Prediction,
    Reading,
    SensorState,
    Verdict,
)
from shared.domain.series import HOUR

Row = tuple[Any, ...]
LIST_SEPARATOR = ","
NO_MODEL = "none"
"""Stored instead of a model where no forecast was possible."""


def epoch_seconds(at: datetime) -> int:
    """Return UTC epoch seconds."""
    return int(at.timestamp())


def reading_row(reading: Reading) -> Row:
    """Return a row of REAL_VAL_TB."""
    return (
        reading.site,
        reading.sensor,
        int(reading.at.timestamp()),
        reading.flow_rate,
        reading.pressure,
        reading.source,
        reading.clock,
    )


def history_rows(history: HistoryBatch) -> Iterator[Row]:
    """Yield rows of REAL_VAL_TB."""
    site, sensor, source = history.site, history.sensor, history.source
    return ((site, sensor, int(at.timestamp()), flow, pressure, source, "ok") for at, flow, pressure in history.minutes)


def verdict_row(verdict: Verdict) -> Row:
    """Return a row of OUTLIER_VAL_TB."""
    flow, pressure = verdict.flow_rate, verdict.pressure
    return (
        verdict.site,
        verdict.sensor,
        int(verdict.at.timestamp()),
        flow.system.flag,
        flow.value.flag,
        flow.prediction.flag,
        flow.night.flag,
        pressure.system.flag,
        pressure.value.flag,
        pressure.prediction.flag,
    )


def anomaly_row(anomaly: Anomaly) -> Row:
    """Return the row of ANOMALY_TB: the newest state."""
    low, high = anomaly.excess_interval_m3h or (None, None)
    return (
        anomaly.site,
        anomaly.sensor,
        anomaly.id,
        epoch_seconds(anomaly.at),
        anomaly.channel,
        anomaly.method,
        anomaly.kind,
        anomaly.state,
        anomaly.acknowledged,
        anomaly.severity,
        epoch_seconds(anomaly.opened_at),
        anomaly.cleared_at and epoch_seconds(anomaly.cleared_at),
        anomaly.peak,
        anomaly.excess_m3h,
        anomaly.text.ko,
        anomaly.text.en,
        LIST_SEPARATOR.join(anomaly.channels),
        LIST_SEPARATOR.join(anomaly.methods),
        anomaly.trigger,
        epoch_seconds(anomaly.onset_at),
        low,
        high,
        anomaly.lost_m3,
        anomaly.confirmed_cause,
        anomaly.note,
        anomaly.by,
        anomaly.closed,
    )


def anomaly_state_row(anomaly: Anomaly) -> Row:
    """Return the row of ANOMALY_STATE_TB: one state in the timeline of an anomaly."""
    low, high = anomaly.excess_interval_m3h or (None, None)
    return (
        anomaly.site,
        anomaly.sensor,
        anomaly.id,
        epoch_seconds(anomaly.at),
        anomaly.state,
        anomaly.kind,
        anomaly.severity,
        anomaly.acknowledged,
        anomaly.cleared_at and epoch_seconds(anomaly.cleared_at),
        anomaly.peak,
        anomaly.excess_m3h,
        low,
        high,
        anomaly.lost_m3,
        anomaly.confirmed_cause,
        anomaly.note,
        anomaly.by,
        anomaly.text.ko,
        anomaly.text.en,
        anomaly.closed,
    )


def prediction_rows(prediction: Prediction, hours: set[int] | None) -> Iterator[Row]:
    """Yield rows of PRED_VAL_TB at the given horizons (hours), or all.

    A channel without a forecast gets one row without values.
    """
    issued = epoch_seconds(prediction.issued_at)
    for channel in CHANNELS:
        if not getattr(prediction, channel).p50:
            yield (prediction.site, prediction.sensor, channel, issued, issued, None, None, None, NO_MODEL)
        forecast: Forecast = getattr(prediction, channel)
        for k, (p10, p50, p90) in enumerate(zip(forecast.p10, forecast.p50, forecast.p90, strict=True)):
            if None not in (p10, p50, p90) and (hours is None or k in hours):
                key = (prediction.site, prediction.sensor, channel, issued, issued + k * HOUR)
                yield (*key, p10, p50, p90, forecast.model)


def score_rows(prediction: Prediction) -> Iterator[Row]:
    """Yield rows of SCORE_TB."""
    for score in prediction.scores:
        key = (prediction.site, prediction.sensor, score.channel, epoch_seconds(score.at), score.horizon)
        errors = (score.model, score.error, score.inside, score.profile_error)
        yield (*key, *errors, score.hours, score.mae, score.coverage, score.profile_mae)


def criteria_row(criteria: Criteria) -> Row:
    """Return a row of CRITERIA_TB."""
    return (
        criteria.site,
        criteria.sensor,
        epoch_seconds(criteria.valid_from),
        epoch_seconds(criteria.learned_from),
        epoch_seconds(criteria.learned_to),
        criteria.days,
        json.dumps(criteria.limits),
        json.dumps(criteria.profiles),
    )


def model_row(model: ModelTrained) -> Row:
    """Return a row of MODEL_TB."""
    return (
        model.site,
        model.sensor,
        model.channel,
        model.id,
        epoch_seconds(model.at),
        model.path,
        model.checksum,
        epoch_seconds(model.trained_from),
        epoch_seconds(model.trained_to),
        json.dumps(model.metrics),
        model.promoted,
        model.reason.en,
        model.reason.ko,
    )


def sensor_state_row(state: SensorState) -> Row:
    """Return a row of SENSOR_STATE_TB."""
    cadences = (state.flow_rate, state.pressure)
    return (
        state.site,
        state.sensor,
        state.service,
        epoch_seconds(state.at),
        state.is_active,
        state.since and epoch_seconds(state.since),
        *(minutes for cadence in cadences for minutes in _cadence_columns(cadence)),
        state.text.ko,
        state.text.en,
    )


def _cadence_columns(cadence: Cadence | None) -> tuple[int | None, int | None]:
    return (cadence.interval_minutes, cadence.late_minutes) if cadence else (None, None)


def expected_day_row(day: ExpectedDay) -> Row:
    """Return a row of EXPECTED_TB."""
    bands = (day.flow_rate, day.pressure)
    curves = [json.dumps(curve) for band in bands for curve in (band.expected, band.low, band.high)]
    return (day.site, day.sensor, epoch_seconds(day.at), *curves)


def night_row(night: NightResult) -> Row:
    """Return a row of NIGHT_TB."""
    times = (epoch_seconds(at) for at in (night.at, night.window_from, night.window_to))
    flows = (night.minimum_m3h, night.usual_m3h, night.limit_m3h, night.leak_m3h)
    return (night.site, night.sensor, *times, *flows, night.flag)


def notification_row(sent: Notification) -> Row:
    """Return a row of NOTIFICATION_TB: the newest state."""
    key = (sent.site, sent.key, sent.channel, epoch_seconds(sent.at))
    return (*key, sent.state, sent.severity, sent.title, sent.attempts, sent.reason.ko, sent.reason.en)

"""The newest forecast, earlier ones, and how good they were."""

from __future__ import annotations

import json

import pytest

from services.dashboard.queries.expected import read_expected
from services.dashboard.queries.forecasts import read_accuracy, read_earlier_forecasts, read_newest_forecast
from services.dashboard.queries.site_time import DAY, HOUR, MINUTE
from tests.unit.services.dashboard.stored_site import SENSOR, StoredSite, epoch

DAY_START = epoch("2026-05-02T00:00")


def forecast_row(issued: int, horizon: int, p50: float | None, model: str = "profile") -> tuple[object, ...]:
    low, high = (None, None) if p50 is None else (p50 - 1, p50 + 1)
    return ("site1", SENSOR, "flow_rate", issued, issued + horizon * HOUR, low, p50, high, model)


def test_the_newest_forecast_has_its_hours(site: StoredSite) -> None:
    rows = [forecast_row(DAY_START - HOUR, k, 1.0) for k in range(169)]
    site.store_rows("PRED_VAL_TB", rows + [forecast_row(DAY_START, k, 10.0 + k) for k in range(169)])
    forecast = read_newest_forecast(site.database, SENSOR, "flow_rate")
    assert forecast is not None
    assert (forecast.issued_at, forecast.model, len(forecast.hours)) == (DAY_START, "profile", 169)
    assert (forecast.hours[3].at, forecast.hours[3].p10, forecast.hours[3].p90) == (DAY_START + 3 * HOUR, 12.0, 14.0)
    assert read_newest_forecast(site.database, SENSOR, "pressure") is None


def test_an_empty_forecast_has_no_hours(site: StoredSite) -> None:
    site.store_rows("PRED_VAL_TB", [forecast_row(DAY_START, 0, None, "none")])
    forecast = read_newest_forecast(site.database, SENSOR, "flow_rate")
    assert forecast is not None
    assert forecast.hours == []


def test_earlier_forecasts_are_of_one_horizon(site: StoredSite) -> None:
    rows = [forecast_row(DAY_START + hour * HOUR, k, hour + k / 1000) for hour in range(48) for k in (0, 1, 24)]
    site.store_rows("PRED_VAL_TB", rows)
    start = DAY_START + DAY
    hours = read_earlier_forecasts(site.database, SENSOR, "flow_rate", start, start + DAY, 24)
    assert [(hour.at, hour.p50) for hour in hours] == [(start + k * HOUR, k + 0.024) for k in range(24)]


def test_accuracy_beside_the_profile(site: StoredSite) -> None:
    site.store([(DAY_START + minute * MINUTE, 20.0, None) for minute in range(4 * 60)])
    errors = ((2.0, 1, 3.0), (-1.0, 1, -3.0), (1.0, 0, 3.0), (2.0, 1, 5.0))
    site.store_rows(
        "SCORE_TB",
        [
            (
                "site1",
                SENSOR,
                "flow_rate",
                DAY_START + hour * HOUR,
                24,
                "lstm",
                error,
                inside,
                profile,
                9,
                9.0,
                0.9,
                9.0,
            )
            for hour, (error, inside, profile) in enumerate(errors)
        ],
    )
    (accuracy,) = read_accuracy(site.database, SENSOR, DAY_START, DAY_START + DAY)
    assert (accuracy.channel, accuracy.horizon, accuracy.hours) == ("flow_rate", 24, 4)
    assert (accuracy.mae, accuracy.bias, accuracy.coverage, accuracy.profile_mae) == (1.5, 1.0, 0.75, 3.5)
    assert accuracy.mape == pytest.approx(0.075)
    assert read_accuracy(site.database, SENSOR, DAY_START + DAY, DAY_START + 2 * DAY) == []


def test_expected_values_of_a_span(site: StoredSite) -> None:
    curve = json.dumps([float(index) for index in range(144)])
    high = json.dumps([index + 5.0 for index in range(144)])
    site.store_rows("EXPECTED_TB", [("site1", SENSOR, DAY_START, curve, curve, high, "[]", "[]", "[]")])
    points = read_expected(site.database, SENSOR, "flow_rate", DAY_START + 6 * HOUR, DAY_START + 7 * HOUR)
    assert [(point.expected, point.high) for point in points] == [(float(k), k + 5.0) for k in range(36, 42)]
    assert read_expected(site.database, SENSOR, "pressure", DAY_START, DAY_START + DAY) == []

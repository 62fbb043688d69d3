"""The views of stored data: history, nights, ahead and report."""

from __future__ import annotations

import re
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from services.dashboard.queries.site_time import DAY, HOUR, MINUTE
from shared.settings import Dma, Meter, Sensor, Settings, Site
from tests.unit.services.dashboard.fakes import FakeSite
from tests.unit.services.dashboard.stored_site import SENSOR, StoredSite, epoch

START = epoch("2026-05-01T00:00")
DAYS = 20
NOW = START + DAYS * DAY
VIEWS = ("history", "nights", "ahead", "report")
LANGUAGES = ("ko", "en")


def browser(data: Path, dma: Dma | None = None) -> TestClient:
    """Return a browser of a dashboard over a folder of data."""
    sensor = Sensor(flow_rate=Meter(min=0, max=1000), pressure=Meter(min=0, max=30))
    berlin = Site(timezone="Europe/Berlin", country="DE")
    settings = Settings(data=data, site=berlin, dma=dma or Dma(), sensors={SENSOR: sensor})
    return FakeSite(data, settings).browser()


@pytest.fixture
def pages(site: StoredSite, tmp_path: Path) -> TestClient:
    """Twenty days with a leak, a forecast and scores."""
    site.store([(at, 10.0 + at // HOUR % 24, 4.0) for at in range(START, NOW, 15 * MINUTE)])
    site.store_anomaly("leak", START + 10 * DAY, START + 12 * DAY, 4.0, 192.0)
    forecast = [
        ("site1", SENSOR, channel, NOW - HOUR, NOW - HOUR + k * HOUR, value - 1, value, value + 1, "profile")
        for channel, value in (("flow_rate", 20.0), ("pressure", 4.0))
        for k in range(169)
    ]
    site.store_rows("PRED_VAL_TB", forecast)
    scores = [
        ("site1", SENSOR, "flow_rate", NOW - k * HOUR, 24, "profile", 2.0, 1, 2.0, 24, 2.0, 1.0, 2.0)
        for k in range(1, 200)
    ]
    site.store_rows("SCORE_TB", scores)
    return browser(tmp_path)


def wall_ms(text: str) -> int:
    """Return a local time as a chart shows it."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_each_view_in_each_language(pages: TestClient, view: str, language: str) -> None:
    answer = pages.get(f"/{view}?lang={language}")
    assert answer.status_code == 200
    assert f'<html lang="{language}"' in answer.text
    assert "style=" not in answer.text
    assert "<script>" not in answer.text
    chart = pages.get(re.findall(r'data-chart="([^"]+)"', answer.text)[0].replace("&amp;", "&"))
    assert chart.status_code == 200
    assert [len(panel["series"]) > 0 for panel in chart.json()["panels"]] == [True] * (1 if view == "nights" else 2)


@pytest.mark.parametrize("view", VIEWS)
def test_the_first_minutes_of_a_site(tmp_path: Path, view: str) -> None:
    answer = browser(tmp_path).get(f"/{view}?lang=en")
    assert answer.status_code == 200
    assert "No readings stored yet" in answer.text
    assert "data-chart" not in answer.text


@pytest.mark.parametrize("view", VIEWS)
def test_a_locked_database_says_why(pages: TestClient, tmp_path: Path, view: str) -> None:
    writer = sqlite3.connect(tmp_path / "wvr.db")
    writer.execute("DELETE FROM schema_migration WHERE name LIKE '0008%'")
    writer.commit()
    writer.close()
    answer = pages.get(f"/{view}?lang=en")
    assert answer.status_code == 503
    assert "wvr.db" in answer.text
    assert "wvr.db" in pages.get(f"/api/{view}", headers={"accept": "application/json"}).text


def test_a_preset_ends_at_the_newest_minute(pages: TestClient) -> None:
    chart = pages.get("/api/history?span=day").json()
    assert (chart["start"], chart["end"]) == (wall_ms("2026-05-19T23:46"), wall_ms("2026-05-20T23:46"))
    names = [series["role"] for series in chart["panels"][0]["series"]]
    assert names == ["measured"]
    assert len(chart["panels"][0]["series"][0]["data"]) == 96


def test_new_minutes_are_appended_where_the_span_reaches_the_present(pages: TestClient) -> None:
    assert f'sse-swap="minutes:{SENSOR}"' in pages.get("/history").text
    for query, live in (
        ("span=day", [f"{SENSOR}.flow_rate", f"{SENSOR}.pressure"]),
        ("span=month", ["", ""]),
        ("from=2026-05-10T00:00&to=2026-05-11T00:00", ["", ""]),
    ):
        chart = pages.get(f"/api/history?{query}").json()
        measured = [series for panel in chart["panels"] for series in panel["series"] if series["shape"] == "line"]
        assert [series["live"] for series in measured] == live


def test_the_forecast_begins_at_the_present(pages: TestClient) -> None:
    chart = pages.get("/api/history?span=ahead").json()
    band, line, _ = chart["panels"][0]["series"]
    assert (band["role"], band["shape"], line["role"]) == ("forecast", "band", "forecast")
    assert band["data"][0][0] >= wall_ms("2026-05-20T23:30")
    assert band["data"][0][1:] == [19.0, 21.0]
    assert chart["marks"][-1]["kind"] == "now"


def test_a_long_span_has_bands_and_night_minima(pages: TestClient) -> None:
    chart = pages.get("/api/history?span=month").json()
    flow = {series["role"] + series["shape"]: series["data"] for series in chart["panels"][0]["series"]}
    assert set(flow) == {"measuredband", "measuredline", "minimumpoints"}
    assert len(flow["minimumpoints"]) == DAYS
    assert [mark["kind"] for mark in chart["marks"]] == ["warning"]


def test_two_weeks_over_each_other(pages: TestClient) -> None:
    query = "from=2026-05-10T00:00&to=2026-05-12T00:00&compare=week"
    chart = pages.get(f"/api/history?{query}").json()
    compared, measured = chart["panels"][0]["series"]
    assert compared["role"] == "compare"
    assert compared["data"] == measured["data"]
    assert "2026-05-03" in compared["name"]
    assert "2026-05-03" in pages.get(f"/history?{query}").text


def test_an_address_without_a_valid_span(pages: TestClient) -> None:
    for query in ("from=yesterday&to=2026-05-01", "from=2026-05-02&to=2026-05-01", "from=0001-01-01&to=9999-12-31"):
        answer = pages.get(f"/history?lang=en&{query}")
        assert answer.status_code == 200
        assert "no valid span" in answer.text
    assert pages.get("/nights?from=x&to=9999-99-99").status_code == 200
    assert pages.get("/report?month=2026-99").status_code == 200
    assert pages.get("/ahead?sensor=%27%3B--").status_code == 200


def test_csv_of_what_is_shown(pages: TestClient) -> None:
    answer = pages.get("/history.csv?from=2026-05-10T00:00&to=2026-05-11T00:00")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert "wvr-001-2026-05-10T0000.csv" in answer.headers["content-disposition"]
    lines = answer.text.splitlines()
    assert lines[:2] == ["\ufefftime,sensor,flow_rate (m3/h),pressure (bar)", f"2026-05-10T00:00+02:00,{SENSOR},32,4"]
    assert len(lines) == 97


def test_the_part_below_the_chart_follows(pages: TestClient) -> None:
    answer = pages.get("/history/part?from=2026-05-11T00:00&to=2026-05-12T00:00&lang=en")
    assert "<html" not in answer.text
    assert "2026-05-11 00:00 – 2026-05-12 00:00" in answer.text
    assert "from=2026-05-10T12%3A00&amp;to=2026-05-11T12%3A00" in answer.text
    assert f"/incidents/{SENSOR}/a1" in answer.text


def test_nights_show_the_repair(pages: TestClient) -> None:
    answer = pages.get("/nights?lang=en")
    assert "Before and after a repair" in answer.text
    assert f"/incidents/{SENSOR}/a1" in answer.text


def test_ahead_shows_the_days_and_the_errors(pages: TestClient) -> None:
    answer = pages.get("/ahead?lang=en")
    assert "2026-05-21 Thu" in answer.text
    assert "off by 2.0 m³/h on average" in answer.text


def test_the_report_asks_for_what_is_missing(pages: TestClient) -> None:
    answer = pages.get("/report?month=2026-05&lang=en")
    for setting in ("night_use_m3h", "billed_m3.&#34;2026-05&#34;", "connections", "mains_km"):
        assert f"Enter [dma] {setting} in site.toml" in answer.text


@pytest.mark.usefixtures("pages")
def test_the_report_with_the_facts_of_the_site(tmp_path: Path) -> None:
    dma = Dma(name="B", connections=100, mains_km=2.0, night_use_m3h=1.0, billed_m3={"2026-05": 5000.0})
    answer = browser(tmp_path, dma).get("/report?month=2026-05&lang=ko")
    assert "유수율" in answer.text
    assert "site.toml" not in answer.text
    assert "5,000 / 10," in answer.text

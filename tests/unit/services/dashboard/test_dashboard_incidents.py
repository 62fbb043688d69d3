"""Incidents: state, timeline and figures."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from services.dashboard.queries.incidents import (
    chart_ends,
    count_causes,
    find_incident,
    open_longer_than,
    read_incident,
    read_incidents,
    read_timeline,
    read_works,
    weeks,
)
from services.dashboard.queries.site_time import DAY, HOUR
from shared.contract.messages import Anomaly, LocalizedText
from tests.unit.services.dashboard.stored_site import BERLIN, SENSOR, StoredSite, epoch

OPENED = datetime(2026, 5, 2, 10, 0, tzinfo=BERLIN)
NOW = int(OPENED.timestamp()) + 2 * DAY


def incident(**changes: object) -> Anomaly:
    """Return a step that has just opened, with changes."""
    opened = Anomaly(
        site="site1",
        sensor=SENSOR,
        id="001-step-1",
        at=OPENED,
        channels=("flow_rate",),
        methods=("value",),
        kind="step",
        trigger="step",
        state="opened",
        acknowledged=False,
        severity="warning",
        opened_at=OPENED,
        onset_at=OPENED - timedelta(minutes=30),
        cleared_at=None,
        peak=30.0,
        excess_m3h=8.0,
        text=LocalizedText("유량 증가", "flow is high"),
    )
    return replace(opened, **changes)  # type: ignore[arg-type]


def at(hours: float) -> datetime:
    return OPENED + timedelta(hours=hours)


def test_timeline_says_who_did_what_and_when(site: StoredSite) -> None:
    acknowledged = incident(at=at(2), state="updated", acknowledged=True, by="Kim", note="on site")
    later = replace(acknowledged, at=at(3), excess_m3h=9.0)
    for state in (
        incident(),
        incident(at=at(1), state="updated", severity="critical"),
        replace(acknowledged, severity="critical"),
        replace(later, severity="critical"),
        replace(later, severity="critical", at=at(4), state="cleared", cleared_at=at(4)),
        replace(
            later,
            severity="critical",
            at=at(5),
            state="cleared",
            cleared_at=at(4),
            closed=True,
            by="Lee",
            confirmed_cause="burst",
        ),
    ):
        site.recorder.write([state])
    entries = read_timeline(site.database, SENSOR, "001-step-1")
    assert [entry.change for entry in entries] == ["opened", "worse", "acknowledged", "updated", "cleared", "closed"]
    assert [(entry.operator, entry.note) for entry in entries if entry.operator] == [("Kim", "on site"), ("Lee", "")]
    assert entries[-1].cause == "burst"


@pytest.mark.parametrize(
    ("changes", "phase"),
    [
        ({}, "open"),
        ({"acknowledged": True}, "acknowledged"),
        ({"state": "cleared", "cleared_at": at(1)}, "unconfirmed"),
        ({"state": "cleared", "cleared_at": at(1), "acknowledged": True}, "cleared"),
        ({"state": "cleared", "cleared_at": at(1), "acknowledged": True, "closed": True}, "closed"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_phase_of_an_incident(site: StoredSite, changes: dict[str, object], phase: str) -> None:
    site.recorder.write([incident(**changes)])
    stored = read_incident(site.database, SENSOR, "001-step-1")
    assert stored is not None
    assert stored.phase == phase
    assert find_incident(site.database, "001-step-1") == stored
    assert find_incident(site.database, "other") is None


def test_figures_count_what_may_have_been_false(site: StoredSite) -> None:
    site.recorder.write(
        [
            incident(),
            incident(id="a2", confirmed_cause="leak", state="cleared", cleared_at=at(2)),
            incident(id="a3", kind="stuck", trigger="stuck", methods=("system",), state="cleared", cleared_at=at(2)),
            incident(id="a4", opened_at=at(-24 * 9), onset_at=at(-24 * 9), state="cleared", cleared_at=at(-24 * 8)),
        ]
    )
    incidents = read_incidents(site.database, NOW - 30 * DAY)
    newest, before = weeks(incidents, NOW, 2)
    assert (newest.total, newest.meter_faults, newest.confirmed, newest.against_the_dial) == (3, 1, 1, 1)
    assert (before.total, before.against_the_dial) == (1, 1)
    assert count_causes(incidents) == {"none": 3, "leak": 1}
    assert [item.id for item in open_longer_than(incidents, NOW, DAY)] == ["001-step-1"]
    assert [item.id for item in read_incidents(site.database, NOW)] == ["001-step-1"]


def test_works_are_listed_while_active_or_planned(site: StoredSite) -> None:
    start = datetime.fromtimestamp(NOW, BERLIN)
    for id_, first, last, state in (("past", -3, -1, "cleared"), ("now", -1, 1, "opened"), ("later", 5, 6, "opened")):
        times = {"opened_at": start + timedelta(hours=first), "cleared_at": start + timedelta(hours=last)}
        site.recorder.write([incident(id=id_, kind="works", trigger="works", state=state, onset_at=OPENED, **times)])
    assert [window.id for window in read_works(site.database, NOW)] == ["now", "later"]
    assert read_incidents(site.database, 0) == []


def test_plot_spans_the_incident_with_what_was_before(site: StoredSite) -> None:
    site.recorder.write([incident(state="cleared", cleared_at=at(3))])
    stored = read_incident(site.database, SENSOR, "001-step-1")
    assert stored is not None
    start, stop = chart_ends(stored, NOW)
    assert start == epoch("2026-05-01T21:30")
    assert stop == epoch("2026-05-02T19:00")
    assert stored.open_seconds(NOW) == 3 * HOUR

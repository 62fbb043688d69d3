"""The state of the site follows the messages; commands get their responses."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from services.dashboard.events import Change, EventHub, event
from services.dashboard.live_state import LiveState
from services.dashboard.operator import Operator, Outcome
from services.dashboard.service import Dashboard
from services.dashboard.views import now
from shared.contract.messages import (
    AlarmSummary,
    Anomaly,
    Cadence,
    Check,
    Command,
    ExpectedBand,
    ExpectedDay,
    FlowChecks,
    LocalizedText,
    Message,
    PressureChecks,
    Response,
    SensorRetired,
    SensorState,
    Verdict,
)
from tests.unit.factories import minute_at, prediction, tick, verdict

TEXT = LocalizedText("가", "a")


def anomaly(identifier: str, severity: str = "warning", minute: float = 0, sensor: str = "001") -> Anomaly:
    at = minute_at(minute)
    return Anomaly(
        site="site1",
        sensor=sensor,
        id=identifier,
        at=at,
        channels=("flow_rate",),
        methods=("value",),
        kind="burst",
        trigger="burst",
        state="opened",
        acknowledged=False,
        severity=severity,  # type: ignore[arg-type]
        opened_at=at,
        onset_at=at,
        cleared_at=None,
        peak=None,
        excess_m3h=None,
        text=TEXT,
    )


def live_after(*messages: Message) -> LiveState:
    """Return the state after some messages."""
    live = LiveState()
    for message in messages:
        live.apply(message)
    return live


def test_worst_and_newest_anomaly_comes_first() -> None:
    live = live_after(anomaly("a"), anomaly("b", "critical"), anomaly("c", minute=5), anomaly("d", "info"))
    assert [item.id for item in live.open_anomalies] == ["b", "c", "a", "d"]


def test_cleared_anomaly_is_gone() -> None:
    assert live_after(anomaly("a"), replace(anomaly("a"), state="cleared")).open_anomalies == []


def test_summary_without_open_anomalies_removes_older_ones() -> None:
    """Its clearance was lost with the broker's state."""
    summary = AlarmSummary(
        site="site1", sensor="001", at=minute_at(9), open=0, unacknowledged=0, severity="none", silenced_until=None
    )
    works = replace(anomaly("w"), kind="works", trigger="works")
    live = live_after(anomaly("a"), anomaly("b", minute=20), anomaly("c", sensor="002"), works, summary)
    assert sorted(item.id for item in live.open_anomalies) == ["b", "c", "w"]


def test_retired_sensor_is_gone() -> None:
    live = live_after(verdict(0), anomaly("a"), verdict(0, sensor="002"), SensorRetired("site1", "001", minute_at(1)))
    assert [sensor.name for sensor in live.sensors] == ["002"]
    assert live.open_anomalies == []


def test_newest_verdict_is_shown_and_a_doubted_time_is_not() -> None:
    doubted = verdict(50_000)
    doubted = replace(doubted, reading=replace(doubted.reading, clock="doubted"))
    live = live_after(verdict(3), verdict(2), doubted)
    sensor = live.sensor("001")
    assert sensor is not None
    assert sensor.verdict == verdict(3)
    assert [minute[0] for minute in sensor.minutes] == [minute_at(3), minute_at(2)]


def test_every_kind_that_the_service_consumes_is_handled() -> None:
    assert set(Dashboard.consumes) - {Response} == set(LiveState.HANDLERS)


def test_lamps_show_shape_for_normal_abnormal_and_not_judged() -> None:
    flow = FlowChecks(Check(0), Check(1), Check(None), Check(0))
    live = live_after(replace(verdict(0), flow_rate=flow, pressure=PressureChecks()))
    sensor = live.sensor("001")
    assert sensor is not None
    assert [lamp.state for lamp in now.lamps(sensor)] == ["normal", "abnormal", "unknown", "normal", *["unknown"] * 3]


def test_gauge_shows_what_is_expected_in_these_ten_minutes() -> None:
    midnight = minute_at(0).replace(hour=0)
    band = ExpectedBand(tuple(map(float, range(144))), tuple(map(float, range(144))), tuple(map(float, range(1, 145))))
    day = ExpectedDay(site="site1", sensor="001", at=midnight, flow_rate=band, pressure=ExpectedBand())
    assert now.expected_now(day, "flow_rate", minute_at(12)) == (139.0, 140.0)
    assert now.expected_now(day, "pressure", minute_at(12)) == (None, None)
    assert now.expected_now(day, "flow_rate", minute_at(120)) == (None, None)


def test_slow_sensor_is_late_after_its_own_time() -> None:
    state = SensorState(
        site="site1",
        sensor="001",
        service="detector",
        at=minute_at(0),
        is_active=True,
        since=None,
        text=TEXT,
        flow_rate=Cadence(15, 45),
        pressure=Cadence(60, 180),
    )
    sensor = live_after(verdict(0), state).sensor("001")
    assert sensor is not None
    assert now.late_minutes(sensor) == 180


def respond(operator: Operator, command: Command, ok: bool) -> None:
    """Respond to a command as the bus thread does."""
    operator.on_response(Response(site="site1", name="train", transaction=command.transaction, ok=ok, text=TEXT))


@pytest.mark.parametrize(("ok", "state"), [(True, "done"), (False, "refused")])
def test_command_gets_its_response(ok: bool, state: str) -> None:
    operator = Operator("site1", lambda command: respond(operator, command, ok), lambda: True)
    outcome = asyncio.run(operator.send("train", "Kim", sensor="001"))
    assert (outcome.state, outcome.text) == (state, TEXT)


def test_command_without_response_or_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.dashboard.operator.RESPONSE_SECONDS", 0.05)
    commands: list[Command] = []
    assert asyncio.run(Operator("site1", commands.append, lambda: True).send("train", "Kim")) == Outcome("no_answer")
    assert asyncio.run(Operator("site1", commands.append, lambda: False).send("train", "Kim")) == Outcome("broker_away")
    assert len(commands) == 1
    respond(Operator("site1", commands.append, lambda: True), commands[0], True)  # nobody waits any more


def test_changes_are_collected_for_each_page_until_it_leaves() -> None:
    async def run() -> list[set[Change]]:
        hub, received = EventHub(), list[set[Change]]()
        hub.attach()
        service = Dashboard(LiveState(), hub.announce, lambda _: None)
        stream = hub.changes()
        first = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        for message in (verdict(0), verdict(1), tick(1), prediction()):
            assert list(service.handle(message)) == []
        received.append(await first)
        hub.announce_connection()
        received.append(await anext(stream))
        hub.close()
        with pytest.raises(StopAsyncIteration):
            await anext(stream)
        assert hub.open_pages == 0
        return received

    assert asyncio.run(run())[0] >= {Change(Verdict, "001")}


def test_event_on_the_wire() -> None:
    assert event("now", "a\nb") == "event: now\ndata: a\ndata: b\n\n"
    assert event("now", "") == "event: now\ndata: \n\n"

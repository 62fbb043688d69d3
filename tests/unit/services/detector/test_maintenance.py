"""Maintenance windows: no anomaly is opened, their days are not used for fitting, and a restart keeps them."""

from __future__ import annotations

from functools import cache

from services.detector.day_history import MINUTES_PER_DAY
from services.detector.sensor_monitor import local_minute
from shared.contract.messages import AlarmSummary, Anomaly, Command, Message, Reading, Response, Tick
from tests.unit.services.detector.fakes import (
    MINUTE,
    LearnedDetector,
    anomalies,
    learned_site,
    make_detector,
    opened,
    replay,
    verdicts,
)
from tests.unit.services.detector.synthetic_site import DAY, MONDAY, SHAPES, make_site

BEGIN = 10 * DAY + 600
LEARNED = 9 * DAY + 1


@cache
def readings() -> list[Reading]:
    site = make_site(SHAPES["homes"], 12, seed=4)
    site.scale("unit", BEGIN + 30, 60, 100.0)
    site.scale("unit", BEGIN + 700, 60, 100.0)
    return site.readings()


def learned() -> LearnedDetector:
    return learned_site("homes", 12, 4, LEARNED)


def silence_command(minutes: object, sensor: str = "") -> Command:
    return Command("site1", "silence", "t1", {"minutes": str(minutes), "sensor": sensor})


def run_with_maintenance(minutes: int = 120) -> tuple[list[Message], list[Message]]:
    """Return the messages up to the command and its answer, and those after it."""
    (detector, _), earlier = learned().copy(), readings()
    before = [
        *replay(detector, earlier[LEARNED:BEGIN], ticks=True),
        *detector.handle(Tick("site1", earlier[BEGIN - 1].at)),
    ]
    return [*before, *detector.handle(silence_command(minutes))], list(replay(detector, earlier[BEGIN:], ticks=True))


def test_maintenance_opens_nothing_but_gives_verdicts() -> None:
    _, after = run_with_maintenance()
    assert "out_of_range" in [message.kind for message in opened(after)]
    assert all(message.opened_at >= MONDAY + (BEGIN + 119) * MINUTE for message in opened(after))
    (ended,) = [message for message in anomalies(after) if message.kind == "works"]
    assert (ended.state, ended.cleared_at) == ("cleared", ended.opened_at + 120 * MINUTE)
    assert len(verdicts(after)) == len(readings()) - BEGIN
    assert 1 in [message.flow_rate.system.flag for message in verdicts(after)[:120]]


def test_maintenance_window_is_an_anomaly_with_planned_end() -> None:
    *_, works, answer, summary = run_with_maintenance()[0]
    assert isinstance(works, Anomaly)
    assert isinstance(summary, AlarmSummary)
    assert summary.silenced_until == works.cleared_at
    assert (works.kind, works.state, works.acknowledged) == ("works", "opened", True)
    assert works.cleared_at == works.opened_at + 120 * MINUTE
    assert isinstance(answer, Response)
    assert answer.ok


def test_maintenance_days_are_not_used_for_fitting() -> None:
    (detector, _), readings_ = learned().copy(), readings()
    replay(detector, readings_[LEARNED:BEGIN], ticks=True)
    list(detector.handle(silence_command(120)))
    replay(detector, readings_[BEGIN:], ticks=True)
    memory = detector._queues["001"].monitor.model.history
    day = local_minute(readings_[BEGIN].at) // MINUTES_PER_DAY
    assert day in memory.anomalous_days(local_minute(readings_[-1].at), include_long=True)


def test_maintenance_window_is_restored_after_restart() -> None:
    before, after = run_with_maintenance()
    readings_, cut = readings(), BEGIN + 20
    history = [
        *before,
        *[message for message in after if not hasattr(message, "at") or message.at <= readings_[cut - 1].at],
    ]
    restarted = make_detector(learned().history_with(readings_[LEARNED:cut], history))
    list(restarted.start())
    assert opened(replay(restarted, readings_[cut : BEGIN + 120])) == []
    assert "out_of_range" in [
        message.kind for message in opened(replay(restarted, readings_[BEGIN + 120 : BEGIN + 760]))
    ]
    assert restarted.oldest_missing_output() == ""


def test_zero_minutes_end_maintenance() -> None:
    (detector, _), readings_ = learned().copy(), readings()
    replay(detector, readings_[LEARNED:BEGIN], ticks=True)
    list(detector.handle(silence_command(120)))
    ended, answer, summary = detector.handle(silence_command(0))
    assert isinstance(summary, AlarmSummary)
    assert summary.silenced_until is None
    assert isinstance(ended, Anomaly)
    assert ended.state == "cleared"
    assert isinstance(answer, Response)
    assert answer.ok
    assert [type(message) for message in detector.handle(silence_command(0))] == [Response]
    assert [message.kind for message in opened(replay(detector, readings_[BEGIN : BEGIN + 60]))] == ["out_of_range"]


def test_invalid_command_gets_error_response() -> None:
    detector = make_detector()
    replay(detector, readings()[:60], ticks=True)
    for wrong in (
        silence_command("soon"),
        silence_command(-5),
        silence_command(8 * 1440),
        silence_command(60, "nobody"),
        silence_command("²"),
    ):
        (answer,) = detector.handle(wrong)
        assert isinstance(answer, Response)
        assert not answer.ok

"""While somebody works at the site the detector opens no alarm, learns nothing, and remembers it over a restart."""

from __future__ import annotations

from services.detector.memory import MINUTES
from services.detector.watch import local_minute
from shared.contract.messages import Anomaly, Command, Message, Reading, Response, Tick
from tests.unit.services.detector.fakes import MINUTE, KeptArchive, anomalies, detector, opened, replay, verdicts
from tests.unit.services.detector.site import DAY, MONDAY, SHAPES, make_site

BEGIN = 10 * DAY + 600


def readings(days: int = 12) -> list[Reading]:
    site = make_site(SHAPES["homes"], days, seed=4)
    site.wild("unit", BEGIN + 30, 60, 100.0)
    site.wild("unit", BEGIN + 700, 60, 100.0)
    return site.readings()


def silence(minutes: object, sensor: str = "") -> Command:
    return Command("site1", "silence", "t1", {"minutes": str(minutes), "sensor": sensor})


def with_works(minutes: int = 120) -> tuple[list[Message], list[Message]]:
    """What is said up to the command and of it, and what is said afterwards."""
    watch, some = detector(), readings()
    before = [*replay(watch, some[:BEGIN], ticks=True), *watch.handle(Tick("site1", some[BEGIN - 1].at))]
    return [*before, *watch.handle(silence(minutes))], list(replay(watch, some[BEGIN:], ticks=True))


def test_nothing_is_opened_while_works_go_on_and_verdicts_are_given() -> None:
    _, after = with_works()
    assert "out_of_range" in [one.kind for one in opened(after)]
    assert all(one.opened_at >= MONDAY + (BEGIN + 119) * MINUTE for one in opened(after))
    (ended,) = [one for one in anomalies(after) if one.kind == "works"]
    assert (ended.state, ended.cleared_at) == ("cleared", ended.opened_at + 120 * MINUTE)
    assert len(verdicts(after)) == len(readings()) - BEGIN
    assert 1 in [one.flow_rate.system.flag for one in verdicts(after)[:120]]


def test_works_are_an_anomaly_that_says_when_it_ends() -> None:
    *_, works, answer = with_works()[0]
    assert isinstance(works, Anomaly)
    assert (works.kind, works.state, works.acknowledged) == ("works", "opened", True)
    assert works.cleared_at == works.opened_at + 120 * MINUTE
    assert isinstance(answer, Response)
    assert answer.ok


def test_days_of_works_are_not_learned_from() -> None:
    watch, some = detector(), readings()
    replay(watch, some[:BEGIN], ticks=True)
    list(watch.handle(silence(120)))
    replay(watch, some[BEGIN:], ticks=True)
    memory = watch._posts["001"].watch.station.memory
    day = local_minute(some[BEGIN].at) // MINUTES
    assert day in memory.disturbed(local_minute(some[-1].at), lasting=True)


def test_they_outlive_a_restart() -> None:
    before, after = with_works()
    some, cut = readings(), BEGIN + 20
    kept = [*before, *[one for one in after if not hasattr(one, "at") or one.at <= some[cut - 1].at]]
    again = detector(KeptArchive(some[:cut], kept))
    list(again.start())
    assert opened(replay(again, some[cut : BEGIN + 120])) == []
    assert "out_of_range" in [one.kind for one in opened(replay(again, some[BEGIN + 120 : BEGIN + 760]))]
    assert again.oldest_missing_output() == ""


def test_zero_minutes_end_them() -> None:
    watch, some = detector(), readings()
    replay(watch, some[:BEGIN], ticks=True)
    list(watch.handle(silence(120)))
    ended, answer = watch.handle(silence(0))
    assert isinstance(ended, Anomaly)
    assert ended.state == "cleared"
    assert isinstance(answer, Response)
    assert answer.ok
    assert [type(one) for one in watch.handle(silence(0))] == [Response]
    assert [one.kind for one in opened(replay(watch, some[BEGIN : BEGIN + 60]))] == ["out_of_range"]


def test_a_wrong_wish_is_answered() -> None:
    watch = detector()
    replay(watch, readings()[:60], ticks=True)
    for wrong in (silence("soon"), silence(-5), silence(8 * 1440), silence(60, "nobody"), silence("²")):
        (answer,) = watch.handle(wrong)
        assert isinstance(answer, Response)
        assert not answer.ok

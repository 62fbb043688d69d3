"""`retire` and `rename`, from the command to the events for the other services."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

from services.db_writer.service import DbWriter
from shared.contract.messages import Command, CommandName, Progress, Response, SensorRetired
from shared.store.history import History
from shared.store.recorder import Recorder
from tests.unit.factories import START, minute_at, prediction, reading, tick, verdict
from tests.unit.services.db_writer.test_db_writer import FakeStore, db_writer, handle_batch

SEOUL = ZoneInfo("Asia/Seoul")
T0 = int(START.timestamp())


def command(name: CommandName, to: str = "", sensor: str = "001") -> Command:
    return Command("site1", name, "t1", {"sensor": sensor, "to": to})


def response(service: DbWriter, sent: Command) -> Response:
    (answer,) = [item for item in handle_batch(service, sent) if isinstance(item, Response)]
    return answer


def test_silent_sensor_is_retired_and_all_services_hear_of_it() -> None:
    store = FakeStore()
    messages = handle_batch(db_writer(store), reading(0), tick(10), command("retire"))
    assert store.retired == ["001"]
    assert SensorRetired("site1", "001", minute_at(10)) in messages
    assert [item.ok for item in messages if isinstance(item, Response)] == [True]


def test_rename_makes_all_services_learn_from_the_moved_history() -> None:
    store = FakeStore()
    messages = handle_batch(db_writer(store), reading(0), tick(10), command("rename", "002"))
    assert store.renamed == [("001", "002")]
    assert [(item.job, item.step, item.of) for item in messages if isinstance(item, Progress)] == [("import", 1, 1)]


def test_command_waits_for_the_time_of_the_first_tick() -> None:
    service = db_writer(FakeStore())
    assert not [item for item in handle_batch(service, reading(0), command("retire")) if isinstance(item, Response)]
    assert [item for item in handle_batch(service, tick(30)) if isinstance(item, Response)]


def test_refusals_say_why() -> None:
    service = db_writer(FakeStore())
    handle_batch(service, reading(0), tick(5))
    assert "still sends readings, the newest of 23:00" in response(service, command("retire")).text.en
    assert "no readings of 009" in response(service, command("retire", sensor="009")).text.en
    handle_batch(service, tick(60))
    assert "expected another name" in response(service, command("rename", "a/b")).text.en
    assert "expected another name" in response(service, command("rename", "001")).text.en


def test_retired_sensor_returns_with_its_next_reading(tmp_path: Path) -> None:
    recorder, history = Recorder(tmp_path / "wvr.db", SEOUL, (0,)), History(tmp_path / "wvr.db", SEOUL, "site1")
    recorder.write([reading(0), reading(0, sensor="002")])
    recorder.retire("site1", "001")
    assert (history.retired(), history.active_sensors(), history.sensors()) == ({"001"}, ["002"], ["001", "002"])
    recorder.write([reading(30)])
    assert history.active_sensors() == ["001", "002"]
    recorder.close()


def test_history_moves_to_the_new_name(tmp_path: Path) -> None:
    recorder, history = Recorder(tmp_path / "wvr.db", SEOUL, (0,)), History(tmp_path / "wvr.db", SEOUL, "site1")
    recorder.write([*(reading(minute) for minute in range(60)), verdict(59), prediction(0)])
    recorder.write([reading(minute, sensor="002") for minute in range(50, 120)])
    assert recorder.count_shared_minutes("site1", "001", "002") == 10
    recorder.rename("site1", "001", "003")
    assert history.sensors() == ["002", "003"]
    assert history.reading_range("003") == (T0, T0 + 59 * 60)
    assert (history.last_verdict("003"), history.last_issued_at("003")) == (T0 + 59 * 60, T0)
    recorder.close()


def test_two_meters_do_not_become_one(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "wvr.db", SEOUL, (0,))
    service = DbWriter(recorder, "site1", 365, lambda seconds: minute_at((seconds - T0) / 60))
    handle_batch(service, *(reading(minute) for minute in range(20)), reading(5, sensor="002"), tick(90))
    assert "both have readings of the same minutes (1)" in response(service, command("rename", "002")).text.en
    assert History(tmp_path / "wvr.db", SEOUL, "site1").sensors() == ["001", "002"]
    recorder.close()

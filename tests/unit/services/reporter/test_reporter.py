"""The text files, character by character."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from services.reporter.history_lookup import NullHistoryLookup
from services.reporter.output_folder import BufferedOutputFolder, OutputFolder
from services.reporter.service import HISTORY_TIMEOUT_TICKS, HistoryLookup, Reporter
from shared.contract.messages import Anomaly, Clock, LocalizedText, Message, Prediction, SensorRetired, Tick, Verdict
from shared.contract.service import Unavailable
from shared.contract.status_codes import problem
from tests.unit.factories import minute_at, prediction, tick, verdict

SEOUL = ZoneInfo("Asia/Seoul")
HOURS = (24, 48, 72, 96, 120, 144, 168)
NULLS = "  ".join([" ".join(["NULL"] * 7)] * 2)


class FakeHistoryLookup(NullHistoryLookup):
    """Hand-written stored history."""

    def __init__(self, blocks: dict[str, list[Verdict | Prediction]] | None = None) -> None:
        self.blocks = blocks or {}
        self.stored_sensors: set[str] = set()
        self.jumps: dict[str, list[Verdict | Prediction]] = {}
        self.verdicts: dict[str, Verdict] = {}
        self.forecasts: dict[str, Prediction] = {}
        self.final = self.lacking = False

    def missed_since(self, block: str) -> list[Verdict | Prediction]:
        return self.blocks.get(block, [])

    def sensors(self) -> set[str]:
        return self.stored_sensors

    def messages_between(self, sent: str, block: str) -> tuple[list[Verdict | Prediction], bool]:  # noqa: ARG002
        return self.jumps.pop(block, []), self.final

    def is_behind(self, tick: Tick) -> bool:  # noqa: ARG002
        return self.lacking

    def verdict_at(self, sensor: str, minute: str) -> tuple[Verdict | None, bool]:  # noqa: ARG002
        return self.verdicts.get(minute), minute in self.verdicts or self.final

    def forecast_at(self, sensor: str, minute: str) -> tuple[Prediction | None, bool]:  # noqa: ARG002
        return self.forecasts.get(minute), minute in self.forecasts or self.final


def reporter(path: Path, history: HistoryLookup | None = None) -> Reporter:
    service = Reporter(OutputFolder(path), SEOUL, HOURS, 7, history or NullHistoryLookup())
    assert not list(service.start())
    return service


def handle_all(service: Reporter, *messages: Message) -> None:
    for message in messages:
        assert not list(service.handle(message))
        assert not list(service.end_batch())


def with_reading_clock(item: Verdict, clock: Clock) -> Verdict:
    return replace(item, reading=replace(item.reading, clock=clock))


def lacks_a_reading(block: Path) -> bool:
    return any(line.split()[2] == "NULL" for line in block.read_text().splitlines())


def test_alert_txt_is_the_newest_verdict_in_eleven_columns(tmp_path: Path) -> None:
    handle_all(reporter(tmp_path), verdict(4), verdict(5, night=1))
    assert (tmp_path / "alert.txt").read_text() == "001  2026-11-23T23:05  12.34  4.11  0 0 0 1  0 0 NULL\n"


def test_alert_txt_has_a_line_per_sensor(tmp_path: Path) -> None:
    handle_all(reporter(tmp_path), verdict(5, sensor="002"), verdict(5, None))
    lines = (tmp_path / "alert.txt").read_text().splitlines()
    assert [line.split()[:3] for line in lines] == [
        ["001", "2026-11-23T23:05", "NULL"],
        ["002", "2026-11-23T23:05", "12.34"],
    ]


def test_missing_reading_gets_its_line_when_the_next_minute_closed(tmp_path: Path) -> None:
    service = reporter(tmp_path)
    handle_all(service, verdict(5), tick(5), tick(6))
    assert "23:05" in (tmp_path / "alert.txt").read_text()
    handle_all(service, tick(7))
    expected = "001  2026-11-23T23:06  NULL  NULL  NULL NULL NULL NULL  NULL NULL NULL\n"
    assert (tmp_path / "alert.txt").read_text() == expected


def test_silent_sensor_has_system_flags(tmp_path: Path) -> None:
    service = reporter(tmp_path)
    silence = Anomaly(
        site="site1",
        sensor="001",
        id="a",
        at=minute_at(6),
        channels=("flow_rate",),
        methods=("system",),
        kind="silence",
        trigger="silence",
        state="opened",
        acknowledged=False,
        severity="critical",
        opened_at=minute_at(6),
        onset_at=minute_at(6),
        cleared_at=None,
        peak=None,
        excess_m3h=None,
        text=LocalizedText("", ""),
    )
    handle_all(service, verdict(5), silence, tick(7))
    expected = "001  2026-11-23T23:06  NULL  NULL  1 NULL NULL NULL  1 NULL NULL\n"
    assert (tmp_path / "alert.txt").read_text() == expected


def test_server_txt_is_written_after_ten_lines_with_forecasts_on_the_full_hour(tmp_path: Path) -> None:
    service = reporter(tmp_path)
    handle_all(service, prediction(0), *(verdict(minute) for minute in range(9)))
    assert not (tmp_path / "server.txt").exists()
    assert len((tmp_path / "server.part.txt").read_text().splitlines()) == 9
    handle_all(service, verdict(9))
    lines = (tmp_path / "server.txt").read_text().splitlines()
    head = "001  2026-11-23T23:00  12.34  4.11  0 0 0 0  0 0 NULL"
    flow = "24.00 48.00 72.00 96.00 120.00 144.00 168.00"
    assert lines[0] == f"{head}  {flow}  {' '.join(['4.00'] * 7)}"
    assert [line.endswith(NULLS) for line in lines] == [False] + [True] * 9
    assert (tmp_path / "outbox/server-20261123T2300.txt").read_text() == (tmp_path / "server.txt").read_text()


def test_late_forecast_is_added_to_its_line(tmp_path: Path) -> None:
    handle_all(reporter(tmp_path), verdict(0), prediction(0), *(verdict(minute) for minute in range(1, 10)))
    assert "24.00 48.00" in (tmp_path / "server.txt").read_text()


def test_block_with_missing_minutes_is_completed_a_minute_later(tmp_path: Path) -> None:
    service = reporter(tmp_path)
    handle_all(service, *(verdict(minute) for minute in (0, 1, 5)), tick(9))
    assert not (tmp_path / "server.txt").exists()
    handle_all(service, tick(10))
    lines = (tmp_path / "server.txt").read_text().splitlines()
    assert [line.split()[1][-2:] for line in lines] == [f"0{minute}" for minute in range(10)]
    assert [line.split()[2] == "NULL" for line in lines] == [minute not in (0, 1, 5) for minute in range(10)]


def test_restart_during_a_block_loses_no_line(tmp_path: Path) -> None:
    handle_all(reporter(tmp_path), prediction(0), *(verdict(minute) for minute in range(6)))
    handle_all(reporter(tmp_path), *(verdict(minute) for minute in range(6, 10)))
    text = (tmp_path / "server.txt").read_text()
    assert len(text.splitlines()) == 10
    assert "24.00 48.00" in text
    assert "NULL  0 0 0" not in text


def test_closed_block_is_not_written_again(tmp_path: Path) -> None:
    service = reporter(tmp_path)
    handle_all(service, *(verdict(minute) for minute in range(10)))
    sent = (tmp_path / "server.txt").read_text()
    handle_all(service, verdict(3, 99.0), tick(10), tick(11))
    assert (tmp_path / "server.txt").read_text() == sent


def test_outbox_keeps_seven_days(tmp_path: Path) -> None:
    service = reporter(tmp_path)
    first, week = "server-20261123T2300.txt", 7 * 24 * 60
    handle_all(service, *(verdict(minute) for minute in range(10)))
    for ten in range(10, week, 10):
        (tmp_path / f"outbox/server-{minute_at(ten):%Y%m%dT%H%M}.txt").touch()
    handle_all(service, tick(week - 1), *(verdict(week + minute) for minute in range(10)))
    assert (tmp_path / "outbox" / first).exists()
    handle_all(service, verdict(week + 10), tick(week + 10), *(verdict(week + 10 + minute) for minute in range(1, 10)))
    names = sorted(path.name for path in (tmp_path / "outbox").iterdir())
    assert names[-2:] == ["server-20261130T2300.txt", "server-20261130T2310.txt"]
    assert names[0] == "server-20261123T2310.txt"


def test_tick_or_meter_of_another_year_deletes_nothing(tmp_path: Path) -> None:
    service, year = reporter(tmp_path), 365 * 24 * 60
    handle_all(service, *(message for minute in range(30) for message in (verdict(minute), tick(minute))))
    handle_all(service, *(message for minute in range(30, 60) for message in (verdict(minute), tick(year + minute))))
    handle_all(
        service, *(message for minute in range(60, 90) for message in (verdict(year + minute), tick(year + minute)))
    )
    names = sorted(path.name for path in (tmp_path / "outbox").iterdir())
    assert names[:6] == [f"server-20261123T23{ten}0.txt" for ten in range(6)]
    assert not [name for name in names[:6] if lacks_a_reading(tmp_path / "outbox" / name)]


def test_reading_of_another_year_delays_no_file(tmp_path: Path) -> None:
    service = reporter(tmp_path)
    handle_all(service, *(message for minute in range(15) for message in (verdict(minute), tick(minute))))
    handle_all(service, with_reading_clock(verdict(365 * 24 * 60), "doubted"), tick(15))
    handle_all(service, *(message for minute in range(16, 35) for message in (verdict(minute), tick(minute))))
    assert (tmp_path / "alert.txt").read_text().split()[1] == minute_at(34).isoformat()[:16]
    assert (tmp_path / "server.part.txt").read_text().split()[1] == "2026-11-23T23:30"
    text = (tmp_path / "outbox/server-20261123T2310.txt").read_text()
    assert [line.split()[2] == "NULL" for line in text.splitlines()] == [minute == 5 for minute in range(10)]


def test_files_continue_after_meter_and_machine_return_from_another_year(tmp_path: Path) -> None:
    service, year = reporter(tmp_path), 365 * 24 * 60
    ahead = [message for minute in range(30) for message in (verdict(year + minute), tick(year + minute))]
    back = [with_reading_clock(verdict(minute), "set_back") for minute in range(60)]
    handle_all(service, *ahead, *(m for minute in range(60) for m in (back[minute], tick(year + 30 + minute))))
    assert (tmp_path / "alert.txt").read_text().split()[1] == minute_at(59).isoformat()[:16]
    names = sorted(path.name for path in (tmp_path / "outbox").iterdir())
    assert names[:4] == [f"server-20261123T23{ten}0.txt" for ten in (2, 3, 4, 5)]
    assert not [name for name in names[:4] if lacks_a_reading(tmp_path / "outbox" / name)]
    assert (tmp_path / "server.txt").read_text() == (tmp_path / "outbox/server-20261123T2350.txt").read_text()


def test_readings_older_than_the_outbox_create_no_blocks(tmp_path: Path) -> None:
    service = reporter(tmp_path)
    handle_all(service, tick(0), *(verdict(minute - 60 * 24 * 30) for minute in range(10)))
    assert not (tmp_path / "server.txt").exists()


def test_buffered_folder_writes_the_same_files(tmp_path: Path) -> None:
    messages = [prediction(0), *(message for minute in range(40) for message in (verdict(minute), tick(minute)))]
    handle_all(reporter(tmp_path / "live"), *messages)
    folder = BufferedOutputFolder(tmp_path / "replayed")
    deferred = Reporter(folder, SEOUL, HOURS, 7, NullHistoryLookup())
    list(deferred.start())
    handle_all(deferred, *messages)
    folder.flush()
    files = [path.relative_to(tmp_path / "live") for path in (tmp_path / "live").rglob("*.txt")]
    assert len(files) == 7
    for file in files:
        assert (tmp_path / "live" / file).read_text() == (tmp_path / "replayed" / file).read_text()


def test_missed_blocks_are_written_in_order_at_the_start(tmp_path: Path) -> None:
    handle_all(reporter(tmp_path), *(verdict(minute) for minute in range(16)))
    stored: list[Verdict | Prediction] = [verdict(minute) for minute in range(10, 73)]
    stored.insert(50, prediction(60))
    handle_all(reporter(tmp_path, FakeHistoryLookup({"2026-11-23T23:0": stored})), verdict(73))
    names = sorted(path.name for path in (tmp_path / "outbox").iterdir())
    assert names == [f"server-20261123T23{ten}0.txt" for ten in range(6)] + ["server-20261124T0000.txt"]
    text = (tmp_path / "outbox/server-20261124T0000.txt").read_text()
    assert (tmp_path / "server.txt").read_text() == text
    assert "24.00 48.00" in text.splitlines()[0]
    assert len((tmp_path / "server.part.txt").read_text().splitlines()) == 4


def test_current_tick_does_not_close_a_backlog_block(tmp_path: Path) -> None:
    service = reporter(tmp_path)
    handle_all(service, *(verdict(minute) for minute in range(14) if minute != 3), tick(600))
    handle_all(service, *(verdict(minute) for minute in range(14, 20)))
    lines = (tmp_path / "server.txt").read_text().splitlines()
    assert [line.split()[2] for line in lines] == ["12.34"] * 10
    assert "23:03  NULL" in (tmp_path / "outbox/server-20261123T2300.txt").read_text()
    handle_all(service, *(tick(minute) for minute in range(601, 602 + HISTORY_TIMEOUT_TICKS)))
    assert (tmp_path / "alert.txt").read_text().split()[1:3] == ["2026-11-24T09:10", "NULL"]


def test_lost_line_comes_from_history(tmp_path: Path) -> None:
    history = FakeHistoryLookup()
    history.verdicts["2026-11-23T23:03"], history.forecasts["2026-11-23T23:00"] = verdict(3, 55.5), prediction(0)
    handle_all(reporter(tmp_path, history), *(verdict(minute) for minute in range(20) if minute != 3))
    lines = (tmp_path / "outbox/server-20261123T2300.txt").read_text().splitlines()
    assert [line.split()[2] for line in lines] == ["12.34"] * 3 + ["55.50"] + ["12.34"] * 6
    assert "24.00 48.00" in lines[0]


def test_block_waits_for_a_verdict_in_transit(tmp_path: Path) -> None:
    service = reporter(tmp_path, FakeHistoryLookup())
    handle_all(service, prediction(0), *(verdict(minute) for minute in range(20) if minute != 3), tick(20))
    assert not (tmp_path / "server.txt").exists()
    handle_all(service, verdict(3), tick(21))
    assert [path.name[-8:] for path in sorted((tmp_path / "outbox").iterdir())] == ["2300.txt", "2310.txt"]
    assert "NULL  NULL" not in (tmp_path / "outbox/server-20261123T2300.txt").read_text().replace(NULLS, "")


def test_block_waits_for_a_published_reading_that_is_not_stored(tmp_path: Path) -> None:
    """After a broker outage, live minutes come before those that were read meanwhile."""
    history = FakeHistoryLookup()
    history.final = history.lacking = True
    service = reporter(tmp_path, history)
    handle_all(service, *(verdict(minute) for minute in (0, 5, 70)), tick(70))
    assert not (tmp_path / "server.txt").exists()
    history.lacking = False
    handle_all(service, tick(71))
    assert (tmp_path / "outbox" / "server-20261123T2300.txt").exists()


def test_block_is_written_after_the_timeout_without_missing_lines(tmp_path: Path) -> None:
    service = reporter(tmp_path, FakeHistoryLookup())
    handle_all(service, prediction(0), *(verdict(minute) for minute in range(20) if minute != 3))
    handle_all(service, *(tick(20 + minute) for minute in range(HISTORY_TIMEOUT_TICKS + 1)))
    assert "23:03  NULL" in (tmp_path / "outbox/server-20261123T2300.txt").read_text()


def test_alert_txt_continues_while_a_verdict_is_in_transit(tmp_path: Path) -> None:
    handle_all(reporter(tmp_path, FakeHistoryLookup()), verdict(5), tick(7))
    assert (tmp_path / "alert.txt").read_text().split()[1:3] == ["2026-11-23T23:06", "NULL"]


def test_lost_backlog_lines_are_not_waited_for(tmp_path: Path) -> None:
    history = FakeHistoryLookup()
    service = reporter(tmp_path, history)
    handle_all(service, prediction(0), *(verdict(minute) for minute in range(10)), verdict(18))
    history.verdicts |= {f"2026-11-23T23:{minute}": verdict(minute, 55.5) for minute in range(10, 18)}
    handle_all(service, tick(600))
    assert not (tmp_path / "outbox/server-20261123T2310.txt").exists()
    handle_all(service, verdict(19))
    lines = (tmp_path / "outbox/server-20261123T2310.txt").read_text().splitlines()
    assert [line.split()[2] for line in lines] == ["55.50"] * 8 + ["12.34"] * 2


def test_block_waits_for_a_sensor_that_catches_up(tmp_path: Path) -> None:
    service = reporter(tmp_path)
    handle_all(service, verdict(0), *(verdict(minute, sensor="002") for minute in range(20)), tick(600))
    handle_all(service, *(verdict(minute) for minute in range(1, 20)))
    assert [len(path.read_text().splitlines()) for path in (tmp_path / "outbox").iterdir()] == [20, 20]


def test_sensor_of_the_last_block_counts_as_missing_after_a_restart(tmp_path: Path) -> None:
    handle_all(reporter(tmp_path), *(verdict(minute, sensor=name) for minute in range(10) for name in ("001", "002")))
    service = reporter(tmp_path, FakeHistoryLookup())
    handle_all(service, *(verdict(minute) for minute in range(10, 30)))
    handle_all(service, *(verdict(minute, sensor="002") for minute in range(20, 30)))
    assert not (tmp_path / "outbox/server-20261123T2310.txt").exists()
    handle_all(service, *(verdict(minute, sensor="002") for minute in range(10, 20)), tick(30))
    assert len((tmp_path / "outbox/server-20261123T2310.txt").read_text().splitlines()) == 20


def test_sensor_that_becomes_known_after_a_lookup_has_all_its_lines(tmp_path: Path) -> None:
    service = reporter(tmp_path)
    first = [verdict(minute) for minute in range(30)]
    second = [verdict(minute, sensor="002") for minute in (0, *range(20, 30))]
    messages: list[Message] = [*first[:18], tick(25), second[0], *first[18:], *second[1:]]
    for message in messages:
        assert not list(service.handle(message))
    assert not list(service.end_batch())
    blocks = sorted((tmp_path / "outbox").glob("*"))
    assert [len(block.read_text().splitlines()) for block in blocks] == [20, 20, 20]


class FakeFullFolder(OutputFolder):
    """A folder that rejects a file once, as a full disk does."""

    def __init__(self, path: Path, name: str) -> None:
        super().__init__(path)
        self.name = name

    def write(self, name: str, text: str) -> None:
        if name.startswith(self.name):
            self.name = "nothing"
            raise Unavailable(problem("disk_full"))
        super().write(name, text)


@pytest.mark.parametrize("name", ["alert.txt", "server.part.txt", "outbox/", "server.txt"])
def test_files_that_a_full_disk_rejected_are_written_at_the_next_batch(tmp_path: Path, name: str) -> None:
    service = Reporter(FakeFullFolder(tmp_path / name, name), SEOUL, HOURS, 7, NullHistoryLookup())
    for minute in range(10):
        list(service.handle(verdict(minute)))
    with pytest.raises(Unavailable):
        service.end_batch()
    service.end_batch()
    handle_all(reporter(tmp_path / "calm"), *map(verdict, range(10)))
    for file in ("alert.txt", "server.txt", "outbox/server-20261123T2300.txt"):
        assert (tmp_path / name / file).read_text() == (tmp_path / "calm" / file).read_text()


def test_full_disk_raises_unavailable(tmp_path: Path) -> None:
    folder = OutputFolder(tmp_path)
    (tmp_path / ".alert.txt.part").mkdir()
    with pytest.raises(Unavailable, match="cannot be written; lines wait"):
        folder.write("alert.txt", "")


def test_blocks_without_any_delivered_line_come_from_history(tmp_path: Path) -> None:
    history = FakeHistoryLookup()
    service = reporter(tmp_path, history)
    handle_all(service, prediction(0), *(verdict(minute) for minute in range(10)))
    history.jumps["2026-11-23T23:3"] = [verdict(minute) for minute in range(10, 30)]
    handle_all(service, *(verdict(minute) for minute in range(30, 40)), tick(40))
    names = sorted(path.name[-8:-4] for path in (tmp_path / "outbox").iterdir())
    assert names == ["2300", "2310", "2320", "2330"]


def test_site_that_was_off_has_no_missing_blocks(tmp_path: Path) -> None:
    history = FakeHistoryLookup()
    history.final = True
    handle_all(reporter(tmp_path, history), *(verdict(minute) for minute in (*range(10), *range(600, 610))))
    assert len(list((tmp_path / "outbox").iterdir())) == 2


def test_no_block_is_skipped_while_history_lacks_readings(tmp_path: Path) -> None:
    history = FakeHistoryLookup()
    history.final = history.lacking = True
    service = reporter(tmp_path, history)
    handle_all(service, *(verdict(minute) for minute in range(10)), tick(9))
    handle_all(service, *(verdict(minute) for minute in range(600, 610)), tick(609))
    assert len(list((tmp_path / "outbox").iterdir())) == 1
    history.lacking = False
    handle_all(service, tick(610), verdict(610))
    assert len(list((tmp_path / "outbox").iterdir())) == 2


def test_first_block_of_a_new_site_waits_for_every_stored_sensor(tmp_path: Path) -> None:
    history = FakeHistoryLookup()
    history.final, history.stored_sensors = True, {"001", "002"}
    service = reporter(tmp_path, history)
    handle_all(service, *(verdict(minute) for minute in range(10)))
    assert not (tmp_path / "server.txt").exists()
    handle_all(service, *(verdict(minute, sensor="002") for minute in range(10)), tick(10), tick(11))
    assert len((tmp_path / "server.txt").read_text().splitlines()) == 20


def test_retired_sensor_leaves_the_files_until_its_next_reading(tmp_path: Path) -> None:
    service = reporter(tmp_path)
    both = [verdict(minute, sensor=sensor) for minute in range(10) for sensor in ("001", "002")]
    handle_all(service, *both, tick(9), SensorRetired("site1", "001", minute_at(9)))
    assert [line.split()[0] for line in (tmp_path / "alert.txt").read_text().splitlines()] == ["002"]
    handle_all(service, *(verdict(minute, sensor="002") for minute in range(10, 20)), tick(19), tick(20))
    block = (tmp_path / "outbox/server-20261123T2310.txt").read_text()
    assert {line.split()[0] for line in block.splitlines()} == {"002"}
    handle_all(service, verdict(21))
    assert "001" in (tmp_path / "alert.txt").read_text()

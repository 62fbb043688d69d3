"""A restored database is backfilled from the reporter's blocks with what neither it nor ingest has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from services.db_writer.maintenance import DatabaseMaintenance
from services.db_writer.report_reader import ReportReader
from services.db_writer.service import DbWriter
from services.reporter.history_lookup import NullHistoryLookup
from services.reporter.output_folder import OutputFolder
from services.reporter.service import Reporter
from shared.contract.messages import Message, Progress
from shared.contract.service import Unavailable
from shared.contract.status_codes import problem
from shared.store import backups
from shared.store.history import History
from shared.store.recorder import Recorder
from shared.store.repair import backfill_marker
from tests.unit.factories import START, minute_at, reading, tick, verdict

SEOUL = ZoneInfo("Asia/Seoul")
T0 = int(START.timestamp())
BACKED_UP, LOST, SPOOLED = 100, 160, 200
"""Minutes: the backup ends at the first, ingest's spool starts at the second, the restore is at the third."""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A restored site: 100 minutes in the database and 200 in the reporter's files; the last 40 are retransmitted."""
    recorder = Recorder(tmp_path / "wvr.db", SEOUL, (0,))
    mark = ("site1", ("boot", 99, T0, 99))
    recorder.write([*map(reading, range(BACKED_UP)), *map(verdict, range(BACKED_UP))], [mark])
    backups.create_backup(tmp_path / "wvr.db", tmp_path / "backup", START, lambda *_: None)
    recorder.close()
    (tmp_path / "wvr.db").write_bytes(b"torn" * 5000)
    reporter = Reporter(OutputFolder(tmp_path / "sensor"), SEOUL, (24,), 7, NullHistoryLookup())
    for minute in range(SPOOLED):
        list(reporter.handle(verdict(minute, 12.3456, night=minute % 2)))
        list(reporter.end_batch())
    return tmp_path


@pytest.fixture
def recorder(data: Path) -> Iterator[Recorder]:
    recorder = Recorder(data / "wvr.db", SEOUL, (0,))
    assert recorder.repair_problem
    assert "was restored" in recorder.repair_problem.text.en
    yield recorder
    recorder.close()


def db_writer(data: Path, recorder: Recorder) -> DbWriter:
    report_reader = ReportReader(data / "sensor", backfill_marker(data / "wvr.db"), "site1", SEOUL)
    care = DatabaseMaintenance("site1", recorder, backfill_source=report_reader)
    service = DbWriter(recorder, "site1", 365, lambda seconds: minute_at((seconds - T0) / 60), care)
    list(service.start())
    return service


def handle_batches(service: DbWriter, *messages: Message, times: int = 1) -> list[Message]:
    for message in messages:
        list(service.handle(message))
    return [message for _ in range(times) for message in service.end_batch()]


def sources(data: Path) -> list[str]:
    """Return the sources of all stored minutes in order of time."""
    history = History(data / "wvr.db", SEOUL, "site1")
    rows = history._rows("SELECT source FROM REAL_VAL_TB WHERE site = ? ORDER BY at")
    return [row[0] for row in rows]


def test_minutes_only_in_blocks_are_backfilled_after_retransmission(data: Path, recorder: Recorder) -> None:
    service = db_writer(data, recorder)
    newest = replace(tick(SPOOLED), boot_id="boot", seq=SPOOLED - 1)
    handle_batches(service, newest, times=5)
    assert len(sources(data)) == BACKED_UP
    again = [replace(reading(LOST), after=BACKED_UP - 1), *map(reading, range(LOST + 1, SPOOLED))]
    messages = handle_batches(service, *again, times=10)
    assert sources(data) == ["test"] * 100 + ["outbox"] * 60 + ["test"] * 40
    (progress,) = [message for message in messages if isinstance(message, Progress)]
    assert (progress.job, progress.step, progress.of) == ("import", 1, 1)
    assert progress.text.en == "60 minutes were backfilled from the reporter's blocks"
    assert not backfill_marker(data / "wvr.db").exists()


def test_backfilled_flags_match_and_retransmitted_readings_are_left_to_the_detector(
    data: Path, recorder: Recorder
) -> None:
    service = db_writer(data, recorder)
    again = [replace(reading(LOST), after=BACKED_UP - 1), *map(reading, range(LOST + 1, SPOOLED))]
    handle_batches(service, *again, replace(tick(SPOOLED), boot_id="boot", seq=SPOOLED - 1), times=10)
    history = History(data / "wvr.db", SEOUL, "site1")
    back = list(history.verdicts("001", T0 + BACKED_UP * 60, T0 + 10**6))
    assert [item.flow_rate.night.flag for item in back] == [minute % 2 for minute in range(BACKED_UP, LOST)]
    assert {item.reading.flow_rate for item in back} == {12.35}
    assert [item.at for item in history.readings_without_verdict("001", T0, T0 + 10**6)] == [
        minute_at(item) for item in range(LOST, SPOOLED)
    ]
    assert len(list(history._rows("SELECT 1 FROM HOURLY_VAL_TB WHERE site = ?"))) == 4


def test_exact_value_replaces_the_backfilled_one(data: Path, recorder: Recorder) -> None:
    handle_batches(db_writer(data, recorder), replace(tick(200), boot_id="boot", seq=99), times=10)
    assert sources(data) == ["test"] * 100 + ["outbox"] * 100
    recorder.write([reading(minute, 9.8765) for minute in range(50, 150)])
    assert sources(data) == ["test"] * 150 + ["outbox"] * 50
    history = History(data / "wvr.db", SEOUL, "site1")
    rows = history.readings("001", T0 + 99 * 60, T0 + 101 * 60).flow_rate.tolist()
    assert rows == [12.34, 9.8765]


def test_blocks_are_ignored_without_a_restore(data: Path, recorder: Recorder) -> None:
    backfill_marker(data / "wvr.db").unlink()
    assert not handle_batches(db_writer(data, recorder), replace(tick(200), boot_id="boot", seq=99), times=5)
    assert len(sources(data)) == BACKED_UP


def test_failed_batch_is_stored_again(data: Path, recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    service = db_writer(data, recorder)
    handle_batches(service, replace(tick(200), boot_id="boot", seq=99))
    with monkeypatch.context() as patched:
        patched.setattr(recorder, "insert_missing", locked)
        with pytest.raises(Unavailable):
            handle_batches(service)
    handle_batches(service, times=10)
    assert len(sources(data)) == SPOOLED


def locked(_: object) -> int:
    raise Unavailable(problem("database_locked"))


def test_lines_without_reading_and_invalid_lines_are_skipped(tmp_path: Path) -> None:
    (tmp_path / "outbox").mkdir()
    good = "001  2026-10-25T01:59  1.50  NULL  0 1 NULL 0  NULL NULL NULL  NULL NULL"
    lines = [
        good,
        "001  2026-10-25T01:58  NULL  NULL  1 NULL NULL NULL  1 NULL NULL  NULL NULL",
        "001  2026-10-25T02:30  1.50  4.00  0 0 0 0  0 0 0  NULL NULL",
        "001  2026-10-25T01:57  1.50  4.00  0 0 0 0",
        "001  2026-10-25T01:56  nan  inf  0 0 0 0  0 0 0",
        "001  yesterday  1.50  4.00  0 0 0 0  0 0 0",
        "001  2026-10-25T01:55  1.50  4.00  0 0 0 9  0 0 0",
        "",
    ]
    (tmp_path / "outbox/server-20261025T0150.txt").write_text("\n".join(lines), encoding="ascii")
    (tmp_path / "outbox/server-20261025T0200.txt").write_bytes(b"\xff\xfe")
    (tmp_path / "outbox/server-20261025T0210.txt").mkdir()
    report_reader = ReportReader(tmp_path, tmp_path / "marker", "site1", ZoneInfo("Europe/Berlin"))
    (rows,) = [verdict for day in report_reader.batches() for verdict in day]
    assert rows.at.isoformat() == "2026-10-25T01:59:00+02:00"
    assert (rows.reading.flow_rate, rows.reading.pressure, rows.flow_rate.value.flag) == (1.5, None, 1)

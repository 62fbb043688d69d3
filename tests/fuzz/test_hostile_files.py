"""Invalid and extreme files in data/: no service fails, blocks or uses unlimited memory."""

from __future__ import annotations

import gzip
import json
import os
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from services.ingest import dead_letters
from services.ingest.dead_letters import DeadLetterFiles
from services.ingest.sources.checkpoints import load_checkpoints
from services.ingest.sources.file_tail import FileSource
from services.ingest.sources.line_reader import BadLine, Measurement, open_lines
from services.ingest.spool import Spool
from services.ingest.spool_segment import encode_line
from services.ingest.tables.rows import SensorNames
from services.reporter.history_lookup import HistoryLookup, NullHistoryLookup
from services.reporter.output_folder import OutputFolder
from services.reporter.service import Reporter
from shared.contract.service import Unavailable
from shared.contract.texts import technical
from shared.runtime.safe_files import open_regular_file, read_limited
from shared.settings import SettingsError, load_settings
from shared.settings.sections import FileTable
from shared.store.backups import list_backups, rotate
from shared.store.history import History
from shared.store.recorder import Recorder
from shared.store.repair import last_repair
from tests.unit.factories import START, reading, tick, verdict

SEOUL = ZoneInfo("Asia/Seoul")
LINE = b"2026-08-03 09:49,001,12.5,4.1\n"
HOURS = (24, 48)


@contextmanager
def bounded(seconds: float = 5.0, megabytes: float = 20.0) -> Iterator[None]:
    """Fail if the block takes longer or, at its peak, more memory."""
    tracemalloc.start()
    started_at = time.monotonic()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()
    assert time.monotonic() - started_at < seconds
    assert peak < megabytes


def make_source(folder: Path, pattern: str = "*.csv") -> FileSource:
    (folder / "sensor").mkdir(exist_ok=True)
    return FileSource(folder / "sensor", [FileTable(files=pattern)], SEOUL, folder / "place.json", SensorNames(()))


def poll(source: FileSource, max_items: int = 100) -> list[Measurement | BadLine]:
    return list(source.poll(START, max_items))


def test_gigabyte_without_a_line_end_is_one_bad_line(tmp_path: Path) -> None:
    source = make_source(tmp_path)
    with (tmp_path / "sensor/a.csv").open("wb") as file:
        file.truncate(1_000_000_000)
    with bounded():
        items = [item for _ in range(5) for item in poll(source)]
    assert [item.reason.en for item in items if isinstance(item, BadLine)] == ["line is longer than 65536 bytes"]


def test_large_gz_does_not_block_a_poll(tmp_path: Path) -> None:
    source = make_source(tmp_path)
    for name, block in (("a.csv.gz", b"\n" * 10_000_000), ("b.csv.gz", b"0" * 10_000_000)):
        (tmp_path / "sensor" / name).write_bytes(gzip.compress(block) * 20)
    poll(source)
    with bounded():
        for _ in range(10):
            poll(source)


def test_oversized_gz_is_reported_and_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.ingest.sources.file_reader.MAX_UNPACKED_BYTES", 300)
    source = make_source(tmp_path)
    (tmp_path / "sensor/a.csv.gz").write_bytes(gzip.compress(LINE * 50))
    items = poll(source) + poll(source)
    assert isinstance(items[-1], BadLine)
    assert "uncompressed size exceeds 300 bytes" in items[-1].reason.en
    assert poll(source) == []


def test_fast_growing_file_does_not_block_other_files(tmp_path: Path) -> None:
    source = make_source(tmp_path)
    (tmp_path / "sensor/a.csv").write_bytes(LINE * 50)
    (tmp_path / "sensor/b.csv").write_bytes(LINE.replace(b"001", b"002"))
    items = []
    for _ in range(10):
        with (tmp_path / "sensor/a.csv").open("ab") as file:
            file.write(LINE * 20)
        items += poll(source, 20)
    assert "002" in {item.sensor for item in items if isinstance(item, Measurement)}


def test_non_regular_files_are_not_read(tmp_path: Path) -> None:
    source = make_source(tmp_path)
    sensor = tmp_path / "sensor"
    os.mkfifo(sensor / "a.csv")
    (sensor / "b.csv").mkdir()
    (sensor / "c.csv").symlink_to("/dev/zero")
    (sensor / "d.csv").symlink_to("d.csv")
    (sensor / "e.csv").write_bytes(LINE)
    with bounded():
        assert [type(item) for item in poll(source)] == [Measurement]
        for name in ("a.csv", "b.csv", "c.csv", "d.csv"):
            with pytest.raises(OSError, match=name):
                open_lines(sensor / name)


def test_unprintable_names_are_reported_once(tmp_path: Path) -> None:
    source = make_source(tmp_path)
    for name in (b"a\nb.csv", b"\xff.csv"):
        Path(os.fsdecode(os.fsencode(tmp_path / "sensor") + b"/" + name)).write_bytes(LINE)
    items = poll(source) + poll(source)
    assert len(items) == 1
    assert isinstance(items[0], BadLine)
    assert "its name is not printable" in items[0].reason.en


def test_excess_files_are_reported_and_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.ingest.sources.folder.MAX_FILES", 3)
    source = make_source(tmp_path)
    for number in range(6):
        (tmp_path / "sensor" / f"{number}.csv").write_bytes(LINE)
    items = poll(source)
    assert sum(isinstance(item, Measurement) for item in items) == 3
    assert [item.reason.en for item in items if isinstance(item, BadLine)] == [
        "there are more than 3 files; the others are not read"
    ]


CHECKPOINT = {
    "name": "a.csv",
    "inode": 1,
    "offset": 0,
    "lines": 0,
    "header": "",
    "head_bytes": 0,
    "head": "",
    "seen": [0, 0],
    "ended": [0, 0],
}


@pytest.mark.parametrize(
    "files",
    [
        "[" * 100_000,
        json.dumps([{**CHECKPOINT, "offset": -5}]),
        json.dumps([{**CHECKPOINT, "offset": 10**30}]),
        json.dumps([{**CHECKPOINT, "offset": 1.5}]),
        json.dumps([{**CHECKPOINT, "head_bytes": 10**9}]),
        json.dumps([{**CHECKPOINT, "name": ["a"]}]),
        json.dumps([{**CHECKPOINT, "ended": "ab"}]),
        json.dumps([{**CHECKPOINT, "later": 1}]),
        '[], "turning": {"001": "2026-01-01T00:00"}',
        "7",
    ],
    ids=lambda text: text[:60],
)
def test_invalid_checkpoint_restarts_the_file(files: str, tmp_path: Path) -> None:
    (tmp_path / "place.json").write_text(f'{{"turning": {{}}, "files": {files}}}')
    with pytest.raises(ValueError, match=r"."):
        load_checkpoints(tmp_path / "place.json")
    source = make_source(tmp_path)
    (tmp_path / "sensor/a.csv").write_bytes(LINE)
    assert [type(item) for item in poll(source)] == [BadLine, Measurement]


def test_oversized_checkpoint_file_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "place.json").open("wb") as file:
        file.truncate(1_000_000_000)
    with bounded(megabytes=50), pytest.raises(ValueError, match="larger than"):
        load_checkpoints(tmp_path / "place.json")


def test_rejected_lines_do_not_fill_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead_letters, "MAX_FILE_BYTES", 10_000)
    dead_letter_files = DeadLetterFiles(tmp_path)
    for number in range(2000):
        dead_letter_files(BadLine(f"{number % 300:03}{'x' * 200}.csv", number, "9" * 4000, technical("no number")))
    files = list(tmp_path.iterdir())
    assert len(files) <= 2 * (dead_letters.MAX_FILES + 1)
    assert sum(path.stat().st_size for path in files) <= len(files) * 15_000


def open_spool(folder: Path) -> Spool:
    return Spool(folder, "site1", 2.0, 10.0)


def test_unknown_files_in_the_spool_folder_stay(tmp_path: Path) -> None:
    first = open_spool(tmp_path)
    first.append(reading(0))
    for name in ("x-aaaaaaaaaaaa.log", "x-²²²²²²²²²²²².log", "a b-000000000000.log", "-000000000000.log"):
        (tmp_path / name).write_bytes(b"\xff" * 100)
    (tmp_path / "ffffffffffff-000000000000.log").mkdir()
    os.mkfifo(tmp_path / "eeeeeeeeeeee-000000000000.log")
    (tmp_path / "dddddddddddd-000000000000.log").symlink_to("nowhere")
    reopened = open_spool(tmp_path)
    assert (reopened.boot_id, reopened.next_seq) == (first.boot_id, 1)
    reopened.on_position_committed()
    assert len(list(reopened.read_range(0, 9))) == 1


def test_spool_file_with_an_endless_line_is_not_read_into_memory(tmp_path: Path) -> None:
    first = open_spool(tmp_path)
    first.append(reading(0))
    with next(tmp_path.iterdir()).open("ab") as file:
        file.truncate(1_000_000_000)
    with bounded():
        assert open_spool(tmp_path).next_seq == 1


@pytest.mark.parametrize("number", [10**12, 10**400, -1])
def test_impossible_seq_in_the_spool_is_ignored(number: int, tmp_path: Path) -> None:
    first = open_spool(tmp_path)
    first.append(reading(0))
    with next(tmp_path.iterdir()).open("ab") as file:
        file.write(encode_line(replace(reading(1), seq=number)))
    assert open_spool(tmp_path).next_seq == 1


def make_reporter(folder: Path, history: HistoryLookup | NullHistoryLookup | None = None) -> Reporter:
    return Reporter(OutputFolder(folder), SEOUL, HOURS, 7, history or NullHistoryLookup())


def writes_output(reporter: Reporter, folder: Path) -> bool:
    """Return whether verdicts reach alert.txt and server.txt."""
    list(reporter.start())
    for minute in range(12):
        list(reporter.handle(verdict(minute)))
        list(reporter.handle(tick(minute)))
        list(reporter.end_batch())
    return "2026-11-23T23:11" in (folder / "alert.txt").read_text() and (folder / "server.txt").is_file()


BLOCK_LINE = "001  2026-11-23T22:55  12.34  4.11  0 0 0 1  0 0 NULL  1.00 2.00  NULL NULL\n"


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe\0" * 1000,
        b"001\n\n  \n",
        BLOCK_LINE.replace("2026-11-23T22:55", "9999-99-99T99:99").encode(),
        BLOCK_LINE.replace("001", "a\u2028b").encode() + b"x" * 100_000,
        BLOCK_LINE.replace("001", "../../x").encode() * 1000,
    ],
    ids=["binary", "short", "invalid time", "other line ends", "invalid sensor"],
)
def test_reporter_continues_after_any_file_content(content: bytes, tmp_path: Path) -> None:
    for name in ("alert.txt", "server.txt", "server.part.txt"):
        (tmp_path / name).write_bytes(content)
    assert writes_output(make_reporter(tmp_path), tmp_path)


def test_server_txt_of_a_future_day_does_not_stop_the_reporter(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "wvr.db", SEOUL, (0, 24))
    recorder.write([reading(0), verdict(0)])
    history = HistoryLookup(History(tmp_path / "wvr.db", SEOUL, "site1"), SEOUL, 7)
    recorder.close()
    assert history.latest_minute() == "2026-11-24T23:00"
    for name in ("server.txt", "server.part.txt"):
        (tmp_path / name).write_text(BLOCK_LINE.replace("2026", "2098") * 10)
    assert writes_output(make_reporter(tmp_path, history), tmp_path)


def test_reporter_reports_a_write_error_and_retries(tmp_path: Path) -> None:
    reporter = make_reporter(tmp_path)
    (tmp_path / "alert.txt").mkdir()
    list(reporter.start())
    list(reporter.handle(verdict(0)))
    with pytest.raises(Unavailable, match=r"alert\.txt cannot be written"):
        list(reporter.end_batch())
    (tmp_path / "alert.txt").rmdir()
    list(reporter.end_batch())
    assert (tmp_path / "alert.txt").is_file()


def test_folder_in_the_outbox_is_ignored(tmp_path: Path) -> None:
    folder = OutputFolder(tmp_path)
    (tmp_path / "outbox/server-20200101T0000.txt").mkdir()
    folder.prune_outbox("server-20260101T0000.txt", 1)


def test_blocks_of_future_days_in_the_outbox_are_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.reporter.output_folder.MAX_BLOCKS", 5)
    folder = OutputFolder(tmp_path)
    for day in range(10, 20):
        folder.write(f"outbox/server-209901{day}T0000.txt", "")
    folder.prune_outbox("server-20260101T0000.txt", 1)
    assert len(list((tmp_path / "outbox").iterdir())) == 5


def test_any_repair_text_is_read(tmp_path: Path) -> None:
    repair_file = tmp_path / "wvr.db.corrupt-20260101T000000.txt"
    repair_file.write_bytes(b"\xff" * 9000)
    repair = last_repair(tmp_path / "wvr.db")
    assert repair
    assert len(repair.text.en) == 1000
    repair_file.unlink()
    repair_file.mkdir()
    repair = last_repair(tmp_path / "wvr.db")
    assert repair
    assert "cannot be read" in repair.text.en


def test_unknown_files_among_the_backups_stay(tmp_path: Path) -> None:
    for name in ("wvr-x.db", "wvr-20261399T000000.db", "other.db", "wvr-.db", "wvr-\n.db"):
        (tmp_path / name).touch()
    (tmp_path / "wvr-20260101T000000.db").mkdir()
    assert list_backups(tmp_path) == {}
    rotate(tmp_path)
    assert len(list(tmp_path.iterdir())) == 6


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"[site]\nname = \xff", ":2: not UTF-8"),
        (b"a = " + b"[" * 10_000, ":1: invalid TOML"),
        (b"a = 1" + b"0" * 10_000, ":1: "),
        (b"#" * 2_000_000, "larger than"),
        (b"[simulator]\nmean_flow = 1e300", ":2: simulator.mean_flow"),
        (b"[site]\nname = '" + b"x" * 100_000 + b"'", ":2: site.name"),
        (b"[site]\ntimezone = '../../etc/passwd'", ":2: site.timezone"),
        (b"[reporter]\nhorizons_hours = [" + b"1," * 1000 + b"]", ":2: reporter.horizons_hours"),
        (b"".join(b"[sensors.s%d]\n" % number for number in range(65)), ":1: sensors"),
    ],
    ids=lambda parameter: str(parameter)[:40],
)
def test_invalid_site_toml_is_reported(content: bytes, reason: str, tmp_path: Path) -> None:
    file = tmp_path / "site.toml"
    file.write_bytes(content)
    with pytest.raises(SettingsError) as refused:
        load_settings(file)
    assert str(refused.value).startswith(str(file))
    assert reason in str(refused.value)
    assert len(str(refused.value)) < 2000


def test_invalid_json_in_the_environment_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "site.toml").touch()
    monkeypatch.setenv("WVR_SENSORS", "{")
    with pytest.raises(SettingsError, match=r"environment: .*sensors"):
        load_settings(tmp_path / "site.toml")


def test_folder_instead_of_site_toml_is_reported(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="can't be read"):
        load_settings(tmp_path)


def test_pipe_and_device_are_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with bounded(), pytest.raises(OSError, match="not a regular file"):
        open_regular_file(tmp_path / "pipe")
    with bounded(), pytest.raises(OSError, match="not a regular file"):
        read_limited(Path("/dev/zero"), 100)

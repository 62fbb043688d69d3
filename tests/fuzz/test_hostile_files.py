"""Files in data/ as a stranger, a torn disk or a mad logger leaves them: no service dies, hangs or grows."""

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
from services.ingest.spool import Spool, _encode_line
from services.reporter.history_lookup import HistoryLookup, NullHistoryLookup
from services.reporter.output_folder import OutputFolder
from services.reporter.service import Reporter
from shared.contract.service import Unavailable
from shared.contract.texts import technical
from shared.runtime.safe_files import open_regular_file, read_limited
from shared.settings import SettingsError, load_settings
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
    """Fails when what is within takes longer or more memory at once."""
    tracemalloc.start()
    began = time.monotonic()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()
    assert time.monotonic() - began < seconds
    assert peak < megabytes


def source(folder: Path, pattern: str = "*.csv") -> FileSource:
    (folder / "sensor").mkdir(exist_ok=True)
    return FileSource(folder / "sensor", pattern, SEOUL, folder / "place.json")


def polled(one: FileSource, most: int = 100) -> list[Measurement | BadLine]:
    return list(one.poll(START, most))


def test_a_gigabyte_without_a_line_end_is_one_bad_line(tmp_path: Path) -> None:
    one = source(tmp_path)
    with (tmp_path / "sensor/a.csv").open("wb") as file:
        file.truncate(1_000_000_000)
    with bounded():
        found = [item for _ in range(5) for item in polled(one)]
    assert [item.reason.en for item in found if isinstance(item, BadLine)] == ["line is longer than 65536 bytes"]


def test_large_gz_does_not_block_a_poll(tmp_path: Path) -> None:
    one = source(tmp_path)
    for name, block in (("a.csv.gz", b"\n" * 10_000_000), ("b.csv.gz", b"0" * 10_000_000)):
        (tmp_path / "sensor" / name).write_bytes(gzip.compress(block) * 20)
    polled(one)
    with bounded():
        for _ in range(10):
            polled(one)


def test_oversized_gz_is_reported_and_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.ingest.sources.file_tail.MAX_UNPACKED_BYTES", 300)
    one = source(tmp_path)
    (tmp_path / "sensor/a.csv.gz").write_bytes(gzip.compress(LINE * 50))
    found = polled(one) + polled(one)
    assert isinstance(found[-1], BadLine)
    assert "uncompressed size exceeds 300 bytes" in found[-1].reason.en
    assert polled(one) == []


def test_a_file_that_grows_as_fast_as_it_is_read_holds_up_no_other(tmp_path: Path) -> None:
    one = source(tmp_path)
    (tmp_path / "sensor/a.csv").write_bytes(LINE * 50)
    (tmp_path / "sensor/b.csv").write_bytes(LINE.replace(b"001", b"002"))
    found = []
    for _ in range(10):
        with (tmp_path / "sensor/a.csv").open("ab") as file:
            file.write(LINE * 20)
        found += polled(one, 20)
    assert "002" in {item.sensor for item in found if isinstance(item, Measurement)}


def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    one = source(tmp_path)
    sensor = tmp_path / "sensor"
    os.mkfifo(sensor / "a.csv")
    (sensor / "b.csv").mkdir()
    (sensor / "c.csv").symlink_to("/dev/zero")
    (sensor / "d.csv").symlink_to("d.csv")
    (sensor / "e.csv").write_bytes(LINE)
    with bounded():
        assert [type(item) for item in polled(one)] == [Measurement]
        for name in ("a.csv", "b.csv", "c.csv", "d.csv"):
            with pytest.raises(OSError, match=name):
                open_lines(sensor / name)


def test_unprintable_names_are_reported_once(tmp_path: Path) -> None:
    one = source(tmp_path)
    for name in (b"a\nb.csv", b"\xff.csv"):
        Path(os.fsdecode(os.fsencode(tmp_path / "sensor") + b"/" + name)).write_bytes(LINE)
    found = polled(one) + polled(one)
    assert len(found) == 1
    assert isinstance(found[0], BadLine)
    assert "its name is not printable" in found[0].reason.en


def test_excess_files_are_reported_and_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.ingest.sources.file_tail.MAX_FILES", 3)
    one = source(tmp_path)
    for number in range(6):
        (tmp_path / "sensor" / f"{number}.csv").write_bytes(LINE)
    found = polled(one)
    assert sum(isinstance(item, Measurement) for item in found) == 3
    assert [item.reason.en for item in found if isinstance(item, BadLine)] == [
        "there are more than 3 files; the others are not read"
    ]


PLACE = {
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
        json.dumps([{**PLACE, "offset": -5}]),
        json.dumps([{**PLACE, "offset": 10**30}]),
        json.dumps([{**PLACE, "offset": 1.5}]),
        json.dumps([{**PLACE, "head_bytes": 10**9}]),
        json.dumps([{**PLACE, "name": ["a"]}]),
        json.dumps([{**PLACE, "ended": "ab"}]),
        json.dumps([{**PLACE, "later": 1}]),
        '[], "turning": {"001": "2026-01-01T00:00"}',
        "7",
    ],
    ids=lambda text: text[:60],
)
def test_invalid_checkpoint_restarts_the_file(files: str, tmp_path: Path) -> None:
    (tmp_path / "place.json").write_text(f'{{"turning": {{}}, "files": {files}}}')
    with pytest.raises(ValueError, match=r"."):
        load_checkpoints(tmp_path / "place.json")
    one = source(tmp_path)
    (tmp_path / "sensor/a.csv").write_bytes(LINE)
    assert [type(item) for item in polled(one)] == [BadLine, Measurement]


def test_oversized_checkpoint_file_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "place.json").open("wb") as file:
        file.truncate(1_000_000_000)
    with bounded(megabytes=50), pytest.raises(ValueError, match="larger than"):
        load_checkpoints(tmp_path / "place.json")


def test_rejected_lines_do_not_fill_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead_letters, "MAX_FILE_BYTES", 10_000)
    keep = DeadLetterFiles(tmp_path)
    for number in range(2000):
        keep(BadLine(f"{number % 300:03}{'x' * 200}.csv", number, "9" * 4000, technical("no number")))
    files = list(tmp_path.iterdir())
    assert len(files) <= 2 * (dead_letters.MAX_FILES + 1)
    assert sum(path.stat().st_size for path in files) <= len(files) * 15_000


def spool(folder: Path) -> Spool:
    return Spool(folder, "site1", 2.0, 10.0)


def test_unknown_files_in_the_spool_folder_stay(tmp_path: Path) -> None:
    first = spool(tmp_path)
    first.append(reading(0))
    for name in ("x-aaaaaaaaaaaa.log", "x-²²²²²²²²²²²².log", "a b-000000000000.log", "-000000000000.log"):
        (tmp_path / name).write_bytes(b"\xff" * 100)
    (tmp_path / "ffffffffffff-000000000000.log").mkdir()
    os.mkfifo(tmp_path / "eeeeeeeeeeee-000000000000.log")
    (tmp_path / "dddddddddddd-000000000000.log").symlink_to("nowhere")
    again = spool(tmp_path)
    assert (again.boot_id, again.next_seq) == (first.boot_id, 1)
    again.on_position_committed()
    assert len(list(again.read_range(0, 9))) == 1


def test_a_spool_s_file_with_a_line_without_end_is_not_read_at_once(tmp_path: Path) -> None:
    first = spool(tmp_path)
    first.append(reading(0))
    with next(tmp_path.iterdir()).open("ab") as file:
        file.truncate(1_000_000_000)
    with bounded():
        assert spool(tmp_path).next_seq == 1


@pytest.mark.parametrize("number", [10**12, 10**400, -1])
def test_a_number_that_no_reading_has_is_not_taken_from_the_spool(number: int, tmp_path: Path) -> None:
    first = spool(tmp_path)
    first.append(reading(0))
    with next(tmp_path.iterdir()).open("ab") as file:
        file.write(_encode_line(replace(reading(1), seq=number)))
    assert spool(tmp_path).next_seq == 1


def reporter(folder: Path, history: HistoryLookup | NullHistoryLookup | None = None) -> Reporter:
    return Reporter(OutputFolder(folder), SEOUL, HOURS, 7, history or NullHistoryLookup())


def goes_on(one: Reporter, folder: Path) -> bool:
    """Whether a verdict is in alert.txt after it came."""
    list(one.start())
    for minute in range(12):
        list(one.handle(verdict(minute)))
        list(one.handle(tick(minute)))
        list(one.end_batch())
    return "2026-11-23T23:11" in (folder / "alert.txt").read_text() and (folder / "server.txt").is_file()


OURS = "001  2026-11-23T22:55  12.34  4.11  0 0 0 1  0 0 NULL  1.00 2.00  NULL NULL\n"


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe\0" * 1000,
        b"001\n\n  \n",
        OURS.replace("2026-11-23T22:55", "9999-99-99T99:99").encode(),
        OURS.replace("001", "a\u2028b").encode() + b"x" * 100_000,
        OURS.replace("001", "../../x").encode() * 1000,
    ],
    ids=["binary", "short", "no time", "other line ends", "no sensor"],
)
def test_reporter_continues_after_any_file_content(content: bytes, tmp_path: Path) -> None:
    for name in ("alert.txt", "server.txt", "server.part.txt"):
        (tmp_path / name).write_bytes(content)
    assert goes_on(reporter(tmp_path), tmp_path)


def test_server_txt_of_a_future_day_does_not_stop_the_reporter(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "wvr.db", SEOUL, (0, 24))
    recorder.write([reading(0), verdict(0)])
    history = HistoryLookup(History(tmp_path / "wvr.db", SEOUL, "site1"), SEOUL, 7)
    recorder.close()
    assert history.latest_minute() == "2026-11-24T23:00"
    for name in ("server.txt", "server.part.txt"):
        (tmp_path / name).write_text(OURS.replace("2026", "2098") * 10)
    assert goes_on(reporter(tmp_path, history), tmp_path)


def test_reporter_reports_a_write_error_and_retries(tmp_path: Path) -> None:
    one = reporter(tmp_path)
    (tmp_path / "alert.txt").mkdir()
    list(one.start())
    list(one.handle(verdict(0)))
    with pytest.raises(Unavailable, match=r"alert\.txt can't be written"):
        list(one.end_batch())
    (tmp_path / "alert.txt").rmdir()
    list(one.end_batch())
    assert (tmp_path / "alert.txt").is_file()


def test_a_folder_in_the_outbox_is_no_block(tmp_path: Path) -> None:
    folder = OutputFolder(tmp_path)
    (tmp_path / "outbox/server-20200101T0000.txt").mkdir()
    folder.prune_outbox("server-20260101T0000.txt", 1)


def test_the_outbox_does_not_grow_with_blocks_of_days_to_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.reporter.output_folder.MAX_BLOCKS", 5)
    folder = OutputFolder(tmp_path)
    for day in range(10, 20):
        folder.write(f"outbox/server-209901{day}T0000.txt", "")
    folder.prune_outbox("server-20260101T0000.txt", 1)
    assert len(list((tmp_path / "outbox").iterdir())) == 5


def test_any_repair_text_is_read(tmp_path: Path) -> None:
    note = tmp_path / "wvr.db.corrupt-20260101T000000.txt"
    note.write_bytes(b"\xff" * 9000)
    repair = last_repair(tmp_path / "wvr.db")
    assert repair
    assert len(repair.text.en) == 1000
    note.unlink()
    note.mkdir()
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
        (b"[site]\nname = \xff", ":2: no UTF-8 text"),
        (b"a = " + b"[" * 10_000, ":1: no TOML"),
        (b"a = 1" + b"0" * 10_000, ":1: "),
        (b"#" * 2_000_000, "larger than"),
        (b"[simulator]\nmean_flow = 1e300", ":2: simulator.mean_flow"),
        (b"[site]\nname = '" + b"x" * 100_000 + b"'", ":2: site.name"),
        (b"[site]\ntimezone = '../../etc/passwd'", ":2: site.timezone"),
        (b"[reporter]\nhorizons_hours = [" + b"1," * 1000 + b"]", ":2: reporter.horizons_hours"),
        (b"".join(b"[sensors.s%d]\n" % number for number in range(65)), ":1: sensors"),
    ],
    ids=lambda one: str(one)[:40],
)
def test_a_site_toml_that_can_not_be_used_is_named(content: bytes, reason: str, tmp_path: Path) -> None:
    file = tmp_path / "site.toml"
    file.write_bytes(content)
    with pytest.raises(SettingsError) as refused:
        load_settings(file)
    assert str(refused.value).startswith(str(file))
    assert reason in str(refused.value)
    assert len(str(refused.value)) < 2000


def test_a_setting_in_the_environment_that_is_no_json_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "site.toml").touch()
    monkeypatch.setenv("WVR_SENSORS", "{")
    with pytest.raises(SettingsError, match=r"environment: .*sensors"):
        load_settings(tmp_path / "site.toml")


def test_a_folder_in_the_place_of_site_toml_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="can't be read"):
        load_settings(tmp_path)


def test_a_pipe_is_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with bounded(), pytest.raises(OSError, match="no regular file"):
        open_regular_file(tmp_path / "pipe")
    with bounded(), pytest.raises(OSError, match="no regular file"):
        read_limited(Path("/dev/zero"), 100)

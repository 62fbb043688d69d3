"""Files are followed line by line through rotation, truncation and restarts; uncommitted items are delivered again."""

from __future__ import annotations

import gzip
import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO
from zoneinfo import ZoneInfo

import pytest

from services.ingest.sources import file_reader
from services.ingest.sources.file_tail import FileSource
from services.ingest.sources.line_reader import BadLine, open_lines
from services.ingest.sources.registry import SOURCES
from services.ingest.tables.rows import SensorNames
from shared.settings import Settings
from shared.settings.sections import FileTable, Ingest

SEOUL = ZoneInfo("Asia/Seoul")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
HEADER = "timestamp,sensor,flow_rate,pressure\n"


class Site:
    """A folder with a source that follows it."""

    def __init__(self, folder: Path, pattern: str = "*.csv", zone: str = "Asia/Seoul") -> None:
        self.folder, self.pattern, self.zone = folder / "sensor", pattern, ZoneInfo(zone)
        self.checkpoint_file = folder / "spool" / "place.json"
        self.folder.mkdir()
        self.source = self.restarted()

    def restarted(self) -> FileSource:
        self.source = FileSource(
            self.folder, [FileTable(files=self.pattern)], self.zone, self.checkpoint_file, SensorNames(())
        )
        return self.source

    def write(self, name: str, text: str) -> Path:
        with (self.folder / name).open("a", encoding="utf-8") as opened:
            opened.write(text)
        return self.folder / name

    def poll_all(self, most: int = 1000, done: bool = True) -> list[float | str | None]:
        """Return the flow rates, or reasons of bad lines, of polls until nothing is new."""
        items = []
        while polled := list(self.source.poll(NOW, most)):
            items += polled
        if done:
            self.source.commit()
        return [item.reason.en if isinstance(item, BadLine) else item.flow_rate for item in items]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def minutes(*flows: int) -> str:
    """Return lines with these flows; the flow is also the minute."""
    return "".join(f"{datetime(2026, 1, 1) + timedelta(minutes=flow):%Y-%m-%d %H:%M},001,{flow},4\n" for flow in flows)  # noqa: DTZ001


def test_growing_file_is_followed(site: Site) -> None:
    site.write("a.csv", HEADER + minutes(1, 2))
    assert site.poll_all() == [1, 2]
    assert site.poll_all() == []
    site.write("a.csv", minutes(3))
    assert site.poll_all() == [3]


def test_incomplete_line_waits_for_its_end(site: Site) -> None:
    line = minutes(1)
    site.write("a.csv", line[:-4])
    assert site.poll_all() == []
    site.write("a.csv", line[-4:-1])
    assert site.poll_all() == []
    site.write("a.csv", "\n" + minutes(2)[:5])
    assert site.poll_all() == [1]


def test_poll_returns_at_most_max_items(site: Site) -> None:
    site.write("a.csv", HEADER + minutes(*range(7)))
    assert [len(list(site.source.poll(NOW, 3))) for _ in range(4)] == [3, 3, 1, 0]


def test_restart_continues_at_the_committed_position_with_header_and_line_numbers(site: Site) -> None:
    site.write("a.csv", "sensor,timestamp,pressure,flow_rate\n001,2026-01-01 00:01,4,1\n")
    assert site.poll_all() == [1]
    site.restarted()
    site.write("a.csv", "001,2026-01-01 00:02,4,2\nwater\n")
    *_, bad = list(site.source.poll(NOW, 9))
    assert isinstance(bad, BadLine)
    assert (bad.file, bad.number) == ("a.csv", 4)


def test_uncommitted_items_are_delivered_again(site: Site) -> None:
    site.write("a.csv", HEADER + minutes(*range(10)))
    for _ in range(3):
        assert len(list(site.source.poll(NOW, 2))) == 2
        site.source.commit()
    assert len(list(site.source.poll(NOW, 2))) == 2
    site.restarted()
    assert site.poll_all() == [6, 7, 8, 9]


def test_rest_of_a_renamed_file_comes_before_its_successor(site: Site) -> None:
    first = site.write("a.csv", HEADER + minutes(1))
    assert site.poll_all() == [1]
    site.write("a.csv", minutes(2))
    first.rename(site.folder / "a.csv.1")
    site.write("a.csv", HEADER + minutes(3))
    assert site.poll_all() == [2, 3]
    site.write("a.csv.1", minutes(4))
    assert site.poll_all() == [4]


def test_rotation_while_wvr_is_down_loses_nothing(site: Site) -> None:
    first = site.write("a.csv", HEADER + minutes(1))
    assert site.poll_all() == [1]
    site.write("a.csv", minutes(2))
    first.rename(site.folder / "z-old.csv")
    site.write("a.csv", HEADER + minutes(3))
    site.restarted()
    assert site.poll_all() == [2, 3]
    site.restarted()
    assert site.poll_all() == []


def test_file_renamed_during_a_backlog_is_read_to_its_end(site: Site) -> None:
    first = site.write("a.csv", HEADER + minutes(*range(9)))
    assert len(list(site.source.poll(NOW, 4))) == 4
    first.rename(site.folder.parent / "elsewhere.csv")
    assert site.poll_all() == [4, 5, 6, 7, 8]


def test_truncated_file_is_read_from_the_start(site: Site) -> None:
    path = site.write("a.csv", HEADER + minutes(*range(50)))
    shutil.copy(path, site.folder / "a.csv.1")
    assert len(site.poll_all()) == 50
    path.write_text("")
    assert site.poll_all() == []
    site.write("a.csv", minutes(60, 61))
    assert site.poll_all() == [60, 61]


def test_truncated_file_that_outgrew_its_old_end_is_read_from_the_start(site: Site) -> None:
    path = site.write("a.csv", HEADER + minutes(1, 2))
    assert site.poll_all() == [1, 2]
    path.write_text(HEADER + minutes(*range(10, 20)))
    assert site.poll_all() == list(range(10, 20))


def test_copy_that_replaces_a_file_continues_at_its_position(site: Site) -> None:
    site.write("a.csv", HEADER + minutes(*range(60)))
    assert len(site.poll_all()) == 60
    beside = site.folder / ".a.csv.part"
    beside.write_text(HEADER + minutes(*range(62)))
    beside.rename(site.folder / "a.csv")
    assert site.poll_all() == [60, 61]
    site.restarted()
    assert site.poll_all() == []


def test_different_file_with_the_same_name_is_read_from_the_start(site: Site) -> None:
    site.write("a.csv", HEADER + minutes(1)).unlink()
    site.write("a.csv", HEADER + minutes(2))
    assert site.poll_all() == [2]
    (site.folder / "a.csv").unlink()
    assert site.poll_all() == []
    site.write("a.csv", HEADER + minutes(3))
    assert site.poll_all() == [3]


def test_unread_file_that_disappears_is_reported(site: Site) -> None:
    path = site.write("a.csv", minutes(*range(9)))
    site.source.commit()
    assert len(list(site.source.poll(NOW, 4))) == 4
    site.source.commit()
    path.unlink()
    site.restarted()
    assert site.poll_all() == ["file is gone; lines after this one were not read"]
    site.restarted()
    assert site.poll_all() == []


def test_gz_is_read_once_it_has_stopped_growing(site: Site) -> None:
    packed = gzip.compress((HEADER + minutes(*range(500)))[:-1].encode())
    path = site.folder / "b.csv.gz"
    path.write_bytes(packed[:100])
    assert site.poll_all() == []
    path.write_bytes(packed)
    assert site.poll_all() == []
    assert len(list(site.source.poll(NOW, 300))) == 300
    site.source.commit()
    site.restarted()
    assert site.poll_all() == []
    assert site.poll_all() == list(range(300, 500))
    site.restarted()
    assert site.poll_all() + site.poll_all() == []


def test_incomplete_gz_is_reported_and_read_on_when_complete(site: Site) -> None:
    packed = gzip.compress((HEADER + minutes(*range(5000))).encode())
    path = site.folder / "b.csv.gz"
    path.write_bytes(packed[:-2000])
    *good, note = site.poll_all() + site.poll_all()
    assert "the rest cannot be read" in str(note)
    assert site.poll_all() == []
    path.write_bytes(packed)
    assert good + site.poll_all() + site.poll_all() == list(range(5000))


def test_invalid_gz_is_reported_once(site: Site) -> None:
    (site.folder / "b.csv.gz").write_bytes(b"no gz")
    (site.folder / "c.csv.gz").write_bytes(gzip.compress(b"x" * 99)[:12] + b"\xff" * 40)
    assert len(site.poll_all() + site.poll_all()) == 2
    site.restarted()
    assert site.poll_all() + site.poll_all() == []


def test_matching_files_are_read_in_order_of_name(tmp_path: Path) -> None:
    site = Site(tmp_path, "*.txt")
    for flow, name in enumerate(("alert.txt", "server.txt", "server.part.txt", ".x.txt", "c.csv", "b.txt", "a.txt")):
        site.write(name, minutes(flow))
    (site.folder / "d.txt").mkdir()
    (site.folder / "e.txt").symlink_to("nowhere")
    assert site.poll_all(1) == [6, 5]


def test_unreadable_file_is_reported_once_and_read_when_readable(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def locked(path: Path) -> BinaryIO:
        if path.name == "a.csv":
            raise PermissionError(13, "Permission denied")
        return open_lines(path)

    site.write("a.csv", minutes(1))
    site.write("b.csv", minutes(2))
    monkeypatch.setattr(file_reader, "open_lines", locked)
    assert site.poll_all() == ["the rest cannot be read: [Errno 13] Permission denied", 2]
    assert site.poll_all() == []
    monkeypatch.undo()
    assert site.poll_all() == [1]


def test_non_utf8_bytes_are_a_bad_line(site: Site) -> None:
    (site.folder / "a.csv").write_bytes("# 유량\n".encode() + b"\xff\xfe,1\n" + minutes(1).encode())
    assert site.poll_all() == ["line is not UTF-8", 1]


def test_oversized_line_is_one_bad_line(site: Site) -> None:
    site.write("a.csv", "9" * 200_000)
    assert site.poll_all() == ["line is longer than 65536 bytes"]
    site.restarted()
    site.write("a.csv", "9\n" + minutes(1))
    assert site.poll_all() == [1]


def test_damaged_checkpoint_file_restarts_all_files(site: Site) -> None:
    site.write("a.csv", HEADER + minutes(1))
    assert site.poll_all() == [1]
    for damage in ("{", "[]", '{"files": [1], "turning": {}}', json.dumps({"files": [{"name": "a.csv"}]})):
        site.checkpoint_file.write_text(damage)
        site.restarted()
        note, flow = site.poll_all()
        assert "damaged" in str(note)
        assert flow == 1


def test_restart_in_the_repeated_hour_keeps_the_dst_state(tmp_path: Path) -> None:
    site = Site(tmp_path, zone="Europe/Berlin")
    site.write("a.csv", "2016-10-30 02:59,001,1,\n2016-10-30 02:00,001,2,\n")
    assert site.poll_all() == [1, 2]
    site.write("a.csv", "2016-10-30 02:01,001,3,\n")
    site.restarted()
    (item,) = site.source.poll(NOW, 9)
    assert not isinstance(item, BadLine)
    assert item.at.utcoffset() == timedelta(hours=1)


def test_missing_folder_is_empty(tmp_path: Path) -> None:
    source = SOURCES["file"](Settings(data=tmp_path, ingest=Ingest(source="file")), ())
    assert list(source.poll(NOW, 9)) == []
    source.commit()

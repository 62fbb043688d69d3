"""Files are followed line by line, through all that happens to them; what is not yet safe comes again."""

from __future__ import annotations

import gzip
import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO
from zoneinfo import ZoneInfo

import pytest

from services.ingest.sources import SOURCES, file_tail
from services.ingest.sources.file_tail import FileSource
from services.ingest.sources.line_reader import BadLine, open_lines
from shared.settings import Ingest, Settings

SEOUL = ZoneInfo("Asia/Seoul")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
HEADER = "timestamp,sensor,flow_rate,pressure\n"


class Site:
    """A folder with a source that follows it."""

    def __init__(self, folder: Path, pattern: str = "*.csv", zone: str = "Asia/Seoul") -> None:
        self.folder, self.pattern, self.zone = folder / "sensor", pattern, ZoneInfo(zone)
        self.place = folder / "spool" / "place.json"
        self.folder.mkdir()
        self.source = self.restarted()

    def restarted(self) -> FileSource:
        self.source = FileSource(self.folder, self.pattern, self.zone, self.place)
        return self.source

    def write(self, name: str, text: str) -> Path:
        with (self.folder / name).open("a", encoding="utf-8") as opened:
            opened.write(text)
        return self.folder / name

    def got(self, most: int = 1000, done: bool = True) -> list[float | str | None]:
        """Flow rates, or reasons of bad lines, of one round of polls that ends with nothing new."""
        items = []
        while polled := list(self.source.poll(NOW, most)):
            items += polled
        if done:
            self.source.commit()
        return [item.reason if isinstance(item, BadLine) else item.flow_rate for item in items]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def minutes(*flows: int) -> str:
    """Lines with these flows; the flow is the minute too."""
    return "".join(f"{datetime(2026, 1, 1) + timedelta(minutes=flow):%Y-%m-%d %H:%M},001,{flow},4\n" for flow in flows)  # noqa: DTZ001


def test_a_growing_file_is_followed(site: Site) -> None:
    site.write("a.csv", HEADER + minutes(1, 2))
    assert site.got() == [1, 2]
    assert site.got() == []
    site.write("a.csv", minutes(3))
    assert site.got() == [3]


def test_a_half_written_line_waits_for_its_end(site: Site) -> None:
    line = minutes(1)
    site.write("a.csv", line[:-4])
    assert site.got() == []
    site.write("a.csv", line[-4:-1])
    assert site.got() == []
    site.write("a.csv", "\n" + minutes(2)[:5])
    assert site.got() == [1]


def test_a_poll_gives_no_more_than_asked(site: Site) -> None:
    site.write("a.csv", HEADER + minutes(*range(7)))
    assert [len(list(site.source.poll(NOW, 3))) for _ in range(4)] == [3, 3, 1, 0]


def test_a_restart_goes_on_where_it_was_done_with_columns_and_line_numbers(site: Site) -> None:
    site.write("a.csv", "sensor,timestamp,pressure,flow_rate\n001,2026-01-01 00:01,4,1\n")
    assert site.got() == [1]
    site.restarted()
    site.write("a.csv", "001,2026-01-01 00:02,4,2\nwater\n")
    *_, bad = list(site.source.poll(NOW, 9))
    assert isinstance(bad, BadLine)
    assert (bad.file, bad.number) == ("a.csv", 4)


def test_what_was_polled_and_not_done_comes_again_and_only_that(site: Site) -> None:
    site.write("a.csv", HEADER + minutes(*range(10)))
    for _ in range(3):
        assert len(list(site.source.poll(NOW, 2))) == 2
        site.source.commit()
    assert len(list(site.source.poll(NOW, 2))) == 2
    site.restarted()
    assert site.got() == [6, 7, 8, 9]


def test_the_rest_of_a_renamed_file_comes_before_its_successor(site: Site) -> None:
    first = site.write("a.csv", HEADER + minutes(1))
    assert site.got() == [1]
    site.write("a.csv", minutes(2))
    first.rename(site.folder / "a.csv.1")
    site.write("a.csv", HEADER + minutes(3))
    assert site.got() == [2, 3]
    site.write("a.csv.1", minutes(4))
    assert site.got() == [4]


def test_a_rotation_while_wvr_was_down_loses_nothing(site: Site) -> None:
    first = site.write("a.csv", HEADER + minutes(1))
    assert site.got() == [1]
    site.write("a.csv", minutes(2))
    first.rename(site.folder / "z-old.csv")
    site.write("a.csv", HEADER + minutes(3))
    site.restarted()
    assert site.got() == [2, 3]
    site.restarted()
    assert site.got() == []


def test_a_file_renamed_in_the_middle_of_a_backlog_is_read_to_its_end(site: Site) -> None:
    first = site.write("a.csv", HEADER + minutes(*range(9)))
    assert len(list(site.source.poll(NOW, 4))) == 4
    first.rename(site.folder.parent / "elsewhere.csv")
    assert site.got() == [4, 5, 6, 7, 8]


def test_a_truncated_file_starts_anew(site: Site) -> None:
    path = site.write("a.csv", HEADER + minutes(*range(50)))
    shutil.copy(path, site.folder / "a.csv.1")
    assert len(site.got()) == 50
    path.write_text("")
    assert site.got() == []
    site.write("a.csv", minutes(60, 61))
    assert site.got() == [60, 61]


def test_a_truncated_file_that_has_grown_past_its_old_end_starts_anew(site: Site) -> None:
    path = site.write("a.csv", HEADER + minutes(1, 2))
    assert site.got() == [1, 2]
    path.write_text(HEADER + minutes(*range(10, 20)))
    assert site.got() == list(range(10, 20))


def test_a_copy_put_in_the_place_of_a_file_goes_on_where_that_was(site: Site) -> None:
    site.write("a.csv", HEADER + minutes(*range(60)))
    assert len(site.got()) == 60
    beside = site.folder / ".a.csv.part"
    beside.write_text(HEADER + minutes(*range(62)))
    beside.rename(site.folder / "a.csv")
    assert site.got() == [60, 61]
    site.restarted()
    assert site.got() == []


def test_another_file_of_the_same_name_is_read_from_its_beginning(site: Site) -> None:
    site.write("a.csv", HEADER + minutes(1)).unlink()
    site.write("a.csv", HEADER + minutes(2))
    assert site.got() == [2]
    (site.folder / "a.csv").unlink()
    assert site.got() == []
    site.write("a.csv", HEADER + minutes(3))
    assert site.got() == [3]


def test_a_file_that_goes_before_it_was_read_is_named(site: Site) -> None:
    path = site.write("a.csv", minutes(*range(9)))
    site.source.commit()
    assert len(list(site.source.poll(NOW, 4))) == 4
    site.source.commit()
    path.unlink()
    site.restarted()
    assert site.got() == ["gone; what came after this line was not read"]
    site.restarted()
    assert site.got() == []


def test_a_gz_is_read_whole_once_it_has_stopped_growing(site: Site) -> None:
    packed = gzip.compress((HEADER + minutes(*range(500)))[:-1].encode())
    path = site.folder / "b.csv.gz"
    path.write_bytes(packed[:100])
    assert site.got() == []
    path.write_bytes(packed)
    assert site.got() == []
    assert len(list(site.source.poll(NOW, 300))) == 300
    site.source.commit()
    site.restarted()
    assert site.got() == []
    assert site.got() == list(range(300, 500))
    site.restarted()
    assert site.got() + site.got() == []


def test_a_gz_that_ends_in_the_middle_is_named_and_read_on_when_it_is_whole(site: Site) -> None:
    packed = gzip.compress((HEADER + minutes(*range(5000))).encode())
    path = site.folder / "b.csv.gz"
    path.write_bytes(packed[:-2000])
    *good, note = site.got() + site.got()
    assert "can't be read any further" in str(note)
    assert site.got() == []
    path.write_bytes(packed)
    assert good + site.got() + site.got() == list(range(5000))


def test_what_only_claims_to_be_a_gz_is_named_once(site: Site) -> None:
    (site.folder / "b.csv.gz").write_bytes(b"no gz")
    (site.folder / "c.csv.gz").write_bytes(gzip.compress(b"x" * 99)[:12] + b"\xff" * 40)
    assert len(site.got() + site.got()) == 2
    site.restarted()
    assert site.got() + site.got() == []


def test_files_come_in_order_of_their_names_and_only_those_that_match(tmp_path: Path) -> None:
    site = Site(tmp_path, "*.txt")
    for flow, name in enumerate(("alert.txt", "server.txt", "server.part.txt", ".x.txt", "c.csv", "b.txt", "a.txt")):
        site.write(name, minutes(flow))
    (site.folder / "d.txt").mkdir()
    (site.folder / "e.txt").symlink_to("nowhere")
    assert site.got() == [6, 5]


def test_a_file_that_cannot_be_read_is_named_once_and_taken_when_it_can(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(path: Path) -> BinaryIO:
        if path.name == "a.csv":
            raise PermissionError(13, "Permission denied")
        return open_lines(path)

    site.write("a.csv", minutes(1))
    site.write("b.csv", minutes(2))
    monkeypatch.setattr(file_tail, "open_lines", locked)
    assert site.got() == ["can't be read any further: [Errno 13] Permission denied", 2]
    assert site.got() == []
    monkeypatch.undo()
    assert site.got() == [1]


def test_bytes_that_are_no_text_are_a_bad_line(site: Site) -> None:
    (site.folder / "a.csv").write_bytes(b"\xff\xfe,1\n" + minutes(1).encode())
    assert site.got() == ["not UTF-8", 1]


def test_a_line_beyond_all_measure_is_one_bad_line(site: Site) -> None:
    site.write("a.csv", "9" * 200_000)
    assert site.got() == ["longer than 65536 bytes"]
    site.restarted()
    site.write("a.csv", "9\n" + minutes(1))
    assert site.got() == [1]


def test_a_damaged_place_means_reading_anew(site: Site) -> None:
    site.write("a.csv", HEADER + minutes(1))
    assert site.got() == [1]
    for damage in ("{", "[]", '{"files": [1], "turning": {}}', json.dumps({"files": [{"name": "a.csv"}]})):
        site.place.write_text(damage)
        site.restarted()
        note, flow = site.got()
        assert "damaged" in str(note)
        assert flow == 1


def test_a_restart_in_the_hour_that_comes_twice_remembers_which_it_is(tmp_path: Path) -> None:
    site = Site(tmp_path, zone="Europe/Berlin")
    site.write("a.csv", "2016-10-30 02:59,001,1,\n2016-10-30 02:00,001,2,\n")
    assert site.got() == [1, 2]
    site.write("a.csv", "2016-10-30 02:01,001,3,\n")
    site.restarted()
    (item,) = site.source.poll(NOW, 9)
    assert not isinstance(item, BadLine)
    assert item.at.utcoffset() == timedelta(hours=1)


def test_an_absent_folder_holds_nothing(tmp_path: Path) -> None:
    source = SOURCES["file"](Settings(data=tmp_path, ingest=Ingest(source="file")))
    assert list(source.poll(NOW, 9)) == []
    source.commit()

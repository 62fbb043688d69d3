"""The live source reads files of any form, in folders, rewritten, and without an end."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from cli.bootstrap import ROOT
from services.ingest.sources.file_tail import FileSource
from services.ingest.sources.line_reader import BadLine
from services.ingest.tables.encoding import find_line_encoding
from services.ingest.tables.rows import SensorNames
from shared.settings.sections import FileTable

CASES = ROOT.parent / "shared/data/cases"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
HEADER = "timestamp,sensor,flow_rate,pressure\n"
Row = tuple[str, str, float | None, float | None]


class LiveFolder:
    """A folder data/sensor/ with a source that follows it."""

    def __init__(self, folder: Path, *tables: FileTable) -> None:
        self.folder = folder / "sensor"
        self.folder.mkdir()
        self.tables = tables or (FileTable(files="*.csv"),)
        self.place, self.now = folder / "spool/place.json", NOW
        self.source = self.restarted()

    def restarted(self, **table: object) -> FileSource:
        if table:
            self.tables = (FileTable.model_validate({"files": "*.csv"} | table),)
        known = SensorNames(("001",), "001")
        self.source = FileSource(self.folder, self.tables, ZoneInfo("Asia/Seoul"), self.place, known)
        return self.source

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def append(self, name: str, text: str) -> None:
        with (self.folder / name).open("a", encoding="utf-8") as file:
            file.write(text)

    def poll(self, minutes: int = 0) -> tuple[list[Row], list[str]]:
        """Return what is new after some minutes: rows, and reasons of bad lines."""
        self.now += timedelta(minutes=minutes)
        items = []
        for _ in range(2):
            while polled := list(self.source.poll(self.now, 1000)):
                items += polled
        self.source.commit()
        rows = [
            (f"{item.at:%d %H:%M}", item.sensor, item.flow_rate, item.pressure)
            for item in items
            if not isinstance(item, BadLine)
        ]
        return rows, [item.reason.en for item in items if isinstance(item, BadLine)]


@pytest.fixture
def site(tmp_path: Path) -> LiveFolder:
    return LiveFolder(tmp_path)


TWO_ROWS = [("03 00:00", "001", 1234.5, 4.1), ("03 00:01", "001", 12.5, None)]


@pytest.mark.parametrize(
    "text",
    [
        "일시;지점;유량(㎥/h);수압(bar)\n2025-03-03 00:00;001;1.234,5;4,1\n2025-03-03 00:01;001;12,5;\n",
        "Time\tFlow [m3/h]\tPressure (kPa)\n2025/03/03 00:00\t1234.5\t410\n2025/03/03 00:01\t12.5\t-\n",
        '날짜,시간,수압(MPa),유량(l/s)\n2025. 3. 3.,0:00,0.41,"342.916666667"\n2025. 3. 3.,0:01,결측,3.4722222222\n',
        'timestamp,sensor,flow_rate,pressure\n2025-03-03 00:00,1,"1,234.5",4.1\n2025-03-03 00:01,1,12.5,#N/A\n',
        "time,001 flow (m3/h),001 pressure (bar)\n20250303 0000,1234.5,4.1\n20250303 0001,12.5,\n",
        "일시,유량,압력,상태\n2025-03-03 오전 12:00,1234.5,4.1,정상\n2025-03-03 오전 12:01,12.5,,정상\n",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949", "utf-16", "utf-16-be"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_table_of_any_form_is_followed(site: LiveFolder, text: str, encoding: str, end: str) -> None:
    if encoding == "cp949":
        text = text.replace("㎥", "m3")
    head, rest = text.split("\n", 1)
    lines = [line.replace("\n", end).encode(encoding) for line in (f"{head}\n", rest)]
    if encoding == "utf-16":
        lines[1] = lines[1][2:]
    path = site.write("a.csv", lines[0])
    assert site.poll()[0] == []
    path.write_bytes(b"".join(lines))
    rows, bad = site.poll()
    assert [(at, name, value and round(value, 6), pressure) for at, name, value, pressure in rows] == TWO_ROWS
    assert bad == []
    with path.open("ab") as file:
        file.write(lines[1])
    site.restarted()
    assert [row[:2] for row in site.poll()[0]] == [row[:2] for row in TWO_ROWS]


@pytest.mark.skipif(not CASES.is_dir(), reason=f"{CASES} is absent")
@pytest.mark.parametrize(
    ("case", "rows"),
    [
        *[("01", 10), ("02c", 3), ("03", 3), ("04", 3), ("05b", 0), ("06", 4), ("07-", 2), ("07b", 2), ("07c", 2)],
        *[("07d", 5), ("08-", 2), ("08b", 2), ("09", 3), ("10", 3), ("11", 18), ("12b", 80), ("13", 3), ("14", 3)],
        *[("15", 3), ("17", 6), ("20", 6), ("21", 6), ("24-corrected-readings-a", 2), ("25", 30), ("27", 2)],
    ],
)
def test_each_case_of_the_field_is_read_live_or_named(site: LiveFolder, case: str, rows: int) -> None:
    (file,) = CASES.glob(f"{case}*")
    site.write(file.name, file.read_bytes())
    read, bad = site.poll()
    read += site.poll(minutes=2)[0]
    assert len(read) == rows
    assert bool(bad) == (rows == 0)


def test_a_file_in_doubt_waits_for_the_setting_and_loses_nothing(site: LiveFolder) -> None:
    site.write("a.csv", HEADER + "03/04/2025 00:00,001,1,4\n03/04/2025 00:01,001,2,4\n")
    rows, (reason,) = site.poll()
    assert rows == []
    assert "a.csv:2" in reason
    assert 'dates = "day first"' in reason
    assert site.poll() == ([], [])
    site.restarted(dates="day first")
    assert [row[0] for row in site.poll()[0]] == ["03 00:00", "03 00:01"]


def test_a_number_of_two_meanings_is_a_named_line(site: LiveFolder) -> None:
    site.write("a.csv", "time;flow\n2025-03-03 00:00;12\n2025-03-03 00:01;13\n")
    assert len(site.poll()[0]) == 2
    site.append("a.csv", "2025-03-03 00:02;12,345\n")
    rows, (reason,) = site.poll()
    assert rows == []
    assert 'decimal = ","' in reason
    site.append("a.csv", "2025-03-03 00:03;12,5\n")
    assert site.poll()[0] == [("03 00:03", "001", 12.5, None)]


def test_sentinels_and_configured_words_lose_their_value_only(tmp_path: Path) -> None:
    site = LiveFolder(tmp_path, FileTable(files="*.csv", missing=("-1", "bad value")))
    site.write("a.csv", HEADER + "2025-03-03 00:00,001,999999,4\n2025-03-03 00:01,001,-1,5\n")
    site.append("a.csv", "2025-03-03 00:02,001,7,bad value\n2025-03-03 00:03,001,-9999,***\n")
    assert [row[2:] for row in site.poll()[0]] == [(None, 4.0), (None, 5.0), (7.0, None), (None, None)]


def test_upper_case_names_and_folders_are_read(site: LiveFolder) -> None:
    site.write("A.CSV", HEADER + "2025-03-03 00:00,001,1,4\n")
    site.write("2025/03/03.Csv", HEADER + "2025-03-03 00:01,001,2,4\n")
    site.write("outbox/old.csv", HEADER + "2025-03-03 00:02,001,3,4\n")
    assert [row[2] for row in site.poll()[0]] == [1.0, 2.0]
    site.append("2025/03/03.Csv", "2025-03-03 00:03,001,4,4\n")
    site.restarted()
    assert [row[2] for row in site.poll()[0]] == [4.0]


def test_a_last_line_without_an_end_is_read_after_a_quiet_minute(site: LiveFolder) -> None:
    site.write("a.csv", HEADER + "2025-03-03 00:00,001,1,4\n2025-03-03 00:01,001,2,4")
    assert len(site.poll()[0]) == 1
    assert site.poll(minutes=1) == ([], [])
    assert site.poll(minutes=1)[0] == [("03 00:01", "001", 2.0, 4.0)]
    site.append("a.csv", "\n2025-03-03 00:02,001,3,4\n")
    assert site.poll() == ([("03 00:02", "001", 3.0, 4.0)], [])


def test_a_line_that_grows_after_it_was_read_is_read_again_and_named(site: LiveFolder) -> None:
    site.write("a.csv", HEADER + "2025-03-03 00:00,001,1,4\n2025-03-03 00:01,001,2,4")
    site.poll()
    assert len(site.poll(minutes=2)[0]) == 1
    site.restarted()
    site.append("a.csv", "5.5\n2025-03-03 00:02,001,3,4\n")
    rows, (reason,) = site.poll()
    assert rows == [("03 00:01", "001", 2.0, 45.5), ("03 00:02", "001", 3.0, 4.0)]
    assert "has grown since" in reason


def test_a_spreadsheet_is_named_once(site: LiveFolder) -> None:
    site.write("a.xlsx", b"PK")
    assert [len(site.poll()[1]) for _ in range(3)] == [1, 0, 0]


def test_a_block_that_is_newest_first_is_sorted(site: LiveFolder) -> None:
    site.write("a.csv", HEADER + "2025-03-03 10:00,001,1,4\n")
    site.poll()
    late = [f"2025-03-03 {hour:02}:{minute:02},001,2,4\n" for hour in (12, 11, 10) for minute in range(59, 0, -1)]
    site.append("a.csv", "2025-03-03 13:00,001,3,4\n2025-03-03 13:01,001,3,4\n" + "".join(late))
    times = [row[0] for row in site.poll()[0]]
    assert len(times) == 179
    assert times == sorted(times)


@pytest.mark.parametrize("after", ["keep", "archive", "delete"])
def test_a_finished_file_is_kept_archived_or_deleted(tmp_path: Path, after: str) -> None:
    site = LiveFolder(tmp_path, FileTable.model_validate({"files": "*.csv", "after": after}))
    first = site.write("day/1.csv", HEADER + "2025-03-03 00:00,001,1,4\n")
    assert len(site.poll()[0]) == 1
    site.poll(minutes=20)
    assert first.exists(), "it is the newest file"
    site.write("day/2.csv", HEADER + "2025-03-04 00:00,001,1,4\n")
    assert len(site.poll(minutes=20)[0]) == 1
    assert site.poll() == ([], [])
    assert first.exists() == (after == "keep")
    assert (tmp_path / "archive/day/1.csv").exists() == (after == "archive")
    assert (site.folder / "day/2.csv").exists()


def test_the_live_source_does_not_load_pandas() -> None:
    code = "import sys, services.ingest.main; sys.exit('pandas' in sys.modules)"
    assert (
        subprocess.run(
            [sys.executable, "-P", "-c", code], cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, check=False
        ).returncode
        == 0
    )


@pytest.mark.parametrize("end", ["\n", "\r"], ids=["LF", "CR"])
def test_the_encoding_of_a_file_that_ends_within_a_korean_letter_is_found(end: str) -> None:
    lines = ("Time\t001 Flow\t블록2 Flow", "2025-03-03 00:00\t1.5\t2.5", "Time\t001 Flow\t블")
    assert find_line_encoding(end.join(lines).encode("cp949")[:-1]).name == "cp949"

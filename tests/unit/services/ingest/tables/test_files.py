"""Whole files: encodings, separators, line ends, spreadsheets. What was written reads back."""

from __future__ import annotations

import gzip
import zipfile
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest.sources.line_reader import Measurement
from services.ingest.tables.dates import EXCEL_EPOCH
from services.ingest.tables.documented import DocumentedFile
from services.ingest.tables.headers import TableError
from services.ingest.tables.opening import by_minute, open_readings
from tests.unit.services.ingest.tables.reading import Row, read_file, read_text, site

START = datetime(2025, 3, 28, 22, 0)  # noqa: DTZ001
VALUES = st.none() | st.integers(0, 500_000).map(lambda number: number / 100).filter(lambda value: value != 999)
ROWS = st.lists(st.tuples(VALUES, VALUES), min_size=4, max_size=200)
HEADERS = [
    ["timestamp", "sensor", "flow_rate", "pressure"],
    ["일시", "지점", "유량(㎥/h)", "수압(bar)"],
    ["Time", "Station", "Flow [m3/h]", "Pressure (bar)"],
]
TIMES = ["%Y-%m-%d %H:%M", "%Y/%m/%d %H:%M:%S", "%Y%m%d%H%M", "%d.%m.%Y %H:%M", "%m/%d/%Y %H:%M", "%y. %m. %d. %H:%M"]
STYLES = [(";", ","), ("\t", ","), ("\t", "."), (",", "."), (";", ".")]


@settings(max_examples=200, deadline=None)
@given(
    rows=ROWS,
    header=st.sampled_from(HEADERS),
    time=st.sampled_from(TIMES),
    style=st.sampled_from(STYLES),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp949"]),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    thousands=st.booleans(),
    order=st.permutations(range(4)),
)
def test_a_table_in_any_form_reads_back(
    rows: list[tuple[float | None, float | None]],
    header: list[str],
    time: str,
    style: tuple[str, str],
    encoding: str,
    end: str,
    thousands: bool,
    order: list[int],
) -> None:
    separator, decimal = style
    lines, expected = [header], []
    for number, (flow_rate, pressure) in enumerate(rows):
        at = START + timedelta(minutes=number)
        lines.append(
            [at.strftime(time), "001", *(_number(value, decimal, thousands) for value in (flow_rate, pressure))]
        )
        expected.append((f"{at:%Y-%m-%d %H:%M}", "001", flow_rate, pressure))
    text = end.join(separator.join(_quoted(line[index], separator) for index in order) for line in lines) + end
    with TemporaryDirectory() as folder:
        path = Path(folder) / "readings.csv"
        path.write_bytes(text.encode(encoding))
        _check_right_or_in_doubt(path, expected)


def _check_right_or_in_doubt(path: Path, expected: list[Row]) -> None:
    """Check that a file reads back, or that all of it is in doubt: a date or number has two meanings."""
    read: list[Row] = []
    bad: list[str] = []
    doubt = ""
    try:
        read, bad = read_file(path)
    except TableError as error:
        doubt = str(error)
    assert not doubt or "decimal comma" in doubt
    assert doubt or bad or read == expected
    assert set(read) <= set(expected)
    assert all("ambiguous date" in reason for reason in bad)


def _number(value: float | None, decimal: str, thousands: bool) -> str:
    if value is None:
        return ""
    text = f"{value:,.2f}" if thousands else f"{value:.2f}"
    return text if decimal == "." else text.translate(str.maketrans(",.", ".,"))


def _quoted(field: str, separator: str) -> str:
    return f'"{field}"' if separator in field else field


def test_a_korean_spreadsheet_as_text(tmp_path: Path) -> None:
    path = tmp_path / "유량.csv"
    path.write_bytes('일시,유량(㎥/h),수압(bar),비고\r\n2025-03-03 오후 1:05,"1,234.5",4.1,점검\r\n'.encode("cp949"))
    assert read_file(path) == ([("2025-03-03 13:05", "001", 1234.5, 4.1)], [])


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), st.sampled_from(["utf-8", "utf-16", "cp949"]), st.integers(0, 60))
def test_damaged_bytes_are_read_or_refused(damage: bytes, encoding: str, place: int) -> None:
    content = "일시;지점;유량;수압\n2025-03-03 00:00;001;12,5;4,1\n".encode(encoding)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "readings.csv"
        path.write_bytes(content[:place] + damage + content[place:])
        with suppress(TableError):
            list(open_readings(path, site("001"), ()))


def test_a_compressed_table(tmp_path: Path) -> None:
    path = tmp_path / "readings.csv.gz"
    path.write_bytes(gzip.compress("일시;유량\n2025-03-03 00:00;12,5\n".encode()))
    assert read_file(path) == ([("2025-03-03 00:00", "001", 12.5, None)], [])


def test_a_spreadsheet(tmp_path: Path) -> None:
    path = tmp_path / "readings.xlsx"
    serial = (datetime(2025, 3, 3, 13, 5) - EXCEL_EPOCH) / timedelta(days=1)  # noqa: DTZ001
    write_spreadsheet(
        path, [["일시", "지점", "유량(l/s)", "수압(kPa)"], [serial, "001", 10, 400], [serial + 1, 1, "점검", 410.5]]
    )
    rows = [("2025-03-03 13:05", "001", 36.0, 4.0), ("2025-03-04 13:05", "001", None, pytest.approx(4.105))]
    assert read_file(path) == (rows, [])


def write_spreadsheet(path: Path, rows: list[list[str | float]]) -> None:
    """Write a spreadsheet with one sheet."""
    cells = "".join(f"<row>{''.join(_cell(cell) for cell in row)}</row>" for row in rows)
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    relation = (
        '<Relationships xmlns="{0}/relationships"><Relationship Id="r1" Type="{1}/{2}" Target="{3}"/></Relationships>'
    )
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(
            "[Content_Types].xml",
            f'<Types xmlns="{package}/content-types"><Default Extension="xml" ContentType="application/xml"/></Types>',
        )
        file.writestr("_rels/.rels", relation.format(package, office, "officeDocument", "xl/workbook.xml"))
        file.writestr(
            "xl/_rels/workbook.xml.rels", relation.format(package, office, "worksheet", "worksheets/sheet1.xml")
        )
        file.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{main}" xmlns:r="{office}">'
            '<sheets><sheet name="1월" sheetId="1" r:id="r1"/></sheets></workbook>',
        )
        file.writestr(
            "xl/worksheets/sheet1.xml", f'<worksheet xmlns="{main}"><sheetData>{cells}</sheetData></worksheet>'
        )


def _cell(value: str | float) -> str:
    return f'<c t="inlineStr"><is><t>{value}</t></is></c>' if isinstance(value, str) else f"<c><v>{value!r}</v></c>"


def test_the_documented_csv_keeps_the_line_reader_and_other_lines_are_read_as_rows(tmp_path: Path) -> None:
    path = tmp_path / "readings.csv"
    path.write_text(
        "timestamp,sensor,flow_rate,pressure\n2025-03-03 00:00,001,1.5,4\n2025-03-03 0:01,001,-,4\n"
        "2025/03/03 00:02,001,1.5,-9999\n2025-03-03 00:03,001,9999,4\n2025-03-03 00:04,001,wet,4\n"
        "2025-03-03 24:00,001,1,\n"
    )
    assert isinstance(open_readings(path, site("001"), ()), DocumentedFile)
    rows, bad = read_file(path)
    assert [row[2:] for row in rows] == [(1.5, 4.0), (None, 4.0), (1.5, None), (None, 4.0), (1.0, None)]
    assert bad == ["invalid number: 'wet'"]


def test_a_configured_number_is_no_value_in_the_documented_csv(tmp_path: Path) -> None:
    text = "2025-03-03 00:00,001,0,4\n2025-03-03 00:01,001,-1.25,4\n"
    assert [row[2:] for row in read_text(tmp_path, text, site("001", missing=["0"]))[0]] == [(None, 4.0), (-1.25, 4.0)]


def test_quotes_or_a_second_header_are_no_documented_csv(tmp_path: Path) -> None:
    text = 'timestamp,sensor,flow_rate,pressure\n2025-03-03 00:00,001,1,4\n2025-03-03 00:01,001,"1,234",4\n'
    assert read_text(tmp_path, text + '2025-03-03 00:02,001,"1,234.5",4\n')[0][1:] == [
        ("2025-03-03 00:01", "001", 1234.0, 4.0),
        ("2025-03-03 00:02", "001", 1234.5, 4.0),
    ]
    with pytest.raises(TableError, match='write decimal = ","'):
        read_text(tmp_path, text)


def test_a_quote_that_is_not_closed_swallows_no_line_silently(tmp_path: Path) -> None:
    text = '일시,유량,비고\n2025-03-03 00:00,1,"a\n2025-03-03 00:01,2,b"\n2025-03-03 00:02,3,\n'
    assert read_text(tmp_path, text) == (
        [("2025-03-03 00:02", "001", 3.0, None)],
        ["a quote is not closed and spans lines"],
    )


def test_newest_first_is_turned_round(tmp_path: Path) -> None:
    path = tmp_path / "readings.csv"
    path.write_text("".join(f"2025-03-03 00:{minute:02},001,1,4\n" for minute in reversed(range(60))))
    times = [item.at for item in by_minute(open_readings(path, site(), ())) if isinstance(item, Measurement)]
    assert times == sorted(times)
    assert len(times) == 60


def test_a_sensor_that_a_spreadsheet_renamed(tmp_path: Path) -> None:
    text = "timestamp,sensor,flow_rate,pressure\n2025-03-03 0:00,1,1,4\n"
    assert read_text(tmp_path, text, site("001", "002"))[0][0][1] == "001"
    assert read_text(tmp_path, text, site("01", "001"))[0][0][1] == "1"

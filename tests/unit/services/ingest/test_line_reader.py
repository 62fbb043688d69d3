"""Valid and invalid lines."""

from __future__ import annotations

import gzip
import math
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.sources.line_reader import BadLine, LineError, Measurement, Parser
from services.ingest.tables.documented import read_measurements
from shared.contract.texts import localized

SEOUL = ZoneInfo("Asia/Seoul")
BERLIN = ZoneInfo("Europe/Berlin")
KOREAN = timezone(timedelta(hours=9))
NOON = Measurement("001", datetime(2026, 8, 3, 9, 49, tzinfo=KOREAN), 12.5, 4.1)


def times(lines: list[str]) -> list[str]:
    """Return the times that a German site's parser reads from `MM-DD HH:MM` and a sensor."""
    parser = Parser(BERLIN)
    moments = (parser.parse(f"2016-{line[:11]},{line[12:] or '001'},1,1").at for line in lines)
    return [f"{at:%H:%M%z}" for at in moments]


@pytest.mark.parametrize(
    "line",
    [
        "2026-08-03 09:49,001,12.5,4.1",
        "2026-08-03T09:49:00;001;12.5;4.1\r\n",
        "2026-08-03 09:49:00.000\t001\t12.5\t4.1",
        "2026-08-03 09:49 001 12.5 4.1",
        "  2026-08-03T09:49   001  12.5  4.1 ",
        "\ufeff2026-08-03 09:49, 001, 12.5, 4.1\n",
        '"2026-08-03 09:49","001","12.5","4.1"',
        "2026-08-03T00:49Z,001,12.5,4.1",
        "2026-08-03T02:49+02:00,001,1.25e1,4.1",
        "\0\0\0" + "2026-08-03 09:49,001,12.5,4.1",
    ],
)
def test_line_formats_are_accepted(line: str) -> None:
    assert Parser(SEOUL).parse(line) == NOON
    assert Parser(SEOUL).parse(line).at.utcoffset() == timedelta(hours=9)


@pytest.mark.parametrize("nothing", ["", "NULL", "null", "nan", "NaN", " "])
def test_empty_null_and_nan_mean_no_value(nothing: str) -> None:
    assert Parser(SEOUL).parse(f"2026-08-03 09:49,001,{nothing},4.1") == NOON._replace(flow_rate=None)
    assert Parser(SEOUL).parse(f"2026-08-03 09:49\t001\t12.5\t{nothing}\n") == NOON._replace(pressure=None)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("2026-08-03 09:49,001,12.5", "expected 4 fields, found 3"),
        ("2026-08-03 09:49,001,12,5,4,1", "expected 4 fields, found 6"),
        ("2026-08-03 09:49;001;12,5;4.1", "invalid number: '12,5'"),
        ("2026-08-03 09:49,001,inf,4.1", "invalid number: 'inf'"),
        ("2026-08-03 09:49,001,1e12,4.1", "value exceeds"),
        ("2099-12-31T23:00+00:00,001,12.5,4.1", "invalid year: expected 1970 to 2099, found 2100"),
        ("2026-08-03 09:49,001,1e999,4.1", "invalid number"),
        ("2026-08-03 09:49,001,1_000,4.1", "invalid number"),
        ("2026-08-03,001,12.5,4.1", "invalid timestamp: expected YYYY-MM-DD HH:MM"),
        ("2026-02-30 09:49,001,12.5,4.1", "invalid timestamp: expected YYYY-MM-DD HH:MM"),
        ("0001-01-01 00:00,001,12.5,4.1", "invalid year"),
        ("0001-01-01T00:00+23:00,001,12.5,4.1", "invalid year"),
        ("2026-08-03 09:49,,12.5,4.1", "invalid sensor name"),
        ("2026-08-03 09:49,../x,12.5,4.1", "invalid sensor name"),
        ("2026-08-03 09:49,..,12.5,4.1", "invalid sensor name"),
        ("2026-08-03 09:49,a#,12.5,4.1", "invalid sensor name"),
        ("", "expected 4 fields, found 0"),
    ],
)
def test_invalid_line_reports_the_reason(line: str, reason: str) -> None:
    with pytest.raises(LineError, match=reason):
        Parser(SEOUL).parse(line)


def test_header_may_reorder_and_add_columns() -> None:
    parser = Parser(SEOUL, "Pressure;note;Sensor;TIMESTAMP;flow_rate")
    assert parser.parse("4.1;calm;001;2026-08-03 09:49;12.5") == NOON
    assert Parser(SEOUL, "site,sensor,at,flow_rate,pressure").parse("s,001,2026-08-03T09:49+09:00,12.5,4.1") == NOON
    assert Parser(SEOUL, "sensor timestamp flow_rate").parse("001 2026-08-03 09:49 12.5") == NOON._replace(
        pressure=None
    )


def test_header_without_a_required_column_rejects_its_lines() -> None:
    with pytest.raises(LineError, match="the header lacks sensor"):
        Parser(SEOUL, "timestamp,flow_rate,pressure")


def test_line_order_resolves_the_repeated_hour() -> None:
    lines = ["10-30 01:59", "10-30 02:00", "10-30 02:59", "10-30 02:00", "10-30 02:01", "10-30 02:59", "10-30 03:00"]
    assert times(lines) == [
        *("01:59+0200", "02:00+0200", "02:59+0200"),
        *("02:00+0100", "02:01+0100", "02:59+0100", "03:00+0100"),
    ]


def test_repeated_hour_is_resolved_per_sensor_and_a_late_line_stays_late() -> None:
    assert times(
        ["10-30 02:30 a", "10-30 02:30 b", "10-30 02:29 a", "10-30 02:31 a", "10-30 02:00 b", "10-30 02:32 a"]
    ) == [*("02:30+0200", "02:30+0200", "02:29+0200", "02:31+0200", "02:00+0100", "02:32+0200")]


def test_nonexistent_local_time_is_rejected() -> None:
    with pytest.raises(LineError, match="does not exist in Europe/Berlin"):
        Parser(BERLIN).parse("2016-03-27 02:30,001,1,1")


@given(
    st.text()
    | st.lists(st.sampled_from(["2026-08-03", "09:49", "001", "1.5", "nan", ",", ";", "\t", " ", "T", "+"])).map(
        "".join
    )
)
def test_parser_raises_only_line_errors(line: str) -> None:
    try:
        measurement = Parser(BERLIN).parse(line)
    except LineError:
        return
    values = [value for value in (measurement.flow_rate, measurement.pressure) if value is not None]
    assert all(math.isfinite(value) for value in values)
    assert measurement.at.tzinfo is not None


values = st.none() | st.floats(-1e9, 1e9)


@given(
    st.datetimes(datetime(1970, 1, 2), datetime(2099, 12, 30)),  # noqa: DTZ001
    st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=64),
    values,
    values,
    st.sampled_from([",", ";", "\t", " "]),
)
def test_formatted_measurement_is_parsed_back(
    at: datetime, sensor: str, flow_rate: float | None, pressure: float | None, separator: str
) -> None:
    moment = at.replace(second=0, microsecond=0, tzinfo=UTC)
    fields = [
        f"{moment:%Y-%m-%d %H:%M}+00:00",
        sensor,
        *("NULL" if v is None else repr(v) for v in (flow_rate, pressure)),
    ]
    assert Parser(BERLIN).parse(separator.join(fields)) == (sensor, moment, flow_rate, pressure)


@given(content=st.binary())
def test_file_of_arbitrary_bytes_is_read_to_its_end(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(content + b"\n2026-08-03 09:49,001,12.5,4.1")
    *_, last = read_measurements(path, SEOUL)
    assert isinstance(last, Measurement) or b"timestamp" in content


def test_file_yields_measurements_and_numbered_bad_lines(tmp_path: Path) -> None:
    content = "\ufefftimestamp,sensor,flow_rate,pressure\r\n\r\n2026-08-03 09:49,001,12.5,4.1\r\nwater\r\n".encode()
    content += "수압,".encode("cp949") + b"\n" + b"9" * 70_000 + b"\n2026-08-03 09:50,001,,"
    for path in (tmp_path / "a.csv", tmp_path / "a.csv.gz"):
        path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
        good, word, bytes_, long, last = read_measurements(path, SEOUL)
        assert good == NOON
        assert word == BadLine(
            path.name, 4, "water", localized("필드가 4개여야 하는데 1개입니다", "expected 4 fields, found 1")
        )
        assert isinstance(bytes_, BadLine)
        assert (bytes_.number, bytes_.reason.en) == (5, "line is not UTF-8")
        assert isinstance(long, BadLine)
        assert (long.number, long.reason.en) == (6, "line is longer than 65536 bytes")
        assert isinstance(last, Measurement)
        assert last.flow_rate is None


def test_second_header_applies_to_the_lines_after_it(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(
        "timestamp,flow_rate\n2026-08-03 09:49,1\nsensor,timestamp,pressure,flow_rate\n001,2026-08-03 09:49,4.1,12.5\n"
    )
    header, line, good = read_measurements(path, SEOUL)
    problems = [item.reason.en for item in (header, line) if isinstance(item, BadLine)]
    assert ["names no sensor" in problem for problem in problems] == [True, True]
    assert good == NOON


def test_damaged_gz_ends_with_a_bad_line(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    packed = gzip.compress(b"2026-08-03 09:49,001,12.5,4.1\n" * 50_000)
    path.write_bytes(packed[: len(packed) // 2])
    *good, last = read_measurements(path, SEOUL)
    assert len(good) > 1000
    assert isinstance(last, BadLine)
    path.write_bytes(b"no gz at all")
    assert [type(item) for item in read_measurements(path, SEOUL)] == [BadLine]

"""Columns are placed by their names and units; what can't be placed is an error that says what to write."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.ingest.tables.headers import TableError, columns_line, place_columns
from tests.unit.services.ingest.tables.reading import read_text, site

TEN = "2025-03-03 10:00"


@pytest.mark.parametrize(
    ("header", "row", "flow_rate", "pressure"),
    [
        ("Time,Site,Pressure,Flow", "2025-03-03 10:00,001,4.11,12.3", 12.3, 4.11),
        ("일시,지점,유량(㎥/h),수압(kgf/㎠)", "2025-03-03 10:00,001,12.3,4", 12.3, 4 * 0.980665),
        ("일자,시간,순시유량,압력(MPa)", "2025-03-03,10:00,12.3,0.4", 12.3, 4.0),
        ("측정일시,적산유량(㎥),순시유량(l/s),압력(kPa)", "2025-03-03 10:00,99999,10,400", 36.0, 4.0),
        ("timestamp,sensor,flow_rate [l/min],pressure (psi)", "2025-03-03 10:00,001,1000,100", 60.0, 6.89475729),
        ("일시,유량 톤/h,수압 m", "2025-03-03 10:00,12.3,40", 12.3, 40 * 0.0980665),
        ("timestamp,sensor,flow_rate_m3h,pressure_kPa", "2025-03-03 10:00,001,12.3,400", 12.3, 4.0),
        ("비고,timestamp,수압,번호", "a,2025-03-03 10:00,4.1,1", None, 4.1),
    ],
)
def test_known_names_and_units_in_any_order(
    tmp_path: Path, header: str, row: str, flow_rate: float | None, pressure: float
) -> None:
    rows, bad = read_text(tmp_path, f"{header}\n{row}\n")
    assert (rows[0][:2], bad) == ((TEN, "001"), [])
    assert rows[0][2] == flow_rate
    assert rows[0][3] == pytest.approx(pressure)


def test_a_column_for_each_sensor(tmp_path: Path) -> None:
    text = "일시,A 유량(㎥/h),A 수압(bar),B 유량(l/s)\n2025-03-03 10:00,1,2,3\n"
    rows, bad = read_text(tmp_path, text, site("A", "B"))
    assert rows == [(TEN, "A", 1.0, 2.0), (TEN, "B", pytest.approx(10.8), None)]
    assert bad == []


def test_a_row_of_units_below_the_header(tmp_path: Path) -> None:
    text = "# logger\nsep=,\ntimestamp,sensor,flow_rate,pressure\n,,l/s,kPa\n2025-03-03 10:00,001,1,400\n합계,,1,\n"
    assert read_text(tmp_path, text) == ([(TEN, "001", 3.6, 4.0)], [])


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        ("when,sensor,flow_rate,pressure", "no column is named as a time"),
        ("timestamp,sensor,a,b", "no column is named as a flow rate or a pressure"),
        ("timestamp,sensor,유량,flow", "several columns may be the flow_rate: '유량', 'flow'"),
        ("timestamp,flow,inlet pressure,outlet pressure", "seem to name a sensor and others not"),
        ("timestamp,flow_max,pressure_max", "'flow_max' names no sensor"),
        ("일시,최대 유량,최대 수압", "'최대 유량' names no sensor"),
        ("timestamp,sensor,적산유량(㎥)", "no column is named as a flow rate"),
        ("timestamp,적산유량,수압", "'적산유량' is a total"),
        ("timestamp,sensor,flow (furlong),pressure", "the unit 'furlong' of column 'flow (furlong)' is unknown"),
        ("timestamp,sensor,flow (bar),pressure", "the unit 'bar' of column 'flow (bar)' is none of a flow_rate"),
    ],
)
def test_a_header_in_doubt_is_an_error_that_says_what_to_write(header: str, problem: str) -> None:
    with pytest.raises(TableError, match=r"\[source\.NAME\]") as error:
        place_columns(header.split(","), {}, {})
    assert problem in str(error.value)


def test_the_line_to_write_holds_what_is_known() -> None:
    assert columns_line(["일시", "유량계값"]) == (
        'columns = { time = "일시", sensor = "…", flow_rate = "…", pressure = "…" }'
    )


def test_settings_place_columns_by_title_or_position(tmp_path: Path) -> None:
    by_title = site("005", columns={"time": "언제", "005.flow_rate": "값"}, units={"flow_rate": "l/s"})
    assert read_text(tmp_path, "언제,값\n2025-03-03 10:00,10\n", by_title) == ([(TEN, "005", 36.0, None)], [])
    by_position = site("001", columns={"time": "1", "sensor": "2", "flow_rate": "3"})
    assert read_text(tmp_path, '2025-03-03 10:00,001,"1,234.5"\n', by_position) == ([(TEN, "001", 1234.5, None)], [])


def test_positions_without_settings_are_the_four_documented_fields_only(tmp_path: Path) -> None:
    assert read_text(tmp_path, "2025-03-03 10:00,001,1,2,\n") == ([(TEN, "001", 1.0, 2.0)], [])
    assert read_text(tmp_path, "2025-03-03 10:00,001,1,2,BAD\n") == ([(TEN, "001", None, None)], [])
    with pytest.raises(TableError, match="3 columns instead of the four"):
        read_text(tmp_path, '2025-03-03 10:00,001,"1,234.5"\n')


def test_a_site_with_several_sensors_needs_a_sensor(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="--sensor NAME"):
        read_text(tmp_path, "일시,유량\n2025-03-03 10:00,1\n", site("A", "B"))


def test_a_row_with_more_fields_than_the_header_is_rejected(tmp_path: Path) -> None:
    text = "일시,지점,유량,수압\n2025-03-03 10:00,001,12,34,4,11\n"
    assert read_text(tmp_path, text) == ([], ["expected 4 fields, found 6"])

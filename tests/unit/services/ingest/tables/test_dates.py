"""Dates and times as people, loggers and spreadsheets write them."""

from __future__ import annotations

from contextlib import suppress
from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.sources.timestamps import LineError
from services.ingest.tables.dates import EXCEL_EPOCH, ORDERS, Dates, date_part, find_order

FORMS = {
    "year first": [
        "%Y-%m-%dT%H:%M:%S",
        "%Y/%m/%d %H:%M:%S",
        "%Y.%m.%d %H:%M:%S",
        "%Y. %m. %d. %H:%M:%S",
        "%y-%m-%d %H:%M:%S",
        "%Y%m%d%H%M%S",
        "%Y%m%d %H%M%S",
        "%Y년 %m월 %d일 %H시 %M분 %S초",
        "%Y-%m-%d %I:%M:%S %p",
    ],
    "day first": ["%d.%m.%Y %H:%M:%S", "%d/%m/%Y %H:%M:%S", "%d-%m-%y %H:%M:%S"],
    "month first": ["%m/%d/%Y %I:%M:%S %p", "%m/%d/%y %H:%M:%S"],
}
MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31)).map(lambda at: at.replace(microsecond=0))  # noqa: DTZ001


@given(MOMENTS, st.sampled_from([(order, form) for order, forms in FORMS.items() for form in forms]))
def test_what_is_written_in_a_form_reads_back(moment: datetime, form: tuple[str, str]) -> None:
    order, pattern = form
    assert Dates(order).to_iso(moment.strftime(pattern)) == moment.isoformat(" ")


@given(MOMENTS, st.sampled_from([(order, form) for order, forms in FORMS.items() for form in forms]))
def test_without_an_order_a_date_is_read_rightly_or_rejected(moment: datetime, form: tuple[str, str]) -> None:
    text = moment.strftime(form[1])
    readings = {iso for order in ORDERS if (iso := _to_iso(order, text))}
    if len(readings) == 1:
        assert Dates().to_iso(text) == moment.isoformat(" ")
    else:
        with pytest.raises(LineError, match="ambiguous date"):
            Dates().to_iso(text)


def _to_iso(order: str, text: str) -> str:
    with suppress(LineError):
        return Dates(order).to_iso(text)
    return ""


@given(MOMENTS)
def test_a_serial_date_of_a_spreadsheet_reads_back(moment: datetime) -> None:
    serial = (moment - EXCEL_EPOCH) / timedelta(days=1)
    assert Dates().to_iso(f"{serial:.8f}") == moment.isoformat(" ")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2025. 3. 3. 오후 1:05", "2025-03-03 13:05:00"),
        ("2025-03-03 오전 12:00:00", "2025-03-03 00:00:00"),
        ("2025-03-03 12:30 PM", "2025-03-03 12:30:00"),
        ("2025-03-03 24:00", "2025-03-04 00:00:00"),
        ("2024-12-31 24:00", "2025-01-01 00:00:00"),
        ("2025-03-03 0:05", "2025-03-03 00:05:00"),
        ("20250303 1305", "2025-03-03 13:05:00"),
        ("20250303T0002", "2025-03-03 00:02:00"),
        ("45719.002777", "2025-03-03 00:04:00"),
        ("1740960180", "2025-03-03 00:03:00+00:00"),
        ("2025-03-03T00:05:00.1234567Z", "2025-03-03 00:05:00+00:00"),
        ("2025-03-03 09:04 KST", "2025-03-03 09:04:00+09:00"),
        ("2025-03-03T00:01:00+0000", "2025-03-03 00:01:00+00:00"),
    ],
)
def test_forms(text: str, expected: str) -> None:
    assert Dates().to_iso(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "2025-03-03", "2025-13-03 00:00", "2025-02-30 00:00", "2025-03-03 24:01", "2025-03-03 13:00 PM", "1712311230"],
)
def test_what_is_no_time_is_rejected(text: str) -> None:
    with pytest.raises(LineError, match="invalid timestamp"):
        Dates().to_iso(text)


@given(st.dates(date(2001, 1, 1), date(2098, 12, 1)), st.sampled_from(["%d/%m/%Y", "%m/%d/%Y", "%y-%m-%d", "%d.%m.%y"]))
def test_days_that_follow_each_other_settle_the_order(first: date, form: str) -> None:
    days = [first + timedelta(days=number) for number in range(40)]
    order = find_order([day.strftime(form) for day in days])
    assert order
    for day in days:
        assert Dates(order).to_iso(f"{day.strftime(form)} 00:00") == f"{day} 00:00:00"


def test_a_single_ambiguous_day_settles_nothing() -> None:
    assert find_order([date_part("03/04/2025 00:00")]) == ""
    with pytest.raises(LineError, match='dates = "day first"'):
        Dates().to_iso("03/04/2025 00:00")
    assert Dates().to_iso("03/03/2025 00:00") == "2025-03-03 00:00:00"

"""Tables as loggers, SCADA systems and spreadsheets write them: what is written must read back, or be in doubt.

`python -m bench.fuzz.tables --inputs 1000000` writes and reads so many tables, each tenth of them as a file that grows,
and each twentieth as an import.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

from services.ingest.sources.file_tail import FileSource
from services.ingest.sources.line_reader import BadLine, read_line
from services.ingest.sources.parser import Measurement
from services.ingest.sources.timestamps import TimestampParser
from services.ingest.tables.encoding import find_line_encoding
from services.ingest.tables.headers import TableError
from services.ingest.tables.line_form import Site, find_form
from services.ingest.tables.opening import open_readings
from services.ingest.tables.rows import SensorNames
from services.ingest.tables.units import UNITS
from shared.settings import Settings
from shared.settings.sections import FileTable

ZONE = ZoneInfo("Asia/Seoul")
ENCODINGS = ("utf-8", "utf-8", "utf-8-sig", "cp949", "utf-16", "utf-16-le")
STYLES = ((",", "."), (",", "."), (";", ","), (";", "."), ("\t", "."), ("\t", ","), ("|", "."))
"""Separator and decimal sign."""
NAMES = {
    "time": ("timestamp", "Time", "일시", "측정일시", "DateTime"),
    "sensor": ("sensor", "지점", "Station", "Meter"),
    "flow_rate": ("flow_rate", "Flow", "유량", "순시유량", "Q"),
    "pressure": ("pressure", "Pressure", "수압", "압력", "P"),
    "quality": ("quality", "상태"),
    "remark": ("remark", "비고", "Serial"),
}
FLOW_UNITS = ("", "m3/h", "㎥/h", "l/s", "L/min", "톤/h", "CMH", "m³/day")
PRESSURE_UNITS = ("", "bar", "kPa", "MPa", "kgf/㎠", "kg/cm²", "psi", "m")
WORDS = ("", "-", "#N/A", "Bad", "점검", "결측", "***", "NULL", "-9999", "999999", "9999.99")
REMARKS = ("", "ok", "door open", "rate, kept", "a;b", 'he said "no"', "점검 완료")


def _korean(at: datetime) -> str:
    hour = at.hour % 12 or 12
    return f"{at.year}. {at.month}. {at.day}. {'오전' if at.hour < 12 else '오후'} {hour}:{at.minute:02}"


def _serial(at: datetime) -> str:
    return f"{(at - datetime(1899, 12, 30)) / timedelta(days=1):.8f}"  # noqa: DTZ001


def _end_of_day(at: datetime) -> str:
    return f"{at - timedelta(days=1):%Y-%m-%d} 24:00" if at.hour == at.minute == 0 else f"{at:%Y-%m-%d %H:%M}"


TIMES: tuple[Callable[[datetime], str], ...] = (
    *(
        (lambda at, form=form: at.strftime(form))
        for form in (
            *(
                "%Y-%m-%d %H:%M",
                "%Y-%m-%dT%H:%M:%S",
                "%Y/%m/%d %H:%M",
                "%Y.%m.%d %H:%M:%S",
                "%Y%m%d%H%M",
                "%Y%m%d %H%M",
            ),
            *("%Y-%m-%d %H:%M:%S.250", "%d.%m.%Y %H:%M", "%m/%d/%Y %I:%M %p", "%y-%m-%d %H:%M", "%Y-%m-%dT%H:%M+09:00"),
        )
    ),
    lambda at: f"{at:%Y-%m-%d} {at.hour}:{at.minute:02}",
    _korean,
    _serial,
    _end_of_day,
)


@dataclass(frozen=True)
class WrittenTable:
    """A table and what it says."""

    content: bytes
    rows: Counter[tuple[str, str, float | None, float | None]]
    """Sensor, minute, flow rate (m³/h) and pressure (bar), rounded, to their number."""
    table: FileTable


def write_table(random: Random) -> WrittenTable:
    """Return a table of a random form with a few minutes of one or more sensors."""
    separator, decimal = random.choice(STYLES)
    write_time = random.choice(TIMES)
    sensors = ["001"] if random.random() < 0.5 else ["001", "A", "블록2"]
    shape = random.choice(("long", "wide")) if len(sensors) > 1 else random.choice(("long", "wide", "only"))
    units = random.choice(FLOW_UNITS), random.choice(PRESSURE_UNITS)
    thousands, places = random.random() < 0.3, random.choice((1, 2))
    has_quality, has_remark = random.random() < 0.2, random.random() < 0.3
    titles = {
        role: random.choice([name for name in names if shape != "wide" or len(name) > 1])
        for role, names in NAMES.items()
    }
    places_of = [("time", "")]
    places_of += [("sensor", "")] if shape == "long" else []
    places_of += [(role, name) for name in (sensors if shape == "wide" else [""]) for role in ("flow_rate", "pressure")]
    places_of += [("quality", "")] * has_quality + [("remark", "")] * has_remark
    if random.random() < 0.5:
        random.shuffle(places_of)
    header = [_title(role, name, titles[role], units, random) for role, name in places_of]
    lines = [f"# logger {random.randrange(99)}"] * (random.random() < 0.2) + [_line(header, separator)]
    expected: Counter[tuple[str, str, float | None, float | None]] = Counter()
    at = datetime(2025, random.randint(1, 12), random.randint(1, 28), random.choice((0, 11, 23)), 57)  # noqa: DTZ001
    for _ in range(random.randint(1, 6)):
        at += timedelta(minutes=1)
        for group in [[name] for name in sensors] if shape == "long" else [sensors]:
            is_bad = has_quality and random.random() < 0.3
            cells = {
                (role, name): _value(random, decimal, thousands, places)
                for name in group
                for role in ("flow_rate", "pressure")
            }
            fields = [
                _field(role, name or group[0], write_time(at), group[0], cells, is_bad, random)
                for role, name in places_of
            ]
            lines.append(_line(fields, separator))
            for name in group:
                values = [
                    None if is_bad or value is None else round(value * _factor(unit), 6)
                    for (_, value), unit in zip((cells["flow_rate", name], cells["pressure", name]), units, strict=True)
                ]
                expected[name, f"{at:%Y-%m-%d %H:%M}", values[0], values[1]] += 1
        if random.random() < 0.05:
            lines.append(_line(header, separator))
    if random.random() < 0.2:
        lines.append(_line(["합계", *["1"] * (len(header) - 1)], separator))
    end = random.choice(("\n", "\n", "\r\n", "\r"))
    text = end.join(lines) + end
    encoding = random.choice(ENCODINGS)
    if encoding == "cp949":
        text = text.replace("m³", "m3").replace("cm²", "cm2")
    return WrittenTable(text.encode(encoding), expected, FileTable(files="*.csv"))


def check_lines(written: WrittenTable) -> str:
    """Read a table line by line; return what is wrong, "in doubt", or ""."""
    site = Site(TimestampParser(ZONE), SensorNames(("001", "A", "블록2"), "001"))
    items: list[Measurement | BadLine] = []
    try:
        encoding = find_line_encoding(written.content)
        form = find_form(encoding.split(written.content), site, written.table, "a.csv")
        if form is None:
            return "no form"
        text = written.content.decode(encoding.name)
        end = encoding.end.decode(encoding.name)
        for number, line in enumerate(text.split(end)[:-1], 1):
            if number >= form.first:
                items += read_line(form.read, "a.csv", number, line.encode(encoding.name), encoding.name)
    except TableError:
        return "in doubt"
    return _compare(items, written)


def check_file(written: WrittenTable, folder: Path, random: Random) -> str:
    """Read a table from a file that grows, with restarts; return what is wrong, "in doubt", or ""."""
    path, place = folder / "a.csv", folder / "place.json"
    for old in (path, place):
        old.unlink(missing_ok=True)
    now = datetime(2026, 1, 1, tzinfo=ZONE)
    items: list[Measurement | BadLine] = []
    cuts = sorted(random.randrange(len(written.content)) for _ in range(random.randrange(3)))
    source = None
    for start, stop in zip([0, *cuts], [*cuts, len(written.content)], strict=True):
        with path.open("ab") as file:
            file.write(written.content[start:stop])
        if source is None or random.random() < 0.3:
            sensors = SensorNames(("001", "A", "블록2"), "001")
            source = FileSource(folder, [written.table], ZONE, place, sensors)
        for _ in range(2):
            items += source.poll(now, 1000)
        source.commit()
    doubts = [item for item in items if isinstance(item, BadLine) and not item.raw]
    if doubts and not any(isinstance(item, Measurement) for item in items):
        return "in doubt"
    return _compare([item for item in items if item not in doubts], written)


def check_import(written: WrittenTable, folder: Path) -> str:
    """Read a table as `./wvr import` does; return what is wrong, "in doubt", or ""."""
    path = folder / "a.csv"
    path.write_bytes(written.content)
    settings = Settings.model_validate({"sensors": {"001": {}, "A": {}, "블록2": {}}})
    try:
        return _compare(open_readings(path, settings, (), sensor="001"), written)
    except TableError:
        return "in doubt"


def _compare(items: Iterable[Measurement | BadLine], written: WrittenTable) -> str:
    read: Counter[tuple[str, str, float | None, float | None]] = Counter()
    bad = 0
    for item in items:
        if isinstance(item, BadLine):
            bad += 1
            continue
        values = [value if value is None else round(value, 6) for value in (item.flow_rate, item.pressure)]
        read[item.sensor, f"{item.at:%Y-%m-%d %H:%M}", values[0], values[1]] += 1
    if misread := read - written.rows:
        return f"misread: {dict(misread)}, expected {dict(written.rows)}"
    if lost := (written.rows - read).total() > 0 and not bad:
        return f"lost without a word: {lost}"
    return "in doubt" if bad else ""


def _title(role: str, sensor: str, name: str, units: tuple[str, str], random: Random) -> str:
    unit = dict(zip(("flow_rate", "pressure"), units, strict=True)).get(role, "")
    title = f"{sensor} {name}" if sensor else name
    return f"{title}{random.choice((' ', ''))}({unit})" if unit else title


def _value(random: Random, decimal: str, thousands: bool, places: int) -> tuple[str, float | None]:
    """Return the text of a value, and the value."""
    if random.random() < 0.15:
        return random.choice(WORDS).replace(".", decimal), None
    value = round(random.choice((random.uniform(0, 10), random.uniform(0, 9000))), places)
    text = f"{value:,.{places}f}" if thousands else f"{value:.{places}f}"
    return text if decimal == "." else text.translate(str.maketrans(",.", ".,")), value


def _field(
    role: str,
    name: str,
    time_text: str,
    sensor: str,
    cells: dict[tuple[str, str], tuple[str, float | None]],
    is_bad: bool,
    random: Random,
) -> str:
    match role:
        case "time":
            return time_text
        case "sensor":
            return "1" if sensor == "001" and random.random() < 0.2 else sensor
        case "quality":
            return random.choice(("Bad", "불량") if is_bad else ("Good", "정상", "OK"))
        case "remark":
            return random.choice(REMARKS)
    return cells[role, name][0]


def _line(fields: list[str], separator: str) -> str:
    return separator.join(
        '"' + field.replace('"', '""') + '"' if separator in field or '"' in field else field for field in fields
    )


def _factor(unit: str) -> float:
    from services.ingest.tables.units import plain

    return UNITS[plain(unit)].factor if unit else 1.0


def run(inputs: int, seed: int, folder: Path) -> Counter[str]:
    """Write and read tables; return the number of those that read back, are in doubt, or misread."""
    random, outcomes = Random(seed), Counter[str]()
    for number in range(inputs):
        written = write_table(random)
        problem = check_lines(written)
        if number % 10 == 0 and problem in ("", "in doubt"):
            problem = check_file(written, folder, random)
        if number % 20 == 5 and problem in ("", "in doubt"):
            problem = check_import(written, folder)
        outcomes["misread" if problem not in ("", "in doubt") else problem or "read back"] += 1
        if outcomes["misread"] <= 3 and problem not in ("", "in doubt"):
            print(f"input {number}: {problem}\n{written.content!r}", file=sys.stderr)
    return outcomes


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.fuzz.tables", description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    logging.disable()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        outcomes = run(options.inputs, options.seed, Path(folder))
    print(f"{options.inputs:,} tables, seed {options.seed}: {dict(outcomes)} in {time.monotonic() - began:.0f} s")
    return 1 if outcomes["misread"] else 0


if __name__ == "__main__":
    sys.exit(main())

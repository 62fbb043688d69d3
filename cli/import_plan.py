"""What `./wvr import` understood of a file, and what it will store."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise

from services.ingest.minutes import Samples, Values, is_in_conflict, joined, minute_of
from services.ingest.sources.line_reader import BadLine, Measurement
from services.ingest.tables.headers import Layout
from services.ingest.tables.opening import OpenFile
from shared.contract.messages import HistoryMinute
from shared.domain.reading_clock import JUMP_MINUTES
from shared.runtime.sensor_registry import SensorRegistry
from shared.store.history import History

SHOWN_ROWS = 2
"""First and last readings of a sensor that are shown."""


class Refusals:
    """Reasons of refused lines with their number and first place."""

    def __init__(self) -> None:
        self._numbers = Counter[str]()
        self._places: dict[str, str] = {}

    def add(self, place: str, reason: str) -> None:
        """Count a refused line; `place`: file and line, empty if they are unknown."""
        self._numbers[reason] += 1
        self._places.setdefault(reason, place)

    @property
    def number(self) -> int:
        """Number of refused lines."""
        return self._numbers.total()

    def describe(self, shown: int = 20) -> Iterator[str]:
        """Yield the most frequent reasons, one line each."""
        for reason, number in self._numbers.most_common(shown):
            place = f"{self._places[reason]}: " if self._places[reason] else ""
            yield f"{place}{reason}" + (f" ({number} times)" if number > 1 else "")


@dataclass
class Plan:
    """The readings of a file by sensor, compared with what is stored."""

    samples: dict[str, dict[datetime, Samples]] = field(default_factory=lambda: defaultdict(dict))
    """Sensor to the samples of each minute, while the file is read."""
    minutes: dict[str, dict[datetime, Values]] = field(default_factory=dict)
    refusals: Refusals = field(default_factory=Refusals)
    repeated: Counter[str] = field(default_factory=Counter)
    """Sensor to the number of minutes that the file gives twice with other values; the first is kept."""
    new: dict[str, list[HistoryMinute]] = field(default_factory=dict)
    equal: int = 0
    different: dict[str, list[HistoryMinute]] = field(default_factory=dict)
    """Sensor to the minutes that are stored with other values."""


def make_plan(
    items: Iterable[Measurement | BadLine], register: SensorRegistry, history: History, now: datetime
) -> Plan:
    """Return the plan of a file; `now`: the machine's clock. Raises Unavailable if stored readings can't be read."""
    plan, latest = Plan(), now + timedelta(minutes=JUMP_MINUTES)
    future = f"dated in the future: it is {now:%Y-%m-%d %H:%M%z} now; check the time zone and the machine's clock"
    for item in items:
        if isinstance(item, BadLine):
            plan.refusals.add(f"{item.file}:{item.number}", item.reason.en)
        elif item.at > latest:
            plan.refusals.add("", future)
        elif reason := register.rejection_reason(item.sensor):
            plan.refusals.add("", reason.en)
        else:
            _add(plan, item)
    for sensor, samples in plan.samples.items():
        minutes = plan.minutes[sensor] = {minute: of_minute.values() for minute, of_minute in samples.items()}
        new, different = _compare(minutes, history, sensor)
        plan.equal += len(minutes) - len(new) - len(different)
        plan.new[sensor], plan.different[sensor] = new, different
    plan.samples.clear()
    return plan


def count_unstored(minutes: dict[str, list[HistoryMinute]], history: History) -> int:
    """Return how many of these minutes are not stored with these values. Raises Unavailable."""
    return sum(
        len(part)
        for sensor, rows in minutes.items()
        if rows
        for part in _compare({at: (flow_rate, pressure) for at, flow_rate, pressure in rows}, history, sensor)
    )


def count(minutes: dict[str, list[HistoryMinute]]) -> int:
    """Return the number of minutes of all sensors."""
    return sum(map(len, minutes.values()))


def describe_form(file: OpenFile) -> Iterator[str]:
    """Yield what was understood of the form of a file, one line each."""
    layout = file.layout
    yield f"form: {file.form}"
    yield f"columns: {', '.join(_columns(layout))}"
    if layout.ignored:
        yield f"not read: {', '.join(repr(layout.titles[index]) for index in layout.ignored)}"


def describe_rows(file: OpenFile) -> Iterator[str]:
    """Yield what was understood of the rows of a file, one line each; after the file is read."""
    for kind, number in file.skipped.items():
        yield f"skipped: {plural(number, f'{kind} row')}"
    for name, known in file.sensors.renamed.items():
        yield f"sensor {name!r} of the file is the sensor {known} of the site"
    for text, number in file.values.missing.most_common():
        yield f"{text!r} in place of a value: {plural(number, 'value')} missing"
    for mark, number in file.reader.bad_quality.items():
        yield f"quality {mark!r}: the values of {plural(number, 'row')} missing"
    for doubt, number in file.reader.timestamps.doubts.most_common():
        yield f"time: {plural(number, 'timestamp')} {doubt}"


def describe_readings(plan: Plan) -> Iterator[str]:
    """Yield the span, cadence, gaps, first and last readings of each sensor."""
    for sensor, minutes in plan.minutes.items():
        times = sorted(minutes)
        span = f"from {times[0]:%Y-%m-%d %H:%M%z} to {times[-1]:%Y-%m-%d %H:%M%z}"
        yield f"sensor {sensor}: {plural(len(times), 'reading')} {span}"
        steps = Counter(after - before for before, after in pairwise(times))
        if steps:
            cadence = steps.most_common(1)[0][0]
            gaps = [step for step in steps.elements() if step > cadence]
            yield f"  every {_span(cadence)}, {plural(len(gaps), 'gap')}" + (
                f", the longest {_span(max(gaps))}" if gaps else ""
            )
        if plan.repeated[sensor]:
            yield f"  {plural(plan.repeated[sensor], 'minute')} given twice with other values: the first is kept"
        for at in times if len(times) <= 2 * SHOWN_ROWS else times[:SHOWN_ROWS] + times[-SHOWN_ROWS:]:
            flow_rate, pressure = minutes[at]
            yield f"  {at:%Y-%m-%d %H:%M%z}  {_number(flow_rate)} m3/h  {_number(pressure)} bar"


def plural(number: int, noun: str) -> str:
    """Return a number with its noun, which gets an s unless the number is 1."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _add(plan: Plan, item: Measurement) -> None:
    samples, minute = plan.samples[item.sensor], minute_of(item.at)
    if minute not in samples:
        samples[minute] = Samples(item)
    elif not samples[minute].add(item):
        plan.repeated[item.sensor] += 1


def _compare(
    minutes: dict[datetime, Values], history: History, sensor: str
) -> tuple[list[HistoryMinute], list[HistoryMinute]]:
    """Return the minutes that are not stored, and those that are stored with other values, in order of time.

    Values that a stored minute lacks make it new; those that the file lacks make it equal.
    """
    times = sorted(minutes)
    series = history.readings(sensor, int(times[0].timestamp()), int(times[-1].timestamp()) + 1)
    columns = zip(series.at.tolist(), series.flow_rate.tolist(), series.pressure.tolist(), strict=True)
    stored = {at: (_or_none(flow_rate), _or_none(pressure)) for at, flow_rate, pressure in columns}
    new: list[HistoryMinute] = []
    different: list[HistoryMinute] = []
    for at in times:
        before = stored.get(int(at.timestamp()))
        if before is None or (joined(before, minutes[at]) != before and not is_in_conflict(before, minutes[at])):
            new.append((at, *joined(before or minutes[at], minutes[at])))
        elif before != minutes[at] and is_in_conflict(before, minutes[at]):
            different.append((at, *minutes[at]))
    return new, different


def _columns(layout: Layout) -> Iterator[str]:
    yield " + ".join(repr(layout.titles[index]) for index in layout.time) + " is the time"
    if layout.sensor is not None:
        yield f"{layout.titles[layout.sensor]!r} is the sensor"
    for column in layout.values:
        unit = {"flow_rate": "m3/h", "pressure": "bar"}[column.channel]
        factor = f", times {column.factor:g} in {unit}" if column.factor != 1 else ""
        of = f" of sensor {column.sensor}" if column.sensor else ""
        yield f"{layout.titles[column.index]!r} is the {column.channel}{of} in {column.unit or unit}{factor}"
    if layout.quality is not None:
        yield f"{layout.titles[layout.quality]!r} is the quality"


def _span(span: timedelta) -> str:
    minutes = round(span / timedelta(minutes=1))
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes / 60:.4g} h" if minutes < 2880 else f"{minutes / 1440:.4g} d"


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:g}"


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value

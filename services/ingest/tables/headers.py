"""Places the columns of a table: which is the time, the sensor, the flow rate and the pressure, and in which unit."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from services.ingest.tables.names import (
    CHANNEL_NAMES,
    DATE,
    KNOWN_NAMES,
    OTHER_QUANTITIES,
    QUALITY,
    SENSOR,
    TIME,
    TOTAL,
)
from services.ingest.tables.units import KNOWN_UNITS, TOTAL_UNITS, find_unit, plain
from shared.contract.messages import CHANNELS, Channel, is_valid_name

ROLES = ("time", "date", "clock", "sensor", "flow_rate", "pressure", "quality")
"""Keys of the setting `columns`, besides SENSOR.flow_rate and SENSOR.pressure."""
_BRACKETS = re.compile(r"(?P<name>.*?)\s*[(\[{<](?P<unit>[^()\[\]{}<>]*)[)\]}>]\s*")
_LAST_WORD = re.compile(r"(?P<name>.+?)[\s_]+(?P<unit>[^\s_]+)")
_MARKS = re.compile(r"[\s_\-./:·]+")


class TableError(ValueError):
    """A table that can't be read without a decision of the user; the text says what to write."""


@dataclass(frozen=True)
class ValueColumn:
    """A column of values."""

    index: int
    channel: Channel
    sensor: str = ""
    """Sensor of the column; empty if a column of the table or the site names it."""
    unit: str = ""
    """Unit as written; empty for m³/h or bar."""
    factor: float = 1.0


@dataclass(frozen=True)
class Layout:
    """The columns of a table by their index."""

    titles: tuple[str, ...]
    time: tuple[int, ...]
    """One index, or those of the date and of the time."""
    values: tuple[ValueColumn, ...]
    sensor: int | None = None
    quality: int | None = None
    ignored: tuple[int, ...] = field(default=())


def find_header(rows: Sequence[Sequence[str]], columns: Mapping[str, str]) -> int | None:
    """Return the index of the first row that names the time, or all columns of the setting; None if there is none."""
    titles = {title.strip() for title in columns.values()}
    for number, row in enumerate(rows):
        cells = [cell.strip() for cell in row]
        if columns and titles <= set(cells):
            return number
        names = {_name(cell) for cell in cells if cell and not cell[0].isdigit()}
        if names & {_MARKS.sub("", name) for name in (*TIME, *DATE)} and len(names) > 1:
            return number
    return None


def place_columns(titles: Sequence[str], columns: Mapping[str, str], units: Mapping[str, str]) -> Layout:
    """Place the columns of a header. `columns` and `units` are the settings of that name. Raises TableError."""
    titles = tuple(title.strip() for title in titles)
    layout = _by_setting(titles, columns) if columns else _by_name(titles)
    return replace(layout, values=tuple(_with_unit(layout, column, units) for column in layout.values))


def with_units_row(layout: Layout, row: Sequence[str]) -> Layout | None:
    """Return the layout with the units of the row below the header; None if that row is none of units."""
    cells = [cell.strip().strip("()[]") for cell in row]
    value_cells = {column.index: cells[column.index] for column in layout.values if column.index < len(cells)}
    if not any(value_cells.values()) or not all(find_unit(cell) for cell in value_cells.values() if cell):
        return None
    return replace(
        layout,
        values=tuple(
            _in_unit(layout, column, cell) if (cell := value_cells.get(column.index)) and not column.unit else column
            for column in layout.values
        ),
    )


def columns_line(titles: Sequence[str]) -> str:
    """Return the `columns` setting to write for a header, as far as it is known."""
    roles = [_role(title) for title in titles]
    time = ("date", "clock") if "date" in roles else ("time",)
    named = dict(zip(reversed(roles), reversed(titles), strict=True))
    for title in titles:
        channel, sensor = _channel_and_sensor(_split_unit(title)[0])
        if channel and not sensor:
            named.setdefault(channel, title)
    if "date" in roles:
        named["clock"] = named.get("time", "…")
    return (
        "columns = { " + ", ".join(f'{role} = "{named.get(role, "…")}"' for role in (*time, "sensor", *CHANNELS)) + " }"
    )


def _by_setting(titles: Sequence[str], columns: Mapping[str, str]) -> Layout:
    indices: dict[str, int] = {}
    for role, title in columns.items():
        if titles.count(title.strip()) != 1:
            problem = "has no column" if title.strip() not in titles else "has several columns"
            raise _error(titles, f"the table {problem} {title!r}, which site.toml sets for {role}")
        indices[role] = titles.index(title.strip())
    if "time" not in indices and not {"date", "clock"} <= indices.keys():
        raise _error(titles, "the setting columns names no time: write time, or date and clock")
    time = (indices["time"],) if "time" in indices else (indices["date"], indices["clock"])
    values = [_value_by_key(key, index) for key, index in indices.items() if key.rpartition(".")[2] in CHANNELS]
    _check_values(titles, values, indices.get("sensor"))
    used = {*indices.values()}
    ignored = tuple(index for index in range(len(titles)) if index not in used)
    return Layout(tuple(titles), time, tuple(values), indices.get("sensor"), indices.get("quality"), ignored)


def _value_by_key(key: str, index: int) -> ValueColumn:
    sensor, _, channel = key.rpartition(".")
    return ValueColumn(index, "flow_rate" if channel == "flow_rate" else "pressure", sensor)


def _by_name(titles: Sequence[str]) -> Layout:
    roles = [_role(title) for title in titles]
    indices: dict[str, list[int]] = {}
    for index, role in enumerate(roles):
        indices.setdefault(role, []).append(index)
    for role in ("time", "date", "sensor", "quality"):
        if len(indices.get(role, ())) > 1:
            named = ", ".join(repr(titles[index]) for index in indices[role])
            raise _error(titles, f"several columns may be the {role}: {named}")
    time = (*indices.get("date", ()), *indices.get("time", ()))
    if not time:
        raise _error(titles, "no column is named as a time")
    values = [column for index in indices.get("value", ()) if (column := _value_column(titles, index))]
    sensor = next(iter(indices.get("sensor", ())), None)
    _check_values(titles, values, sensor)
    used = {*time, *(column.index for column in values)}
    if indices.get("total") and not any(column.channel == "flow_rate" for column in values):
        named = titles[indices["total"][0]]
        raise _error(titles, f"{named!r} is a total, and no column is a flow rate; WVR reads rates in m3/h")
    quality = next(iter(indices.get("quality", ())), None)
    ignored = tuple(index for index in range(len(titles)) if index not in used and index not in (sensor, quality))
    return Layout(tuple(titles), time, tuple(values), sensor, quality, ignored)


def _check_values(titles: Sequence[str], values: Sequence[ValueColumn], sensor: int | None) -> None:
    if not values:
        raise _error(titles, "no column is named as a flow rate or a pressure")
    if any(column.sensor for column in values) and (sensor is not None or not all(column.sensor for column in values)):
        named = ", ".join(repr(titles[column.index]) for column in values)
        raise _error(titles, f"some columns of values seem to name a sensor and others not: {named}")
    keys = [(column.sensor, column.channel) for column in values]
    for key in keys:
        if keys.count(key) > 1:
            named = ", ".join(repr(titles[column.index]) for column in values if (column.sensor, column.channel) == key)
            raise _error(titles, f"several columns may be the {key[1]}{' of ' + key[0] if key[0] else ''}: {named}")


def _role(title: str) -> str:
    """Return time, date, sensor, quality, total, value or "" for a column's title."""
    name, unit = _split_unit(title)
    word = _name(name)
    for role, names in (("time", TIME), ("date", DATE), ("sensor", SENSOR), ("quality", QUALITY), ("total", TOTAL)):
        if word in {_MARKS.sub("", known) for known in names}:
            return role
    if plain(unit) in TOTAL_UNITS and not find_unit(unit):
        return "total"
    if any(word.endswith(total) or word.startswith(total) for total in TOTAL):
        return "total"
    return "value" if find_unit(unit) or any(_channel_and_sensor(name)) else ""


def _value_column(titles: Sequence[str], index: int) -> ValueColumn | None:
    name, unit_text = _split_unit(titles[index])
    channel, sensor = _channel_and_sensor(name)
    unit = find_unit(unit_text)
    if channel is None and unit is not None:
        channel, sensor = unit.channel, name.strip()
    if channel is None:
        return None
    is_other_quantity = bool(set(_MARKS.split(plain(sensor.replace(" ", "_")))) & OTHER_QUANTITIES)
    if sensor and (is_other_quantity or not (len(sensor) <= 64 and is_valid_name(sensor) and sensor.strip("."))):
        raise _error(titles, f"{titles[index]!r} names no sensor that WVR accepts")
    return ValueColumn(index, channel, sensor, unit_text)


def _channel_and_sensor(name: str) -> tuple[Channel | None, str]:
    """Return the channel and the sensor of a column's name, such as `flow rate`, `001 유량` or `pressure_A`."""
    word = _name(name)
    for channel, names in CHANNEL_NAMES.items():
        if word in {_MARKS.sub("", known) for known in names}:
            return channel, ""
    for channel, names in CHANNEL_NAMES.items():
        for known in sorted((known for known in names if len(known) > 1), key=len, reverse=True):
            form = known.replace("_", "[ _-]?")
            if match := re.fullmatch(rf"(.*?)[\s_\-.:/]*{form}|{form}[\s_\-.:/]*(.*)", name.strip(), re.IGNORECASE):
                return channel, (match[1] or match[2] or "").strip()
    return None, ""


def _with_unit(layout: Layout, column: ValueColumn, units: Mapping[str, str]) -> ValueColumn:
    setting = units.get(f"{column.sensor}.{column.channel}") or units.get(column.channel, "")
    text = column.unit or _split_unit(layout.titles[column.index])[1]
    return _in_unit(layout, column, setting or text) if setting or text else column


def _in_unit(layout: Layout, column: ValueColumn, text: str) -> ValueColumn:
    unit = find_unit(text)
    title = layout.titles[column.index]
    if unit is None or unit.channel != column.channel:
        problem = "is unknown" if unit is None else f"is none of a {column.channel}"
        raise TableError(
            f"the unit {text!r} of column {title!r} {problem}; known are {KNOWN_UNITS}. "
            f'Write units = {{ {column.channel} = "…" }} in a [source.NAME] table of site.toml'
        )
    return replace(column, unit=text, factor=unit.factor)


def _split_unit(title: str) -> tuple[str, str]:
    """Return the name and the unit of a title such as `pressure (bar)` or `Flow l/s`; the unit may be empty."""
    if match := _BRACKETS.fullmatch(title.strip()):
        return match["name"].strip(), match["unit"].strip()
    if match := _LAST_WORD.fullmatch(title.strip()):
        last = match["unit"]
        if find_unit(last) or plain(last) in TOTAL_UNITS:
            return match["name"], last
    return title.strip(), ""


def _name(title: str) -> str:
    return _MARKS.sub("", plain(_split_unit(title)[0]))


def _error(titles: Sequence[str], problem: str) -> TableError:
    return TableError(
        f"{problem}. The columns are: {', '.join(repr(title) for title in titles)}. Known names are: {KNOWN_NAMES}. "
        "For others, write a table in site.toml:\n"
        f'[source.NAME]\nkind = "file"\n{columns_line(titles)}\n'
        'and leave out what the file lacks; a column of one sensor is "SENSOR.flow_rate" or "SENSOR.pressure"'
    )

"""Reads the rows of a table whose columns are placed as measurements."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Sequence

from services.ingest.sources.parser import Measurement, parse_value
from services.ingest.sources.timestamps import LineError, TimestampParser
from services.ingest.tables.dates import Dates
from services.ingest.tables.headers import Layout
from services.ingest.tables.names import BAD_QUALITY, GOOD_QUALITY, TOTALS
from services.ingest.tables.units import plain
from services.ingest.tables.values import Values
from shared.contract.messages import MAX_ABS_VALUE, is_valid_name


class SensorNames:
    """The sensors of a file; a number such as 1 is the known sensor 001 if no other fits."""

    def __init__(self, known: Collection[str], only: str = "") -> None:
        """Make the names; `only` is the sensor of a file without a sensor column."""
        self._known, self.only = known, only
        self.renamed: dict[str, str] = {}
        """Name in the file to the known sensor."""

    def find(self, text: str) -> str:
        """Return the name of a sensor. Raises LineError."""
        if text in self._known or text in self.renamed:
            return self.renamed.get(text, text)
        same = [name for name in self._known if name.isdecimal() and text.isdecimal() and int(name) == int(text)]
        if len(same) == 1:
            self.renamed[text] = same[0]
            return same[0]
        if not (0 < len(text) <= 64 and is_valid_name(text) and text.strip(".")):
            raise LineError("센서 이름이 올바르지 않습니다: {name!r}", "invalid sensor name: {name!r}", name=text[:80])
        return text


class RowReader:
    """Reads rows as measurements; counts the values that a mark of quality makes missing."""

    def __init__(
        self,
        layout: Layout,
        timestamps: TimestampParser,
        dates: Dates,
        values: Values,
        sensors: SensorNames,
        good: Collection[str] = (),
    ) -> None:
        self._layout, self.timestamps, self._dates = layout, timestamps, dates
        self._values, self._sensors = values, sensors
        self._good = {plain(text) for text in good}
        self.bad_quality: Counter[str] = Counter()
        """Mark of quality to the number of rows whose values are missing for it."""

    def read(self, fields: Sequence[str]) -> list[Measurement]:
        """Return the measurements of a row, one for each sensor. Raises LineError."""
        fields = [field.strip() for field in fields]
        width = len(self._layout.titles)
        if any(fields[width:]):
            raise LineError(
                "필드가 {expected}개여야 하는데 {found}개입니다",
                "expected {expected} fields, found {found}",
                expected=width,
                found=max(index for index, field in enumerate(fields, 1) if field),
            )
        iso = self._dates.to_iso(" ".join(fields[index] for index in self._layout.time))
        is_good = self._is_good(fields)
        minutes: dict[str, dict[str, float | None]] = {}
        for column in self._layout.values:
            sensor = self._sensor(fields, column.sensor)
            text = fields[column.index]
            value = self._values.parse(text) if is_good else None
            minutes.setdefault(sensor, {})[column.channel] = _in_limits(value, column.factor, text)
        return [
            Measurement(sensor, self.timestamps.parse(iso, sensor), values.get("flow_rate"), values.get("pressure"))
            for sensor, values in minutes.items()
        ]

    def _sensor(self, fields: Sequence[str], of_column: str) -> str:
        if of_column:
            return self._sensors.find(of_column)
        return self._sensors.only if self._layout.sensor is None else self._sensors.find(fields[self._layout.sensor])

    def _is_good(self, fields: Sequence[str]) -> bool:
        if self._layout.quality is None or not (mark := fields[self._layout.quality]):
            return True
        word = plain(mark)
        if word in self._good or (word in GOOD_QUALITY and not self._good):
            return True
        if not self._good and word not in BAD_QUALITY:
            raise LineError(
                '품질 {mark!r}의 뜻을 알 수 없습니다: [source.이름] 테이블에 good = ["…"]로 좋은 값의 표시를 적으세요',
                'unknown quality {mark!r}: list the marks of good values in a [source.NAME] table, good = ["…"]',
                mark=mark[:40],
            )
        self.bad_quality[mark] += 1
        return False


def is_totals_row(fields: Sequence[str]) -> bool:
    """Whether a row starts with a word such as 합계 or total."""
    first = next((plain(field) for field in fields if field.strip()), "")
    return first.rstrip(":") in TOTALS


def _in_limits(value: float | None, factor: float, text: str) -> float | None:
    """Return a value in m³/h or bar. Raises LineError beyond the limit of the contract."""
    if value is None or factor == 1.0:
        return value
    converted = value * factor
    if not math.isfinite(converted) or abs(converted) > MAX_ABS_VALUE:
        return parse_value(f"{converted:.17g}") if math.isfinite(converted) else parse_value(text)
    return converted

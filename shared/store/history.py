"""Read-only queries on wvr.db, from which services rebuild their state."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from shared.contract.messages import (
    CHANNELS,
    SCORED_HORIZONS,
    Anomaly,
    Cadence,
    Check,
    Criteria,
    FlowChecks,
    Forecast,
    LocalizedText,
    Prediction,
    PressureChecks,
    Reading,
    Score,
    SensorState,
    Verdict,
)
from shared.domain.forecast_point import ForecastPoint
from shared.domain.series import HOUR, Series
from shared.domain.value_ranges import UNBOUNDED, ValueRanges
from shared.store.read_connection import ReadConnection
from shared.store.rows import LIST_SEPARATOR

BELIEVED = "clock != 'doubted'"
"""Readings whose time is believed: only these are learned from and judged by their time."""
HISTORY_SOURCES = ("import", "history")
"""Readings from these sources are learned from and get no verdict."""


class History(ReadConnection):
    """Stored history of one site; empty while there is no database."""

    def __init__(self, path: Path, zone: ZoneInfo, site: str, ranges: ValueRanges = UNBOUNDED) -> None:
        """Open nothing yet. Readings are returned without the values outside `ranges`."""
        super().__init__(path, zone, site)
        self._ranges = ranges

    def sensors(self) -> list[str]:
        """Return the sensors with readings."""
        return [row[0] for row in self._rows("SELECT DISTINCT sensor FROM HOURLY_VAL_TB WHERE site = ? ORDER BY 1")]

    def retired(self) -> set[str]:
        """Return the sensors that are retired: without a reading after the one that was the newest then."""
        sql = "SELECT sensor, retired_through FROM SENSOR_TB WHERE site = ?"
        retired: dict[str, int] = dict(self._rows(sql))
        ranges = {sensor: self.reading_range(sensor) for sensor in retired}
        return {sensor for sensor, span in ranges.items() if span is None or span[1] <= retired[sensor]}

    def active_sensors(self) -> list[str]:
        """Return the sensors with readings that are not retired."""
        retired = self.retired()
        return [sensor for sensor in self.sensors() if sensor not in retired]

    def reading_range(self, sensor: str) -> tuple[int, int] | None:
        """Return first and last reading, epoch seconds; those of a doubted time do not count."""
        sql = f"SELECT at FROM REAL_VAL_TB WHERE site = ? AND sensor = ? AND {BELIEVED} ORDER BY at"
        first, last = self._one(f"{sql} LIMIT 1", sensor), self._one(f"{sql} DESC LIMIT 1", sensor)
        return None if first is None or last is None else (first, last)

    def doubted_ahead(self, sensor: str) -> list[int]:
        """Return the times of the readings that are ahead of all others and doubted, oldest first."""
        stored_range = self.reading_range(sensor)
        sql = "SELECT at FROM REAL_VAL_TB WHERE site = ? AND sensor = ? AND at > ? AND clock = 'doubted' ORDER BY at"
        return [row[0] for row in self._rows(sql, sensor, stored_range[1] if stored_range else 0)]

    def stored_mark(self) -> tuple[str, int] | None:
        """Return boot_id and seq up to which all readings of ingest's spool are stored."""
        return next(((row[0], row[1]) for row in self._rows("SELECT boot_id, seq FROM STORED_TB WHERE site = ?")), None)

    def is_gapless(self) -> bool:
        """Whether all known readings are stored, so that there is no gap in `seq`."""
        sql = "SELECT seq >= seen FROM STORED_TB WHERE site = ?"
        return bool(next((row[0] for row in self._rows(sql)), True))

    def readings(self, sensor: str, start: int, stop: int) -> Series:
        """Return the usable values of [start, stop) whose time is believed, epoch seconds, in order of time."""
        sql = f"""SELECT at, flow_rate, pressure FROM REAL_VAL_TB
            WHERE site = ? AND sensor = ? AND at >= ? AND at < ? AND {BELIEVED}"""
        return self._ranges.usable_series(sensor, _series(self._rows(sql, sensor, start, stop)))

    def stored_values(self, sensor: str, at: datetime) -> tuple[float | None, float | None]:
        """Return the stored flow rate and pressure of a minute."""
        sql = "SELECT flow_rate, pressure FROM REAL_VAL_TB WHERE site = ? AND sensor = ? AND at = ?"
        flow_rate, pressure = next(self._rows(sql, sensor, int(at.timestamp())), (None, None))
        return flow_rate, pressure

    def count_readings(self) -> tuple[int, int]:
        """Return the number of stored readings, and of those of a doubted time."""
        sql = f"SELECT count(*), count(*) - coalesce(sum({BELIEVED}), 0) FROM REAL_VAL_TB WHERE site = ?"
        return next(((row[0], row[1]) for row in self._rows(sql)), (0, 0))

    def fault_free_readings(self, sensor: str, start: int, stop: int) -> Series:
        """Return the readings of [start, stop) without values that their verdict marks as a meter fault."""
        sql = f"""SELECT r.at, CASE WHEN v.flow_rate_system = 1 THEN NULL ELSE r.flow_rate END,
            CASE WHEN v.pressure_system = 1 THEN NULL ELSE r.pressure END FROM REAL_VAL_TB r
            LEFT JOIN OUTLIER_VAL_TB v ON v.site = r.site AND v.sensor = r.sensor AND v.at = r.at
            WHERE r.site = ? AND r.sensor = ? AND r.at >= ? AND r.at < ? AND r.{BELIEVED}"""
        return _series(self._rows(sql, sensor, start, stop))

    def readings_without_verdict(self, sensor: str, start: int, stop: int) -> Iterator[Reading]:
        """Yield the live readings of [start, stop) without a verdict, in order of time; none of a doubted time."""
        sql = f"""SELECT r.at, r.flow_rate, r.pressure, r.source FROM REAL_VAL_TB r
            LEFT JOIN OUTLIER_VAL_TB v ON v.site = r.site AND v.sensor = r.sensor AND v.at = r.at
            WHERE r.site = ? AND r.sensor = ? AND r.at >= ? AND r.at < ? AND r.{BELIEVED}
            AND v.at IS NULL ORDER BY r.at"""
        for at, flow_rate, pressure, source in self._rows(sql, sensor, start, stop):
            if source not in HISTORY_SOURCES:
                yield Reading(
                    site=self._site,
                    sensor=sensor,
                    at=self._local(at),
                    flow_rate=flow_rate,
                    pressure=pressure,
                    boot_id="stored",
                    seq=0,
                    source=source,
                )

    def verdicts(self, sensor: str, start: int, stop: int) -> Iterator[Verdict]:
        """Yield the verdicts of [start, stop) in order of time; only the flags of their checks are stored."""
        sql = """SELECT r.at, r.flow_rate, r.pressure, r.source, r.clock, v.flow_rate_system, v.flow_rate_value,
            v.flow_rate_prediction, v.flow_rate_night, v.pressure_system, v.pressure_value, v.pressure_prediction
            FROM OUTLIER_VAL_TB v JOIN REAL_VAL_TB r ON r.site = v.site AND r.sensor = v.sensor AND r.at = v.at
            WHERE v.site = ? AND v.sensor = ? AND v.at >= ? AND v.at < ? ORDER BY v.at"""
        for at, flow_rate, pressure, source, clock, *flags in self._rows(sql, sensor, start, stop):
            reading = Reading(
                site=self._site,
                sensor=sensor,
                at=self._local(at),
                flow_rate=flow_rate,
                pressure=pressure,
                boot_id="stored",
                seq=0,
                source=source,
                clock=clock,
            )
            checks = [Check(flag) for flag in flags]
            flow_checks, pressure_checks = FlowChecks(*checks[:4]), PressureChecks(*checks[4:])
            yield Verdict(
                site=self._site,
                sensor=sensor,
                at=reading.at,
                reading=reading,
                flow_rate=flow_checks,
                pressure=pressure_checks,
            )

    def last_verdict(self, sensor: str) -> int | None:
        """Return the newest minute with a verdict; those of a doubted time do not count."""
        stored_range = self.reading_range(sensor)
        sql = "SELECT max(at) FROM OUTLIER_VAL_TB WHERE site = ? AND sensor = ? AND at <= ?"
        return self._one(sql, sensor, stored_range[1]) if stored_range else None

    def last_issued_at(self, sensor: str) -> int | None:
        """Return when the newest prediction was issued."""
        newest = "SELECT max(issued_at) AS at FROM PRED_VAL_TB WHERE site = ?1 AND sensor = ?2 AND channel ="
        return self._one(f"SELECT max(at) FROM ({newest} 'flow_rate' UNION ALL {newest} 'pressure')", sensor)

    def prediction_at(self, sensor: str, issued_at: int | None = None) -> Prediction | None:
        """Return the prediction issued at an hour, or the newest; horizons that are no longer stored are None."""
        hour = self.last_issued_at(sensor) if issued_at is None else issued_at
        if hour is None:
            return None
        sql = """SELECT channel, at, p10, p50, p90, model FROM PRED_VAL_TB
            WHERE site = ? AND sensor = ? AND channel IN ('flow_rate', 'pressure') AND issued_at = ?"""
        rows = list(self._rows(sql, sensor, hour))
        flow_rate, pressure = (_forecast([row for row in rows if row[0] == channel], hour) for channel in CHANNELS)
        scores = tuple(self.scores(sensor, hour - HOUR, hour))
        return (
            Prediction(
                site=self._site,
                sensor=sensor,
                issued_at=self._local(hour),
                flow_rate=flow_rate,
                pressure=pressure,
                scores=scores,
            )
            if rows
            else None
        )

    def scores(self, sensor: str, start: int, stop: int) -> list[Score]:
        """Return the forecast scores of the hours in [start, stop), by channel, time and horizon."""
        sql = """SELECT channel, at, horizon, model, error, inside, profile_error, hours, mae, coverage, profile_mae
            FROM SCORE_TB WHERE site = ? AND sensor = ? AND channel IN ('flow_rate', 'pressure')
            AND at >= ? AND at < ? ORDER BY channel, at, horizon"""
        return [
            Score(**(row | {"at": self._local(row["at"]), "inside": bool(row["inside"])}))
            for row in self._named_rows(sql, sensor, start, stop)
        ]

    def last_scored(self, sensor: str) -> int | None:
        """Return the newest hour with scores."""
        newest = "SELECT max(at) AS at FROM SCORE_TB WHERE site = ?1 AND sensor = ?2 AND channel ="
        return self._one(f"SELECT max(at) FROM ({newest} 'flow_rate' UNION ALL {newest} 'pressure')", sensor)

    def forecasts_for_hours(self, sensor: str, start: int, stop: int) -> Iterator[ForecastPoint]:
        """Yield the forecasts of the hours in [start, stop) at the scored horizons."""
        horizons = ", ".join(str(hours * HOUR) for hours in SCORED_HORIZONS)
        sql = f"""SELECT channel, issued_at, at, model, p10, p50, p90 FROM PRED_VAL_TB
            WHERE site = ?1 AND sensor = ?2 AND channel IN ('flow_rate', 'pressure') AND issued_at >= ?3 - {168 * HOUR}
            AND issued_at < ?4 AND at >= ?3 AND at < ?4 AND at - issued_at IN ({horizons}) AND p50 IS NOT NULL
            ORDER BY at, channel, issued_at DESC"""
        return (ForecastPoint(*row) for row in self._rows(sql, sensor, start, stop))

    def current_hour_forecasts(
        self, sensor: str, start: int, stop: int
    ) -> dict[int, dict[str, tuple[float, float, float]]]:
        """Return p10, p50, p90 by hour and channel of [start, stop), as issued at the start of each hour."""
        sql = """SELECT at, channel, p10, p50, p90 FROM PRED_VAL_TB WHERE site = ? AND sensor = ?
            AND channel IN ('flow_rate', 'pressure') AND issued_at >= ? AND issued_at < ? AND at = issued_at"""
        forecasts: dict[int, dict[str, tuple[float, float, float]]] = {}
        for at, channel, p10, p50, p90 in self._rows(sql, sensor, start, stop):
            channels = forecasts.setdefault(at, {})
            if p50 is not None:
                channels[channel] = (p10, p50, p90)
        return forecasts

    def hours_without_forecast(self, sensor: str, start: int, stop: int) -> list[int]:
        """Return the hours of [start, stop) with live readings and without a prediction.

        An empty prediction counts as one.
        """
        sql = f"""SELECT h.at FROM HOURLY_VAL_TB h WHERE h.site = ?1 AND h.sensor = ?2 AND h.at >= ?3 AND h.at < ?4
            AND NOT EXISTS (SELECT 1 FROM PRED_VAL_TB p WHERE p.site = ?1 AND p.sensor = ?2
            AND p.channel IN ('flow_rate', 'pressure') AND p.issued_at = h.at AND p.at = h.at)
            AND EXISTS (SELECT 1 FROM REAL_VAL_TB r WHERE r.site = ?1 AND r.sensor = ?2
            AND r.at >= h.at AND r.at < h.at + 3600 AND r.{BELIEVED} AND r.source NOT IN {HISTORY_SOURCES})
            ORDER BY h.at"""
        return [row[0] for row in self._rows(sql, sensor, start, stop)]

    def sensor_states(self, sensor: str) -> list[SensorState]:
        """Return what the services do with a sensor, by service."""
        sql = "SELECT * FROM SENSOR_STATE_TB WHERE site = ? AND sensor = ? ORDER BY service"
        return [self._sensor_state(row) for row in self._named_rows(sql, sensor)]

    def _sensor_state(self, row: dict[str, Any]) -> SensorState:
        flow_rate, pressure = (
            Cadence(interval, row[f"{channel}_late"]) if (interval := row[f"{channel}_interval"]) else None
            for channel in CHANNELS
        )
        return SensorState(
            site=self._site,
            sensor=row["sensor"],
            service=row["service"],
            at=self._local(row["at"]),
            is_active=bool(row["is_active"]),
            since=None if row["since"] is None else self._local(row["since"]),
            text=LocalizedText(row["text_ko"], row["text_en"]),
            flow_rate=flow_rate,
            pressure=pressure,
        )

    def criteria(self, sensor: str) -> list[Criteria]:
        """Return all criteria, oldest first."""
        sql = """SELECT valid_from, learned_from, learned_to, days, limits, profiles FROM CRITERIA_TB
            WHERE site = ? AND sensor = ? ORDER BY valid_from"""
        return [self._criteria(sensor, *row) for row in self._rows(sql, sensor)]

    def anomalies(self, sensor: str, start: int) -> list[Anomaly]:
        """Return the anomalies that were open at `start` or opened later, oldest first."""
        sql = """SELECT * FROM ANOMALY_TB WHERE site = ? AND sensor = ?
            AND (cleared_at IS NULL OR cleared_at >= ?) ORDER BY opened_at"""
        return [self._anomaly(sensor, row) for row in self._named_rows(sql, sensor, start)]

    def anomaly(self, sensor: str, id_: str) -> Anomaly | None:
        """Return an anomaly of a sensor; None if there is none of this id."""
        sql = "SELECT * FROM ANOMALY_TB WHERE site = ? AND sensor = ? AND id = ?"
        return next((self._anomaly(sensor, row) for row in self._named_rows(sql, sensor, id_)), None)

    def anomaly_spans(self, sensor: str, start: int, stop: int) -> list[tuple[int, int]]:
        """Return (opened, cleared), epoch seconds, of the anomalies that overlap [start, stop)."""
        sql = """SELECT opened_at, coalesce(cleared_at, ?3) FROM ANOMALY_TB
            WHERE site = ?1 AND sensor = ?2 AND opened_at < ?3 AND coalesce(cleared_at, ?3) >= ?4 ORDER BY opened_at"""
        return [(opened, cleared) for opened, cleared in self._rows(sql, sensor, stop, start)]

    def _criteria(self, sensor: str, *row: Any) -> Criteria:
        *times, days, limits, profiles = row
        curves = {name: tuple(curve) for name, curve in json.loads(profiles).items()}
        valid_from, start, stop = (self._local(at) for at in times)
        return Criteria(
            site=self._site,
            sensor=sensor,
            valid_from=valid_from,
            learned_from=start,
            learned_to=stop,
            days=days,
            limits=json.loads(limits),
            profiles=curves,
        )

    def _anomaly(self, sensor: str, row: dict[str, Any]) -> Anomaly:
        interval = (row["excess_low_m3h"], row["excess_high_m3h"])
        return Anomaly(
            site=self._site,
            sensor=sensor,
            id=row["id"],
            at=self._local(row["at"]),
            channels=tuple(row["channels"].split(LIST_SEPARATOR)),
            methods=tuple(row["methods"].split(LIST_SEPARATOR)),
            kind=row["kind"],
            trigger=row["trigger"],
            state=row["state"],
            acknowledged=bool(row["acknowledged"]),
            severity=row["severity"],
            opened_at=self._local(row["opened_at"]),
            onset_at=self._local(row["onset_at"]),
            cleared_at=None if row["cleared_at"] is None else self._local(row["cleared_at"]),
            peak=row["peak"],
            excess_m3h=row["excess_m3h"],
            excess_interval_m3h=None if None in interval else interval,
            lost_m3=row["lost_m3"],
            confirmed_cause=row["confirmed_cause"],
            note=row["note"],
            by=row["operator"],
            closed=bool(row["closed"]),
            text=LocalizedText(row["text_ko"], row["text_en"]),
        )


def _forecast(rows: list[tuple[Any, ...]], issued: int) -> Forecast:
    if not rows:
        return Forecast("none")
    by_horizon = {(row[1] - issued) // HOUR: row for row in rows if row[3] is not None}
    if not by_horizon:
        return Forecast(rows[0][5])
    hours = [by_horizon.get(k) for k in range(169)]
    p10, p50, p90 = (tuple(row[index] if row else None for row in hours) for index in (2, 3, 4))
    return Forecast(rows[0][5], p10, p50, p90)


def _series(rows: Iterator[tuple[Any, ...]]) -> Series:
    table = np.array(list(rows), dtype=np.float64).reshape(-1, 3)
    return Series(table[:, 0].astype(np.int64), table[:, 1], table[:, 2])

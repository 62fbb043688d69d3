"""Reads wvr.db, read-only: what services rebuild their memory from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from peewee import SqliteDatabase

from shared.contract.messages import (
    CHANNELS,
    Anomaly,
    Check,
    Criteria,
    FlowChecks,
    Forecast,
    Prediction,
    PressureChecks,
    Reading,
    Sentence,
    Verdict,
)
from shared.domain.series import HOUR, Series
from shared.runtime.service import DAMAGED, Unavailable
from shared.store.schema import APPLIED, later
from shared.store.trouble import ERRORS, hindrance, is_damage

PAST_SOURCES = ("import", "history")
"""Readings from here are learned from, and not judged one by one."""


class History:
    """Stored history of one site; empty while there is no database."""

    def __init__(self, path: Path, zone: ZoneInfo, site: str) -> None:
        self._path, self._zone, self._site = path, zone, site
        self._database: SqliteDatabase | None = None
        self._file = 0

    def sensors(self) -> list[str]:
        """Sensors that have readings."""
        return [row[0] for row in self._rows("SELECT DISTINCT sensor FROM HOURLY_VAL_TB WHERE site = ? ORDER BY 1")]

    def span(self, sensor: str) -> tuple[int, int] | None:
        """First and last reading, epoch seconds."""
        found = list(self._rows("SELECT min(at), max(at) FROM REAL_VAL_TB WHERE site = ? AND sensor = ?", sensor))
        return None if not found or found[0][0] is None else (found[0][0], found[0][1])

    def mark(self) -> tuple[str, int] | None:
        """Up to which number of which spool of ingest all readings are stored."""
        return next(((row[0], row[1]) for row in self._rows("SELECT boot_id, seq FROM STORED_TB WHERE site = ?")), None)

    def whole(self) -> bool:
        """Whether nothing newer is stored than the reading up to which all are there."""
        sql = "SELECT at >= (SELECT max(at) FROM REAL_VAL_TB WHERE site = ?1) FROM STORED_TB WHERE site = ?1"
        return bool(next((row[0] for row in self._rows(sql)), True))

    def debt(self, days: int = 15) -> str:
        """The oldest reading of the newest days without a verdict; empty when there is none."""
        for sensor in self.sensors():
            if span := self.span(sensor):
                for reading in self.unjudged(sensor, span[1] - days * 86_400, span[1] + 1):
                    return f"{sensor} {reading.at.isoformat()}"
        return ""

    def readings(self, sensor: str, start: int, stop: int) -> Series:
        """Readings of [start, stop) epoch seconds in order of time."""
        sql = "SELECT at, flow_rate, pressure FROM REAL_VAL_TB WHERE site = ? AND sensor = ? AND at >= ? AND at < ?"
        table = np.array(list(self._rows(sql, sensor, start, stop)), dtype=np.float64).reshape(-1, 3)
        return Series(table[:, 0].astype(np.int64), table[:, 1], table[:, 2])

    def unjudged(self, sensor: str, start: int, stop: int) -> Iterator[Reading]:
        """Readings of [start, stop) that came live and have no verdict, in order of time."""
        sql = """SELECT r.at, r.flow_rate, r.pressure, r.source FROM REAL_VAL_TB r
            LEFT JOIN OUTLIER_VAL_TB v ON v.site = r.site AND v.sensor = r.sensor AND v.at = r.at
            WHERE r.site = ? AND r.sensor = ? AND r.at >= ? AND r.at < ? AND v.at IS NULL ORDER BY r.at"""
        for at, flow_rate, pressure, source in self._rows(sql, sensor, start, stop):
            if source not in PAST_SOURCES:
                yield Reading(self._site, sensor, self._local(at), flow_rate, pressure, "stored", 0, source)

    def verdicts(self, sensor: str, start: int, stop: int) -> Iterator[Verdict]:
        """Verdicts of [start, stop) in order of time; of their checks only the flags are kept."""
        sql = """SELECT r.at, r.flow_rate, r.pressure, r.source, v.flow_rate_system, v.flow_rate_value,
            v.flow_rate_prediction, v.flow_rate_night, v.pressure_system, v.pressure_value, v.pressure_prediction
            FROM OUTLIER_VAL_TB v JOIN REAL_VAL_TB r ON r.site = v.site AND r.sensor = v.sensor AND r.at = v.at
            WHERE v.site = ? AND v.sensor = ? AND v.at >= ? AND v.at < ? ORDER BY v.at"""
        for at, flow_rate, pressure, source, *flags in self._rows(sql, sensor, start, stop):
            reading = Reading(self._site, sensor, self._local(at), flow_rate, pressure, "stored", 0, source)
            checks = [Check(flag) for flag in flags]
            flow, low = FlowChecks(*checks[:4]), PressureChecks(*checks[4:])
            yield Verdict(self._site, sensor, reading.at, reading, flow, low)

    def last_verdict(self, sensor: str) -> int | None:
        """Newest minute that has a verdict."""
        return self._one("SELECT max(at) FROM OUTLIER_VAL_TB WHERE site = ? AND sensor = ?", sensor)

    def issued(self, sensor: str) -> int | None:
        """When the newest prediction was issued."""
        newest = "SELECT max(issued_at) AS at FROM PRED_VAL_TB WHERE site = ?1 AND sensor = ?2 AND channel ="
        return self._one(f"SELECT max(at) FROM ({newest} 'flow_rate' UNION ALL {newest} 'pressure')", sensor)

    def predictions(self, sensor: str, issued_at: int | None = None) -> Prediction | None:
        """The prediction issued at an hour, or the newest; hours that are no longer kept are None."""
        issued = self.issued(sensor) if issued_at is None else issued_at
        if issued is None:
            return None
        sql = """SELECT channel, at, p10, p50, p90, model FROM PRED_VAL_TB
            WHERE site = ? AND sensor = ? AND channel IN ('flow_rate', 'pressure') AND issued_at = ?"""
        rows = list(self._rows(sql, sensor, issued))
        flow_rate, pressure = (_forecast([row for row in rows if row[0] == channel], issued) for channel in CHANNELS)
        return Prediction(self._site, sensor, self._local(issued), flow_rate, pressure) if rows else None

    def first_hours(self, sensor: str, start: int, stop: int) -> dict[int, dict[str, tuple[float, float, float]]]:
        """p10, p50, p90 by channel of the hours in [start, stop) as predicted when they began."""
        sql = """SELECT at, channel, p10, p50, p90 FROM PRED_VAL_TB WHERE site = ? AND sensor = ?
            AND channel IN ('flow_rate', 'pressure') AND issued_at >= ? AND issued_at < ? AND at = issued_at"""
        found: dict[int, dict[str, tuple[float, float, float]]] = {}
        for at, channel, *quantiles in self._rows(sql, sensor, start, stop):
            found.setdefault(at, {})[channel] = (quantiles[0], quantiles[1], quantiles[2])
        return found

    def criteria(self, sensor: str) -> Criteria | None:
        """The newest criteria."""
        sql = """SELECT valid_from, learned_from, learned_to, days, limits, profiles FROM CRITERIA_TB
            WHERE site = ? AND sensor = ? ORDER BY valid_from DESC LIMIT 1"""
        for valid_from, start, stop, days, limits, profiles in self._rows(sql, sensor):
            curves = {name: tuple(curve) for name, curve in json.loads(profiles).items()}
            times = (self._local(valid_from), self._local(start), self._local(stop))
            return Criteria(self._site, sensor, *times, days, json.loads(limits), curves)
        return None

    def open_anomalies(self, sensor: str) -> list[Anomaly]:
        """Anomalies that are not cleared, oldest first."""
        columns = """id, at, channel, method, kind, state, acknowledged, severity, opened_at, peak, excess_m3h,
            text_ko, text_en"""
        sql = (
            f"SELECT {columns} FROM ANOMALY_TB WHERE site = ? AND sensor = ? AND cleared_at IS NULL ORDER BY opened_at"
        )
        return [self._anomaly(sensor, *row) for row in self._rows(sql, sensor)]

    def anomaly_days(self, sensor: str, start: int, stop: int) -> list[tuple[int, int]]:
        """(opened, cleared) in epoch seconds of the anomalies that touch [start, stop)."""
        sql = """SELECT opened_at, coalesce(cleared_at, ?3) FROM ANOMALY_TB
            WHERE site = ?1 AND sensor = ?2 AND opened_at < ?3 AND coalesce(cleared_at, ?3) >= ?4 ORDER BY opened_at"""
        return [(opened, cleared) for opened, cleared in self._rows(sql, sensor, stop, start)]

    def _anomaly(self, sensor: str, *row: Any) -> Anomaly:
        id_, at, channel, method, kind, state, acknowledged, severity, opened_at, peak, excess, korean, english = row
        times = (self._local(opened_at), None)
        text = Sentence(korean, english)
        return Anomaly(
            self._site, sensor, id_, self._local(at), channel, method, kind, state, bool(acknowledged), severity,
            *times, peak, excess, text,
        )  # fmt: skip

    def _local(self, at: int) -> datetime:
        return datetime.fromtimestamp(at, self._zone)

    def _one(self, sql: str, *keys: Any) -> int | None:
        return next((row[0] for row in self._rows(sql, *keys)), None)

    def _rows(self, sql: str, *keys: Any) -> Iterator[tuple[Any, ...]]:
        try:
            database = self._open()
            return iter(database.execute_sql(sql, (self._site, *keys)).fetchall()) if database else iter(())
        except ERRORS as error:
            self._leave()
            what = DAMAGED if is_damage(error) else hindrance(error, self._path)
            if not what:
                raise
            raise Unavailable(what) from error

    def _open(self) -> SqliteDatabase | None:
        """The database once db_writer has made its tables, also a restored one that took its place.

        A read-only URI never makes an empty file.
        """
        file = self._path.stat().st_ino if self._path.exists() else 0
        if file != self._file:
            self._leave()
        if self._database is None and file:
            database = SqliteDatabase(f"file:{self._path.resolve()}?mode=ro", uri=True, pragmas={"query_only": 1})
            if database.execute_sql("SELECT 1 FROM sqlite_master WHERE name = 'STORED_TB'").fetchone():
                if newer := later([row[0] for row in database.execute_sql(APPLIED)]):
                    database.close()
                    raise Unavailable(newer)
                self._database, self._file = database, file
            else:
                database.close()
        return self._database

    def _leave(self) -> None:
        if self._database:
            self._database.close()
        self._database, self._file = None, 0


def _forecast(rows: list[tuple[Any, ...]], issued: int) -> Forecast:
    if not rows:
        return Forecast("none")
    known = {(row[1] - issued) // HOUR: row for row in rows}
    hours = [known.get(k) for k in range(169)]
    p10, p50, p90 = (tuple(row[place] if row else None for row in hours) for place in (2, 3, 4))
    return Forecast(rows[0][5], p10, p50, p90)

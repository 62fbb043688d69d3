"""Writes wvr.db; a lock file prevents a second writer."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from zoneinfo import ZoneInfo

from peewee import SqliteDatabase

from shared.contract.messages import (
    SCORED_HORIZONS,
    Anomaly,
    Criteria,
    ExpectedDay,
    HistoryBatch,
    Message,
    ModelTrained,
    NightResult,
    Notification,
    Prediction,
    Reading,
    SensorState,
    Verdict,
)
from shared.contract.status_codes import Problem
from shared.domain.high_water_mark import HighWaterMark, SiteMark
from shared.domain.value_ranges import UNBOUNDED, ValueRanges
from shared.store import rows, sensors, writer_lock
from shared.store.retention import delete_expired
from shared.store.rollups import Rollups
from shared.store.sqlite_errors import DATABASE_ERRORS
from shared.store.tables import (
    TABLES,
    Anomalies,
    AnomalyStates,
    HighWater,
    Predictions,
    Readings,
    Scores,
    Verdicts,
    insert_sql,
)
from shared.store.write_connection import WriteConnection

BACKFILL_SOURCE = "outbox"
"""Source of readings from the reporter's blocks, with two decimals. The exact reading replaces them if it arrives."""
_KEY_CONFLICT = f"{insert_sql(Readings, 'ABORT')} ON CONFLICT DO UPDATE SET "
_REPLACE_MINUTE = (
    f"{_KEY_CONFLICT}flow_rate = excluded.flow_rate, pressure = excluded.pressure, "
    "source = excluded.source, clock = excluded.clock"
)
_IS_BACKFILLED = f"REAL_VAL_TB.source = '{BACKFILL_SOURCE}'"
_IS_DOUBTED = "(REAL_VAL_TB.clock = 'doubted' AND excluded.clock != 'doubted')"
"""A reading whose time is believed replaces one whose time is not."""


def _exact_or_first(channel: str) -> str:
    """Return the SQL of a stored value, or of the new one where the stored one is missing, doubted or backfilled."""
    first = f"coalesce(REAL_VAL_TB.{channel}, excluded.{channel})"
    return (
        f"{channel} = CASE WHEN {_IS_DOUBTED} THEN excluded.{channel} "
        f"WHEN {_IS_BACKFILLED} THEN coalesce(excluded.{channel}, {first}) ELSE {first} END"
    )


def _if_replaced(column: str) -> str:
    return (
        f"{column} = CASE WHEN {_IS_DOUBTED} OR {_IS_BACKFILLED} THEN excluded.{column} ELSE REAL_VAL_TB.{column} END"
    )


_INSERT_MINUTE = (
    f"{_KEY_CONFLICT}{_exact_or_first('flow_rate')}, {_exact_or_first('pressure')}, "
    f"{_if_replaced('source')}, {_if_replaced('clock')} "
    f"WHERE {_IS_BACKFILLED} OR {_IS_DOUBTED} OR REAL_VAL_TB.flow_rate IS NULL OR REAL_VAL_TB.pressure IS NULL"
)


class Recorder:
    """The only writer. Every write is one transaction, and writing the same message again changes nothing."""

    def __init__(self, path: Path, zone: ZoneInfo, horizons: Iterable[int], ranges: ValueRanges = UNBOUNDED) -> None:
        """Open, repair or create the database; `ranges` bound what enters means. Raises WriterLockHeld, Unavailable."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._horizons = {0, *SCORED_HORIZONS, *horizons}
        self._rollups = Rollups(zone, ranges)
        self._lock = writer_lock.acquire(path)
        try:
            self._file = WriteConnection(path, zone)
        except BaseException:
            os.close(self._lock)
            raise

    @property
    def repair_problem(self) -> Problem | None:
        """The last repair, until its .txt file is deleted."""
        return self._file.repair_problem

    @property
    def _database(self) -> SqliteDatabase:
        return self._file.database

    def write(self, messages: Sequence[Message], marks: Iterable[SiteMark] = ()) -> None:
        """Store messages and the high-water mark per site in one transaction. Raises Unavailable."""
        by_type: dict[type[Message], list[Message]] = defaultdict(list)
        for message in messages:
            by_type[type(message)].append(message)
        with self._file.transaction():
            for message_type, group in by_type.items():
                self._write_group(message_type, group)
            self._executemany(insert_sql(HighWater), [(site, *mark) for site, mark in marks])

    def high_water_mark(self, site: str) -> HighWaterMark | None:
        """Return the high-water mark of ingest's readings."""
        sql = "SELECT boot_id, seq, at, seen FROM STORED_TB WHERE site = ?"
        row = self._database.execute_sql(sql, (site,)).fetchone()
        return HighWaterMark(*row) if row else None

    def insert_missing(self, verdicts: Sequence[Verdict]) -> int:
        """Store verdicts and readings of minutes without a reading; return how many. Raises Unavailable."""
        with self._file.transaction():
            missing = [verdict for verdict in verdicts if not self._has_reading(verdict)]
            self._write_minutes([rows.reading_row(verdict.reading) for verdict in missing])
            self._executemany(insert_sql(Verdicts, "IGNORE"), [rows.verdict_row(verdict) for verdict in missing])
        return len(missing)

    def newest_reading(self, site: str, sensor: str) -> int | None:
        """Return the newest minute of a sensor, epoch seconds; None if it has no readings."""
        return sensors.newest_reading(self._database, site, sensor)

    def count_shared_minutes(self, site: str, old: str, new: str) -> int:
        """Return the number of minutes for which both sensors have a reading."""
        return sensors.count_shared_minutes(self._database, site, old, new)

    def retire(self, site: str, sensor: str) -> None:
        """Mark a sensor as retired until readings come again. Raises Unavailable."""
        with self._file.transaction():
            sensors.retire(self._database, site, sensor)

    def rename(self, site: str, old: str, new: str) -> None:
        """Give the history of a sensor to another one. Raises Unavailable."""
        with self._file.transaction():
            sensors.rename(self._database, site, old, new)

    def apply_retention(self, now: int, keep: int, step: int = 86_400) -> int:
        """Delete minute rows older than `keep` seconds, at most `step` seconds per sensor; return how many.

        Age counts from `now` or from the sensor's newest reading, whichever is earlier, so that a clock ahead deletes
        nothing.
        """
        with self._file.transaction():
            deleted = delete_expired(self._database.connection(), now, keep, step)
        if deleted:
            with suppress(*DATABASE_ERRORS):
                self._database.execute_sql("PRAGMA incremental_vacuum(500)").fetchall()
        return deleted

    def repair(self) -> None:
        """Replace a damaged database and end the process. Raises Unavailable if it cannot be replaced now."""
        self._file.repair()

    def close(self) -> None:
        """Checkpoint and close the database, and release the writer lock."""
        with suppress(*DATABASE_ERRORS):
            self._database.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        self._database.close()
        os.close(self._lock)

    def _write_group(self, message_type: type[Message], messages: list) -> None:  # type: ignore[type-arg]
        if message_type is Reading:
            self._write_minutes([rows.reading_row(message) for message in messages])
        elif message_type is HistoryBatch:
            for replace, batches in groupby(messages, lambda batch: batch.replace):
                minutes = [row for batch in batches for row in rows.history_rows(batch)]
                self._write_minutes(minutes, _REPLACE_MINUTE if replace else _INSERT_MINUTE)
        elif message_type is Prediction:
            self._write_predictions(messages)
        elif message_type is Anomaly:
            self._executemany(insert_sql(Anomalies), [rows.anomaly_row(message) for message in messages])
            self._executemany(insert_sql(AnomalyStates), [rows.anomaly_state_row(message) for message in messages])
        else:
            self._executemany(insert_sql(TABLES[message_type]), [_ROWS[message_type](message) for message in messages])

    def _write_minutes(self, minutes: list[rows.Row], sql_of_minute: str = _INSERT_MINUTE) -> None:
        self._executemany(sql_of_minute, minutes)
        for sql, keys in self._rollups.updates_for(minutes):
            self._executemany(sql, keys)

    def _write_predictions(self, predictions: list[Prediction]) -> None:
        """Write the newest prediction of a sensor first.

        It thins the previous one; backfilled ones are stored thin.
        """
        seen: set[tuple[str, str]] = set()
        for prediction in sorted(predictions, key=lambda item: item.issued_at, reverse=True):
            key = (prediction.site, prediction.sensor)
            all_horizons = key not in seen and self._keep_horizons_only(*key, rows.epoch_seconds(prediction.issued_at))
            seen.add(key)
            self._executemany(
                insert_sql(Predictions), rows.prediction_rows(prediction, None if all_horizons else self._horizons)
            )
            self._executemany(insert_sql(Scores), rows.score_rows(prediction))

    def _keep_horizons_only(self, site: str, sensor: str, issued: int) -> bool:
        """Keep only the configured horizons of the newest forecast; False if it is newer than `issued`."""
        where = "FROM PRED_VAL_TB WHERE site = ? AND sensor = ? AND channel = ? "
        for channel in ("flow_rate", "pressure"):
            key = (site, sensor, channel)
            last = self._database.execute_sql(f"SELECT max(issued_at) {where}", key).fetchone()[0]
            if last is not None and last > issued:
                return False
            if last is not None and last < issued:
                retained = ",".join(str(last + hours * 3600) for hours in sorted(self._horizons))
                self._database.execute_sql(f"DELETE {where} AND issued_at = ? AND at NOT IN ({retained})", (*key, last))
        return True

    def _has_reading(self, verdict: Verdict) -> bool:
        sql = "SELECT 1 FROM REAL_VAL_TB WHERE site = ? AND sensor = ? AND at = ?"
        key = (verdict.site, verdict.sensor, rows.epoch_seconds(verdict.at))
        return self._database.execute_sql(sql, key).fetchone() is not None

    def _executemany(self, sql: str, values: Iterable[rows.Row]) -> None:
        self._database.connection().executemany(sql, values)


_ROWS: dict[type[Message], Callable[..., rows.Row]] = {
    Verdict: rows.verdict_row,
    Criteria: rows.criteria_row,
    ModelTrained: rows.model_row,
    SensorState: rows.sensor_state_row,
    ExpectedDay: rows.expected_day_row,
    NightResult: rows.night_row,
    Notification: rows.notification_row,
}

"""Writes wvr.db; a lock file beside it makes a second writer impossible."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from zoneinfo import ZoneInfo

from peewee import SqliteDatabase

from shared.contract.messages import (
    SCORED_HORIZONS,
    Anomaly,
    Criteria,
    HistoryBatch,
    Message,
    ModelTrained,
    Prediction,
    Reading,
    Verdict,
)
from shared.store import rows, writer_lock
from shared.store.retention import delete_expired
from shared.store.rollups import Rollups
from shared.store.sqlite_errors import DATABASE_ERRORS
from shared.store.tables import TABLES, HighWater, Predictions, Readings, Scores, Verdicts, insert_sql
from shared.store.write_connection import WriteConnection

HighWaterMark = tuple[str, int, int, int]
"""boot_id, seq and minute (epoch seconds) of the last reading up to which all are stored; newest seq known of."""
BACKFILL_SOURCE = "outbox"
"""Source of readings taken from the reporter's blocks: two decimals. The exact one replaces it, if it still comes."""
_INSERT_MINUTE = (
    f"{insert_sql(Readings, 'ABORT')} ON CONFLICT DO UPDATE SET flow_rate = excluded.flow_rate, "
    f"pressure = excluded.pressure, source = excluded.source WHERE REAL_VAL_TB.source = '{BACKFILL_SOURCE}'"
)


class Recorder:
    """The one writer. Every write is one transaction, and writing the same message again changes nothing."""

    def __init__(self, path: Path, zone: ZoneInfo, horizons: Iterable[int]) -> None:
        """Opens, mends or makes the database. Raises SecondWriter, Unavailable."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._horizons = {0, *SCORED_HORIZONS, *horizons}
        self._rollups = Rollups(zone)
        self._lock = writer_lock.acquire(path)
        try:
            self._file = WriteConnection(path, zone)
        except BaseException:
            os.close(self._lock)
            raise

    @property
    def repair_text(self) -> str:
        """What the operator must know of a repair, until its .txt is deleted."""
        return self._file.repair_text

    @property
    def _database(self) -> SqliteDatabase:
        return self._file.database

    def write(self, messages: Sequence[Message], marks: Iterable[tuple[str, HighWaterMark]] = ()) -> None:
        """Stores messages, and per site the mark, in one transaction. Raises Unavailable when it can't be had now."""
        kinds: dict[type[Message], list[Message]] = defaultdict(list)
        for message in messages:
            kinds[type(message)].append(message)
        with self._file.transaction():
            for kind, same in kinds.items():
                self._write_kind(kind, same)
            self._executemany(insert_sql(HighWater), [(site, *mark) for site, mark in marks])

    def high_water_mark(self, site: str) -> HighWaterMark | None:
        """How far the readings of ingest are stored."""
        sql = "SELECT boot_id, seq, at, seen FROM STORED_TB WHERE site = ?"
        found = self._database.execute_sql(sql, (site,)).fetchone()
        return (found[0], found[1], found[2], found[3]) if found else None

    def insert_missing(self, verdicts: Sequence[Verdict]) -> int:
        """Stores verdicts with their readings where no reading is stored; returns how many. Raises Unavailable."""
        with self._file.transaction():
            lacking = [verdict for verdict in verdicts if not self._has_reading(verdict)]
            self._write_minutes([rows.reading_row(verdict.reading) for verdict in lacking])
            self._executemany(insert_sql(Verdicts, "IGNORE"), [rows.verdict_row(verdict) for verdict in lacking])
        return len(lacking)

    def apply_retention(self, now: int, keep: int, step: int = 86_400) -> int:
        """Deletes minute rows more than `keep` seconds old, at most `step` seconds of each sensor; returns how many.

        Age counts from `now` or from the sensor's newest reading, whichever is earlier, so a clock that runs ahead
        deletes nothing.
        """
        with self._file.transaction():
            deleted = delete_expired(self._database.connection(), now, keep, step)
        if deleted:
            with suppress(*DATABASE_ERRORS):
                self._database.execute_sql("PRAGMA incremental_vacuum(500)").fetchall()
        return deleted

    def repair(self) -> None:
        """Replaces a damaged database, and then ends the process. Raises Unavailable when that can't be done now."""
        self._file.repair()

    def close(self) -> None:
        """Closes the database, whole in its one file, and lets the next writer in."""
        with suppress(*DATABASE_ERRORS):
            self._database.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        self._database.close()
        os.close(self._lock)

    def _write_kind(self, kind: type[Message], messages: list) -> None:  # type: ignore[type-arg]
        if kind is Reading:
            self._write_minutes([rows.reading_row(message) for message in messages])
        elif kind is HistoryBatch:
            self._write_minutes([row for message in messages for row in rows.history_rows(message)])
        elif kind is Prediction:
            self._write_predictions(messages)
        else:
            self._executemany(insert_sql(TABLES[kind]), [_ROWS[kind](message) for message in messages])

    def _write_minutes(self, minutes: list[rows.Row]) -> None:
        self._executemany(_INSERT_MINUTE, minutes)
        for sql, keys in self._rollups.updates_for(minutes):
            self._executemany(sql, keys)

    def _write_predictions(self, predictions: list[Prediction]) -> None:
        """The newest of a sensor goes first: it thins the one that was newest, and those made up for come thin."""
        seen: set[tuple[str, str]] = set()
        for prediction in sorted(predictions, key=lambda one: one.issued_at, reverse=True):
            key = (prediction.site, prediction.sensor)
            whole = key not in seen and self._keep_horizons_only(*key, rows.epoch_seconds(prediction.issued_at))
            seen.add(key)
            self._executemany(
                insert_sql(Predictions), rows.prediction_rows(prediction, None if whole else self._horizons)
            )
            self._executemany(insert_sql(Scores), rows.score_rows(prediction))

    def _keep_horizons_only(self, site: str, sensor: str, issued: int) -> bool:
        """Keeps of the forecast that was newest only the horizons; False when a newer one than `issued` is stored."""
        where = "FROM PRED_VAL_TB WHERE site = ? AND sensor = ? AND channel = ? "
        for channel in ("flow_rate", "pressure"):
            key = (site, sensor, channel)
            last = self._database.execute_sql(f"SELECT max(issued_at) {where}", key).fetchone()[0]
            if last is not None and last > issued:
                return False
            if last is not None and last < issued:
                kept = ",".join(str(last + hours * 3600) for hours in sorted(self._horizons))
                self._database.execute_sql(f"DELETE {where} AND issued_at = ? AND at NOT IN ({kept})", (*key, last))
        return True

    def _has_reading(self, verdict: Verdict) -> bool:
        sql = "SELECT 1 FROM REAL_VAL_TB WHERE site = ? AND sensor = ? AND at = ?"
        key = (verdict.site, verdict.sensor, rows.epoch_seconds(verdict.at))
        return self._database.execute_sql(sql, key).fetchone() is not None

    def _executemany(self, sql: str, values: Iterable[rows.Row]) -> None:
        self._database.connection().executemany(sql, values)


_ROWS: dict[type[Message], Callable[..., rows.Row]] = {
    Verdict: rows.verdict_row,
    Anomaly: rows.anomaly_row,
    Criteria: rows.criteria_row,
    ModelTrained: rows.model_row,
}

"""Writes wvr.db; a lock file beside it makes a second writer impossible."""

from __future__ import annotations

import fcntl
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from zoneinfo import ZoneInfo

from peewee import OperationalError, SqliteDatabase
from playhouse import migrations

from shared.contract.messages import (
    Anomaly,
    Criteria,
    History,
    Message,
    ModelTrained,
    Prediction,
    Reading,
    Verdict,
)
from shared.runtime.service import Unavailable
from shared.store import rows
from shared.store.summaries import Summaries
from shared.store.tables import TABLES, HighWater, Predictions, Readings, Verdicts, ZoneOffsets, put
from shared.store.zone import offsets

PRAGMAS = {
    "auto_vacuum": "INCREMENTAL",
    "journal_mode": "WAL",
    "synchronous": "FULL",
    "foreign_keys": 1,
    "busy_timeout": 2000,
    "cache_size": -32_000,
}
Mark = tuple[str, int, int]
"""boot_id, seq and minute (epoch seconds) of the last reading up to which all are stored."""


class SecondWriter(Exception):
    """Another process writes this database."""


class Recorder:
    """The one writer. Every write is one transaction, and writing the same message again changes nothing."""

    def __init__(self, path: Path, zone: ZoneInfo, horizons: Iterable[int]) -> None:
        """Opens or makes the database. Raises SecondWriter."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = _lock(path.with_suffix(".lock"))
        self._database = SqliteDatabase(str(path), pragmas=PRAGMAS)
        self._horizons = set(horizons)
        self._summaries = Summaries(zone)
        migrations.run(self._database, str(Path(__file__).parent / "migrations"))
        with self._database.atomic("IMMEDIATE"):
            self._database.execute_sql("DELETE FROM ZONE_TB")
            self._many(put(ZoneOffsets), offsets(zone))

    def write(self, messages: Sequence[Message], marks: Iterable[tuple[str, Mark]] = ()) -> None:
        """Stores messages, and per site the mark, in one transaction. Raises Unavailable when it can't be had now."""
        kinds: dict[type[Message], list[Message]] = defaultdict(list)
        for message in messages:
            kinds[type(message)].append(message)
        try:
            with self._database.atomic("IMMEDIATE"):
                for kind, same in kinds.items():
                    self._write_kind(kind, same)
                self._many(put(HighWater), [(site, *mark) for site, mark in marks])
        except OperationalError as error:
            raise Unavailable(_plain(error)) from error

    def mark(self, site: str) -> Mark | None:
        """How far the readings of ingest are stored."""
        found = self._database.execute_sql("SELECT boot_id, seq, at FROM STORED_TB WHERE site = ?", (site,)).fetchone()
        return (found[0], found[1], found[2]) if found else None

    def forget_minutes(self, now: int, keep: int, step: int = 86_400) -> int:
        """Deletes minute rows more than `keep` seconds old, at most `step` seconds of each sensor; returns how many.

        Age counts from `now` or from the sensor's newest reading, whichever is earlier, so a clock that runs ahead
        deletes nothing.
        """
        try:
            with self._database.atomic("IMMEDIATE"):
                deleted = sum(self._forget(table._meta.table_name, now, keep, step) for table in (Readings, Verdicts))
            if deleted:
                self._database.execute_sql("PRAGMA incremental_vacuum(500)").fetchall()
        except OperationalError as error:
            raise Unavailable(_plain(error)) from error
        return deleted

    def close(self) -> None:
        """Closes the database, whole in its one file, and lets the next writer in."""
        self._database.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        self._database.close()
        os.close(self._lock)

    def _write_kind(self, kind: type[Message], messages: list) -> None:  # type: ignore[type-arg]
        if kind is Reading:
            self._write_minutes([rows.reading_row(message) for message in messages])
        elif kind is History:
            self._write_minutes([row for message in messages for row in rows.history_rows(message)])
        elif kind is Prediction:
            self._write_predictions(messages)
        else:
            self._many(put(TABLES[kind]), [_ROWS[kind](message) for message in messages])

    def _write_minutes(self, minutes: list[rows.Row]) -> None:
        self._many(put(Readings, "IGNORE"), minutes)
        for sql, keys in self._summaries.refresh(minutes):
            self._many(sql, keys)

    def _write_predictions(self, predictions: list[Prediction]) -> None:
        newest = {(prediction.site, prediction.sensor): prediction for prediction in predictions}
        for prediction in predictions:
            key = (prediction.site, prediction.sensor)
            whole = newest[key] is prediction and self._thin_older(*key, rows.seconds(prediction.issued_at))
            self._many(put(Predictions), rows.prediction_rows(prediction, None if whole else self._horizons))

    def _thin_older(self, site: str, sensor: str, issued: int) -> bool:
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

    def _forget(self, table: str, now: int, keep: int, step: int) -> int:
        deleted = 0
        for site, sensor in self._database.execute_sql("SELECT DISTINCT site, sensor FROM HOURLY_VAL_TB").fetchall():
            span = f"SELECT min(at), (SELECT max(at) FROM REAL_VAL_TB WHERE site = ?1 AND sensor = ?2) FROM {table} "
            where = "WHERE site = ?1 AND sensor = ?2"
            first, last = self._database.execute_sql(span + where, (site, sensor)).fetchone()
            if first is not None and last is not None and first < (before := min(now, last) - keep):
                key = (site, sensor, min(before, first + step))
                deleted += self._database.execute_sql(f"DELETE FROM {table} {where} AND at < ?3", key).rowcount
        return deleted

    def _many(self, sql: str, values: Iterable[rows.Row]) -> None:
        self._database.connection().executemany(sql, values)


_ROWS: dict[type[Message], Callable[..., rows.Row]] = {
    Verdict: rows.verdict_row,
    Anomaly: rows.anomaly_row,
    Criteria: rows.criteria_row,
    ModelTrained: rows.model_row,
}


def _lock(path: Path) -> int:
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o640)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = path.read_text(encoding="ascii").strip()
        os.close(handle)
        raise SecondWriter(f"{path}: process {holder} already writes this database") from None
    os.ftruncate(handle, 0)
    os.write(handle, f"{os.getpid()}\n".encode("ascii"))
    return handle


def _plain(error: OperationalError) -> str:
    text = str(error)
    if "locked" in text or "busy" in text:
        return "the database is locked by another program; readings wait until it lets go"
    if "full" in text:
        return "the disk is full; readings wait until there is space"
    return f"the database can't be written now: {text}"

"""What stored history says of the lines that reporter lacks: it was away, or the broker forgot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Protocol
from zoneinfo import ZoneInfo

from services.reporter.text import minute as minute_of
from services.reporter.text import time_of
from shared.contract.messages import FlowChecks, Prediction, PressureChecks, Reading, Tick, Verdict
from shared.domain.series import DAY, HOUR, MINUTE


class Past(Protocol):
    """Stored history, read-only; epoch seconds, stop is exclusive."""

    def sensors(self) -> list[str]: ...
    def mark(self) -> tuple[str, int] | None: ...
    def whole(self) -> bool: ...
    def span(self, sensor: str) -> tuple[int, int] | None: ...
    def issued(self, sensor: str) -> int | None: ...
    def unforecast(self, sensor: str, start: int, stop: int) -> list[int]: ...
    def last_verdict(self, sensor: str) -> int | None: ...
    def unjudged(self, sensor: str, start: int, stop: int) -> Iterator[Reading]: ...
    def verdicts(self, sensor: str, start: int, stop: int) -> Iterator[Verdict]: ...
    def predictions(self, sensor: str, issued_at: int | None = None) -> Prediction | None: ...


class Owed:
    """Looks up lines by block, and by the place of a minute."""

    def __init__(self, past: Past, zone: ZoneInfo, days: int) -> None:
        self._past, self._zone, self._days = past, zone, days

    def after(self, block: str) -> Iterator[Verdict | Prediction]:
        """The verdicts of all sensors after a block in order of time, each full hour behind its prediction; then the

        predictions of hours to come.
        """
        found: list[Verdict] = []
        for sensor in self._past.sensors():
            newest = self._past.last_verdict(sensor)
            if newest is not None:
                begin = self._end(block) if block else 0
                found += self._past.verdicts(sensor, max(begin, newest - self._days * DAY), newest + 1)
        yield from self._in_order(found)
        for sensor in self._past.sensors():
            yield from self._ahead(sensor)

    def sensors(self) -> set[str]:
        return set(self._past.sensors())

    def between(self, sent: str, block: str) -> tuple[Sequence[Verdict | Prediction], bool]:
        """What `after` gives, up to another block, and whether it is final.

        Not while a reading there is not judged, or none of the other block is stored yet.
        """
        stop = self._at(f"{block}0")
        span = (max(self._end(sent), stop - self._days * DAY), stop)
        sensors = self._past.sensors()
        found = [verdict for sensor in sensors for verdict in self._past.verdicts(sensor, *span)]
        unjudged = any(True for sensor in sensors for _ in self._past.unjudged(sensor, *span))
        reached = any(known[1] >= stop for sensor in sensors if (known := self._past.span(sensor)))
        return list(self._in_order(found)), reached and not unjudged

    def lacks(self, tick: Tick) -> bool:
        """Whether readings are missing in history: known of, or sent before a tick."""
        boot_id, seq = self._past.mark() or ("", -1)
        return not self._past.whole() or tick.seq > (seq if tick.boot_id == boot_id else -1)

    def _in_order(self, verdicts: list[Verdict]) -> Iterator[Verdict | Prediction]:
        for verdict in sorted(verdicts, key=lambda one: (one.at, one.sensor)):
            if verdict.at.minute == 0 and (known := self._past.predictions(verdict.sensor, _seconds(verdict.at))):
                yield known
            yield verdict

    def _end(self, block: str) -> int:
        return self._at(f"{block}0") + 10 * MINUTE

    def last(self) -> str:
        """A minute that no block which was sent can be behind: a day after the newest stored verdict; empty without."""
        newest = max((self._past.last_verdict(sensor) or 0 for sensor in self._past.sensors()), default=0)
        return minute_of(datetime.fromtimestamp(newest + DAY, self._zone)) if newest else ""

    def minute(self, sensor: str, minute: str) -> tuple[Verdict | None, bool]:
        """The stored verdict of a minute, and whether it is final.

        Not final: its reading is stored and not judged yet (a verdict without flags).
        """
        at = self._at(minute)
        for verdict in self._past.verdicts(sensor, at, at + MINUTE):
            return verdict, True
        for reading in self._past.unjudged(sensor, at, at + MINUTE):
            return Verdict(reading.site, sensor, reading.at, reading, FlowChecks(), PressureChecks()), False
        return None, True

    def forecast(self, sensor: str, minute: str) -> tuple[Prediction | None, bool]:
        """The stored prediction of a full hour, and whether it is final: not while the hour's readings lack it."""
        at = self._at(minute)
        found = self._past.predictions(sensor, at)
        return found, found is not None or not self._past.unforecast(sensor, at, at + HOUR)

    def _ahead(self, sensor: str) -> Iterator[Prediction]:
        """Predictions of hours whose verdicts are still to come: in a backlog the forecaster is far ahead."""
        newest, issued = self._past.last_verdict(sensor), self._past.issued(sensor)
        if newest is not None and issued is not None:
            for hour in range(newest // HOUR * HOUR, issued + 1, HOUR):
                if known := self._past.predictions(sensor, hour):
                    yield known

    def _at(self, minute: str) -> int:
        return _seconds(time_of(minute, self._zone))


class NothingOwed:
    """For a replay: nothing is ever lost."""

    def last(self) -> str:
        return ""

    def after(self, block: str) -> Sequence[Verdict | Prediction]:  # noqa: ARG002
        return ()

    def sensors(self) -> set[str]:
        return set()

    def between(self, sent: str, block: str) -> tuple[Sequence[Verdict | Prediction], bool]:  # noqa: ARG002
        return (), True

    def lacks(self, tick: Tick) -> bool:  # noqa: ARG002
        return False

    def minute(self, sensor: str, minute: str) -> tuple[Verdict | None, bool]:  # noqa: ARG002
        return None, True

    def forecast(self, sensor: str, minute: str) -> tuple[Prediction | None, bool]:  # noqa: ARG002
        return None, True


def _seconds(at: datetime) -> int:
    return int(at.timestamp())

"""What stored history says of the blocks that reporter has not written: it was away, or the broker forgot."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Protocol
from zoneinfo import ZoneInfo

from services.reporter.text import minute
from shared.contract.messages import Prediction, Verdict
from shared.domain.series import DAY, HOUR, MINUTE

Owed = Callable[[str], Iterator[Verdict | Prediction]]


class Past(Protocol):
    """Stored history, read-only; epoch seconds, stop is exclusive."""

    def sensors(self) -> list[str]: ...
    def issued(self, sensor: str) -> int | None: ...
    def last_verdict(self, sensor: str) -> int | None: ...
    def verdicts(self, sensor: str, start: int, stop: int) -> Iterator[Verdict]: ...
    def predictions(self, sensor: str, issued_at: int | None = None) -> Prediction | None: ...


def owed_since(past: Past, zone: ZoneInfo, days: int) -> Owed:
    """Gives, after a block, the verdicts of all sensors in order of time, each full hour behind its prediction;

    then the predictions of hours to come.
    """

    def owed(block: str) -> Iterator[Verdict | Prediction]:
        found: list[Verdict] = []
        for sensor in past.sensors():
            newest = past.last_verdict(sensor)
            if newest is not None:
                start = max(_end(block, zone), newest - days * DAY)
                found += past.verdicts(sensor, start, newest + 1)
        for verdict in sorted(found, key=lambda one: (one.at, one.sensor)):
            if verdict.at.minute == 0 and (known := past.predictions(verdict.sensor, int(verdict.at.timestamp()))):
                yield known
            yield verdict
        for sensor in past.sensors():
            yield from _ahead(past, sensor)

    return owed


def believable_until(past: Past, zone: ZoneInfo) -> str:
    """A minute that no block which was sent can be behind: a day after the newest stored verdict; empty without any."""
    newest = max((past.last_verdict(sensor) or 0 for sensor in past.sensors()), default=0)
    return minute(datetime.fromtimestamp(newest + DAY, zone)) if newest else ""


def _ahead(past: Past, sensor: str) -> Iterator[Prediction]:
    """Predictions of hours whose verdicts are still to come: in a backlog the forecaster is far ahead."""
    newest, issued = past.last_verdict(sensor), past.issued(sensor)
    if newest is not None and issued is not None:
        for hour in range(newest // HOUR * HOUR, issued + 1, HOUR):
            if known := past.predictions(sensor, hour):
                yield known


def _end(block: str, zone: ZoneInfo) -> int:
    """Where the minutes after a block begin, epoch seconds; 0 before the first block."""
    return int(datetime.fromisoformat(f"{block}0").replace(tzinfo=zone).timestamp()) + 10 * MINUTE if block else 0

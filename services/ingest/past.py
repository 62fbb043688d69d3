"""What a first start owes to the past: the simulator's year of history."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

from services.ingest.minutes import FIRST_YEAR
from services.ingest.sources.simulator import Simulator, simulator
from shared.contract.messages import HistoryBatch, HistoryMinute
from shared.domain.series import DAY, MINUTE
from shared.runtime.files import write_whole
from shared.runtime.service import Unavailable
from shared.settings import Settings

PART = 5000
"""Minutes in one message."""


class NoPast:
    """Nothing is owed."""

    def __iter__(self) -> Iterator[HistoryBatch]:
        return iter(())

    def done(self) -> None:
        pass


class SimulatedPast:
    """The days before a first start; sent again whole if they were interrupted."""

    def __init__(self, site: Simulator, name: str, days: int, now: Callable[[], datetime], mark: Path) -> None:
        self._site, self._name, self._days, self._now, self._mark = site, name, days, now, mark
        self._start = self._stop = 0
        self._owed = days > 0 and not mark.exists()

    def __iter__(self) -> Iterator[HistoryBatch]:
        """Raises Unavailable while the clock is surely wrong: the past would not reach up to the present."""
        if not self._owed:
            return
        if (now := self._now()).year < FIRST_YEAR:
            raise Unavailable(f"this machine's clock says {now:%Y-%m-%d}; the simulator waits until it is set")
        self._stop = int(now.timestamp()) // MINUTE * MINUTE
        self._start = self._stop - self._days * DAY
        spans = [
            (sensor, start) for sensor in self._site.sensors for start in range(self._start, self._stop, PART * MINUTE)
        ]
        for number, (sensor, start) in enumerate(spans, 1):
            minutes = tuple(self._minutes(sensor, start, min(start + PART * MINUTE, self._stop)))
            yield HistoryBatch(self._name, sensor, "history", number, len(spans), minutes)

    def done(self) -> None:
        if self._owed:
            self._owed = False
            self._mark.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self._mark, f"{self._start} {self._stop}\n")

    def _minutes(self, sensor: str, start: int, stop: int) -> Iterator[HistoryMinute]:
        series = self._site.history(sensor, start, stop)
        columns = (series.at.tolist(), series.flow_rate.tolist(), series.pressure.tolist())
        for at, flow_rate, pressure in zip(*columns, strict=True):
            yield datetime.fromtimestamp(at, self._site.zone), flow_rate, pressure


def simulated_past(settings: Settings, now: Callable[[], datetime]) -> SimulatedPast | NoPast:
    """The past of a site whose source is the simulator."""
    if settings.ingest.source != "simulator":
        return NoPast()
    days = settings.simulator.history_days
    return SimulatedPast(simulator(settings), settings.site.name, days, now, settings.data / "spool" / "history.sent")

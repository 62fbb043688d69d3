"""The history that a first start publishes: the simulator's year before now."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

from services.ingest.sources.simulator import Simulator, make_simulator
from services.ingest.tick_clock import MIN_YEAR
from shared.contract.messages import HistoryBatch, HistoryMinute
from shared.contract.service import Unavailable
from shared.contract.status_codes import problem
from shared.domain.series import DAY, MINUTE
from shared.runtime.safe_files import write_atomic
from shared.settings import Settings

CHUNK_MINUTES = 5000
"""Minutes in one message."""


class NoInitialHistory:
    """Null object: the site has no initial history."""

    def __iter__(self) -> Iterator[HistoryBatch]:
        return iter(())

    def mark_sent(self) -> None:
        pass


class SimulatedHistory:
    """The simulated days before the first start. An interrupted run sends all of them again."""

    def __init__(self, simulator: Simulator, name: str, days: int, now: Callable[[], datetime], mark: Path) -> None:
        self._simulator, self._name, self._days, self._now, self._mark = simulator, name, days, now, mark
        self._start = self._stop = 0
        self._pending = days > 0 and not mark.exists()

    def __iter__(self) -> Iterator[HistoryBatch]:
        """Yield the history in chunks of CHUNK_MINUTES.

        Raises Unavailable while the machine's clock is certainly wrong: the history would not end at the present.
        """
        if not self._pending:
            return
        if (now := self._now()).year < MIN_YEAR:
            raise Unavailable(problem("clock_unset", date=f"{now:%Y-%m-%d}"))
        self._stop = int(now.timestamp()) // MINUTE * MINUTE
        self._start = self._stop - self._days * DAY
        chunks = [
            (sensor, start)
            for sensor in self._simulator.sensors
            for start in range(self._start, self._stop, CHUNK_MINUTES * MINUTE)
        ]
        for number, (sensor, start) in enumerate(chunks, 1):
            minutes = tuple(self._chunk(sensor, start, min(start + CHUNK_MINUTES * MINUTE, self._stop)))
            yield HistoryBatch(
                site=self._name, sensor=sensor, source="history", part=number, of=len(chunks), minutes=minutes
            )

    def mark_sent(self) -> None:
        if self._pending:
            self._pending = False
            self._mark.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(self._mark, f"{self._start} {self._stop}\n")

    def _chunk(self, sensor: str, start: int, stop: int) -> Iterator[HistoryMinute]:
        series = self._simulator.history(sensor, start, stop)
        columns = (series.at.tolist(), series.flow_rate.tolist(), series.pressure.tolist())
        for at, flow_rate, pressure in zip(*columns, strict=True):
            yield datetime.fromtimestamp(at, self._simulator.zone), flow_rate, pressure


def initial_history(settings: Settings, now: Callable[[], datetime]) -> SimulatedHistory | NoInitialHistory:
    """Return the initial history of the configured source."""
    if settings.live_source != "simulator":
        return NoInitialHistory()
    days = settings.simulator.history_days
    return SimulatedHistory(
        make_simulator(settings), settings.site.name, days, now, settings.data / "spool" / "history.sent"
    )

"""The history that a first start publishes: the simulator's year before now."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

from services.ingest.sources.simulator import Simulator, make_simulator
from services.ingest.tick_clock import MIN_YEAR
from shared.contract.messages import HISTORY_PART_MINUTES, HistoryAnswer, HistoryBatch, HistoryMinute
from shared.contract.service import Unavailable
from shared.contract.status_codes import problem
from shared.domain.series import DAY, MINUTE
from shared.runtime.history_sender import HistorySender
from shared.runtime.log import log
from shared.runtime.safe_files import write_atomic
from shared.settings import Settings

PART_SECONDS = HISTORY_PART_MINUTES * MINUTE


class NoInitialHistory:
    """Null object: the site has no initial history."""

    def next_parts(self) -> Iterator[HistoryBatch]:
        return iter(())

    def on_answer(self, answer: HistoryAnswer) -> None:
        pass

    def on_minute(self) -> None:
        pass


class SimulatedHistory:
    """The simulated days before the first start. An interrupted run sends all of them again."""

    def __init__(self, simulator: Simulator, name: str, days: int, now: Callable[[], datetime], mark: Path) -> None:
        """`mark` is the file that says that all is stored."""
        self._simulator, self._name, self._days, self._now, self._mark = simulator, name, days, now, mark
        self._start = self._stop = 0
        self._pending = days > 0 and not mark.exists()
        self._sender: HistorySender | None = None

    def next_parts(self) -> Iterator[HistoryBatch]:
        """Yield the parts that are due now.

        Raises Unavailable while the machine's clock is certainly wrong: the history would not end at the present.
        """
        if self._pending:
            self._sender = self._sender or self._make_sender()
            yield from self._sender.next_parts()

    def on_answer(self, answer: HistoryAnswer) -> None:
        """Record an answer; after the last one, the next start does not send the history again."""
        if self._sender is None or not self._sender.on_answer(answer):
            return
        if not answer.stored:
            log("ingest", "history_part_rejected", logging.ERROR, part=answer.part, reason=answer.reason.en)
        if self._sender.is_complete:
            self._pending, self._sender = False, None
            self._mark.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(self._mark, f"{self._start} {self._stop}\n")

    def on_minute(self) -> None:
        """Count a minute without an answer."""
        if self._sender and (lost := self._sender.on_round()):
            log("ingest", "history_sent_again", logging.WARNING, parts=lost, of=self._sender.parts)

    def _make_sender(self) -> HistorySender:
        if (now := self._now()).year < MIN_YEAR:
            raise Unavailable(problem("clock_unset", date=f"{now:%Y-%m-%d}"))
        self._stop = int(now.timestamp()) // MINUTE * MINUTE
        self._start = self._stop - self._days * DAY
        return HistorySender(len(self._simulator.sensors) * self._parts_of_a_sensor(), self._make_part)

    def _parts_of_a_sensor(self) -> int:
        return -(-self._days * DAY // PART_SECONDS)

    def _make_part(self, number: int, transfer: str) -> HistoryBatch:
        index, part = divmod(number - 1, self._parts_of_a_sensor())
        sensor, start = self._simulator.sensors[index], self._start + part * PART_SECONDS
        return HistoryBatch(
            site=self._name,
            sensor=sensor,
            source="history",
            part=number,
            of=len(self._simulator.sensors) * self._parts_of_a_sensor(),
            minutes=tuple(self._minutes(sensor, start, min(start + PART_SECONDS, self._stop))),
            transfer=transfer,
        )

    def _minutes(self, sensor: str, start: int, stop: int) -> Iterator[HistoryMinute]:
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

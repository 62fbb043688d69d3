"""Writes what the receivers on site read: alert.txt each minute, server.txt each ten minutes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import ClassVar, Protocol

from services.reporter.blocks import Blocks, block_of
from services.reporter.text import alert_line, alert_part, forecast_columns, known_line, minute, missing_line
from shared.contract.messages import Anomaly, Message, Prediction, Tick, Verdict

MINUTE = timedelta(minutes=1)
MOST_HOURS = 24 * 60
BEHIND = timedelta(minutes=10)
"""A sensor that still speaks, of minutes so long ago, is catching up: its next lines are on their way."""


class Folder(Protocol):
    """data/sensor/: texts by name."""

    def write(self, name: str, text: str) -> None:
        """Replaces a file as a whole."""
        ...

    def read(self, name: str) -> str:
        """The text of a file, empty when it isn't there."""
        ...

    def prune_outbox(self, before: str) -> None:
        """Deletes the blocks whose file name sorts before a name."""
        ...


class Reporter:
    """Collects the lines of each minute; a minute without a reading gets its line when the next one has closed."""

    name: ClassVar[str] = "reporter"
    consumes: ClassVar[tuple[type[Message], ...]] = (Verdict, Prediction, Anomaly, Tick)
    produces: ClassVar[tuple[type[Message], ...]] = ()
    commands: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        folder: Folder,
        horizons_hours: Sequence[int],
        outbox_days: int,
        owed: Callable[[str], Iterable[Verdict | Prediction]] = lambda _: (),
        believable_until: Callable[[], str] = str,
    ) -> None:
        """`owed`: stored verdicts and predictions after a block, in order of time.

        `believable_until`: the last minute that can have been sent, by what is stored; empty when nothing is.
        """
        self._owed, self._believable_until = owed, believable_until
        self._folder, self._hours, self._kept = folder, horizons_hours, timedelta(days=outbox_days)
        self._alerts: dict[str, tuple[str, str]] = {}
        self._first_blocks: dict[str, str] = {}
        self._blocks = Blocks()
        self._full_hours: dict[str, Verdict] = {}
        self._forecasts: dict[str, dict[str, str]] = {}
        """sensor to full hour to the columns of its forecast, the newest hours only."""
        self._silent: set[str] = set()
        self._heard: set[str] = set()
        """Sensors with a verdict since the tick before."""
        self._oldest = ""
        self._changed = False
        self._no_forecast = "  " + forecast_columns(None, horizons_hours)

    def start(self) -> Iterator[Message]:
        """Takes up the block that was being filled, and those that were missed."""
        last = self._believable_until() or "~"
        self._blocks.sent = max((block_of(at) for _, at, _ in self._lines_of("server.txt", last)), default="")
        for sensor, at, line in self._lines_of("server.part.txt", last):
            self._blocks.put(at, sensor, line)
            self._first_blocks.setdefault(sensor, block_of(at))
            self._alerts[sensor] = (at, alert_part(line))
        for message in self._owed(self._blocks.sent):
            list(self.handle(message))
        return iter(())

    def handle(self, message: Message) -> Iterator[Message]:
        if isinstance(message, Verdict):
            self._take_verdict(message)
        elif isinstance(message, Tick):
            self._close_minute(message.at)
        elif isinstance(message, Prediction):
            self._take_prediction(message)
        elif isinstance(message, Anomaly) and message.kind == "silence":
            (self._silent.discard if message.state == "cleared" else self._silent.add)(message.sensor)
        return iter(())

    def settle(self) -> Iterator[Message]:
        if self._changed:
            self._folder.write("alert.txt", "".join(f"{self._alerts[name][1]}\n" for name in sorted(self._alerts)))
            if self._blocks.lines:
                newest = max(self._blocks.lines)
                self._folder.write("server.part.txt", self._blocks.text(newest))
            newest_text = ""
            for block, text in self._blocks.complete(len(self._alerts)):
                self._folder.write(f"outbox/{outbox_name(block)}", text)
                newest_text = text
            if newest_text:
                self._folder.write("server.txt", newest_text)
                self._folder.prune_outbox(outbox_name(self._oldest))
            self._changed = False
        return iter(())

    def _take_verdict(self, verdict: Verdict) -> None:
        self._heard.add(verdict.sensor)
        self._put(verdict.sensor, minute(verdict.at), alert_line(verdict))
        if verdict.at.minute == 0:
            self._full_hours[verdict.sensor] = verdict

    def _take_prediction(self, prediction: Prediction) -> None:
        forecasts = self._forecasts.setdefault(prediction.sensor, {})
        forecasts[minute(prediction.issued_at)] = "  " + forecast_columns(prediction, self._hours)
        while len(forecasts) > MOST_HOURS:
            del forecasts[next(iter(forecasts))]
        verdict = self._full_hours.get(prediction.sensor)
        if verdict and verdict.at == prediction.issued_at:
            self._put(prediction.sensor, minute(verdict.at), alert_line(verdict))

    def _close_minute(self, at: datetime) -> None:
        """Gives a line to what is still missing in the minute before, and in every block that is over."""
        self._oldest = block_of(minute(at - self._kept))
        last = minute(at - MINUTE)
        over = self._blocks.before(block_of(minute(at)))
        minutes = [last, *(f"{block}{digit}" for block in over for digit in range(10))]
        behind = minute(at - BEHIND)
        for sensor in self._alerts:
            newest = self._alerts[sensor][0]
            catches_up = sensor in self._heard and newest < behind
            for missed in minutes:
                if catches_up and block_of(missed) >= block_of(newest):
                    continue
                if block_of(missed) >= self._first_blocks[sensor] and self._blocks.lacks(missed, sensor):
                    self._put(sensor, missed, missing_line(sensor, missed, sensor in self._silent))
        self._heard.clear()

    def _put(self, sensor: str, at: str, line: str) -> None:
        self._first_blocks.setdefault(sensor, block_of(at))
        if sensor not in self._alerts or at >= self._alerts[sensor][0]:
            self._alerts[sensor] = (at, line)
            self._changed = True
        if block_of(at) >= self._oldest:
            self._blocks.put(at, sensor, line + self._columns(sensor, at))
            self._changed = True

    def _columns(self, sensor: str, at: str) -> str:
        """The forecast of a full hour; in a backlog the forecaster is far ahead of the verdicts."""
        if at.endswith(":00"):
            return self._forecasts.get(sensor, {}).get(at, self._no_forecast)
        return self._no_forecast

    def _lines_of(self, name: str, last: str) -> Iterator[tuple[str, str, str]]:
        """(sensor, minute, line) of a file that an earlier run wrote, up to a minute; what others wrote is left out."""
        for line in self._folder.read(name).split("\n"):
            if (found := known_line(line, len(self._hours))) and found[1] <= last:
                yield *found, line


def outbox_name(block: str) -> str:
    """File name of a block: 2026-11-23T23:0 is server-20261123T2300.txt."""
    return f"server-{block.replace('-', '').replace(':', '')}0.txt"

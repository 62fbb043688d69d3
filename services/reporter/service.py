"""Writes what the receivers on site read: alert.txt each minute, server.txt each ten minutes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import ClassVar, Protocol
from zoneinfo import ZoneInfo

from services.reporter.blocks import BlockBuffer, block_of, minutes_of
from services.reporter.line_format import alert_columns, alert_line, forecast_columns, missing_line, parse_line
from services.reporter.report_clock import ReportClock
from shared.contract.messages import Anomaly, Message, Prediction, Tick, Verdict
from shared.contract.service import Unavailable
from shared.domain.sensor_liveness import SensorLiveness
from shared.domain.series import DAY, MINUTE

MAX_FORECAST_HOURS = 24 * 60
HISTORY_TIMEOUT_TICKS = 10
"""Ticks that a block waits for verdicts and forecasts which stored history owes it."""


class OutputFolder(Protocol):
    """data/sensor/: texts by name."""

    def write(self, name: str, text: str) -> None:
        """Replaces a file as a whole."""
        ...

    def read(self, name: str) -> str:
        """The text of a file, empty when it isn't there."""
        ...

    def prune_outbox(self, before: str, max_newer: int) -> None:
        """Deletes the blocks whose file name sorts before a name, but for the newest `most` ones."""
        ...


class HistoryLookup(Protocol):
    """What stored history says; a minute is named by its place."""

    def missed_since(self, block: str) -> Iterable[Verdict | Prediction]:
        """Verdicts and predictions after a block, in order of time."""
        ...

    def latest_minute(self) -> str:
        """The last minute that can have been sent, by what is stored; empty when nothing is."""
        ...

    def sensors(self) -> set[str]:
        """Those that have stored readings."""
        ...

    def messages_between(self, sent: str, block: str) -> tuple[Sequence[Verdict | Prediction], bool]:
        """Verdicts and predictions between two blocks, and whether that is final."""
        ...

    def is_behind(self, tick: Tick) -> bool:
        """Whether readings are not stored that ingest had sent before a tick."""
        ...

    def verdict_at(self, sensor: str, minute: str) -> tuple[Verdict | None, bool]:
        """The verdict of a minute, and whether that is final."""
        ...

    def forecast_at(self, sensor: str, minute: str) -> tuple[Prediction | None, bool]:
        """The prediction of a full hour, and whether that is final."""
        ...


class Reporter:
    """Collects the lines of each minute; a minute without a reading gets its line when the next one has closed."""

    name: ClassVar[str] = "reporter"
    consumes: ClassVar[tuple[type[Message], ...]] = (Verdict, Prediction, Anomaly, Tick)
    produces: ClassVar[tuple[type[Message], ...]] = ()
    commands: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        folder: OutputFolder,
        zone: ZoneInfo,
        horizons_hours: Sequence[int],
        outbox_days: int,
        history: HistoryLookup,
    ) -> None:
        self._folder, self._hours, self._history = folder, horizons_hours, history
        self._clock, self._max_outbox_blocks = ReportClock(zone, outbox_days * DAY), outbox_days * DAY // (10 * MINUTE)
        self._newest_lines: dict[str, tuple[str, str]] = {}
        self._first_blocks: dict[str, str] = {}
        self._liveness: defaultdict[str, SensorLiveness] = defaultdict(SensorLiveness)
        self._blocks = BlockBuffer()
        self._lookup_cache: dict[str, bool] = {}
        """Blocks that were looked up since the tick before, and whether they are whole."""
        self._ticks_waited: dict[str, int] = {}
        """Ticks that a block has waited for what history owes it."""
        self._forecasts: defaultdict[str, dict[str, str]] = defaultdict(dict)
        """sensor to full hour to the columns of its forecast, the newest hours only."""
        self._silent_sensors: set[str] = set()
        self._tick: Tick | None = None
        self._changed = False
        self._pending_server_text = ""
        """Complete, and not yet in server.txt."""
        self._no_forecast = "  " + forecast_columns(None, horizons_hours)

    def start(self) -> Iterator[Message]:
        """Takes up the block that was being filled, and those that were missed."""
        last = self._history.latest_minute() or "~"
        sent, part = self._read_written_lines("server.txt", last), self._read_written_lines("server.part.txt", last)
        self._blocks.last_closed = max((block_of(at) for _, at, _ in sent), default="")
        for sensor, at, line in (*sent, *part):
            self._blocks.add(at, sensor, line)
            self._first_blocks.setdefault(sensor, block_of(at))
            self._newest_lines[sensor] = (at, alert_columns(line))
        for message in self._history.missed_since(self._blocks.last_closed):
            list(self.handle(message))
        return iter(())

    def handle(self, message: Message) -> Iterator[Message]:
        if isinstance(message, Verdict):
            at = int(message.at.timestamp())
            self._liveness[message.sensor].on_reading(at)
            self._clock.on_verdict(at)
            self._add_line(message.sensor, self._clock.minute_key_at(at), alert_line(message))
        elif isinstance(message, Tick):
            self._tick = message
            self._on_tick(message.at)
        elif isinstance(message, Prediction):
            self._on_prediction(message)
        elif isinstance(message, Anomaly) and message.kind == "silence":
            (self._silent_sensors.discard if message.state == "cleared" else self._silent_sensors.add)(message.sensor)
        return iter(())

    def end_batch(self) -> Iterator[Message]:
        """Writes what has changed. Raises Unavailable, and writes all of it at the next call, while it can't."""
        if self._changed:
            self._changed = False
            try:
                self._write()
            except Unavailable:
                self._changed = True
                raise
        return iter(())

    def _write(self) -> None:
        self._folder.write(
            "alert.txt", "".join(f"{self._newest_lines[name][1]}\n" for name in sorted(self._newest_lines))
        )
        if self._blocks.lines:
            believed = [block for block in self._blocks.lines if block <= self._clock.latest_plausible]
            newest = max(believed or self._blocks.lines)
            self._folder.write("server.part.txt", self._blocks.text(newest))
        self._close_complete_blocks()
        if self._pending_server_text:
            self._folder.write("server.txt", self._pending_server_text)
            self._pending_server_text = ""
            self._folder.prune_outbox(outbox_name(self._clock.prune_before), self._max_outbox_blocks)

    def _close_complete_blocks(self) -> None:
        """Sends the blocks that are due, in order; one that waits for history holds up those behind it."""
        for block in self._blocks.complete_blocks(len(self._newest_lines)):
            if not (self._blocks.is_full or (self._is_contiguous(block) and self._is_complete(block))):
                break
            self._folder.write(f"outbox/{outbox_name(block)}", self._blocks.text(block))
            self._ticks_waited.pop(block, None)
            self._ticks_waited.pop(f"before {block}", None)
            self._pending_server_text = self._blocks.close_block(block)

    def _on_prediction(self, prediction: Prediction) -> None:
        hour, forecasts = (
            self._clock.minute_key_at(int(prediction.issued_at.timestamp())),
            self._forecasts[prediction.sensor],
        )
        forecasts[hour] = "  " + forecast_columns(prediction, self._hours)
        while len(forecasts) > MAX_FORECAST_HOURS:
            del forecasts[next(iter(forecasts))]
        if line := self._blocks.line(hour, prediction.sensor):
            self._add_line(prediction.sensor, hour, alert_columns(line))

    def _on_tick(self, tick: datetime) -> None:
        """Gives a line to what is still missing in the minute before, and in every block that is over."""
        now = self._clock
        now.on_tick(tick)
        if now.is_set_back(self._blocks.last_closed):
            self._blocks.last_closed = now.resume_block()
            self._first_blocks = {sensor: min(first, now.block_key(0)) for sensor, first in self._first_blocks.items()}
        self._lookup_cache.clear()
        last = now.minute_key(-MINUTE)
        for sensor in self._newest_lines:
            self._liveness[sensor].on_tick(now.at)
            if self._is_missing(sensor, last) and not self._may_still_arrive(sensor, last):
                self._fill_from_history(sensor, last)
        over = self._blocks.open_before(now.block_key(0))
        for block in over[:1]:
            self._fill_block_from_history(block)
        for block in over:
            if self._is_complete(block):
                self._changed = True

    def _fill_block_from_history(self, block: str) -> None:
        """Takes what history has of a block: what seems to be on its way was perhaps lost by the broker."""
        for sensor in self._newest_lines:
            for missed in minutes_of(block):
                if self._is_missing(sensor, missed) and self._may_still_arrive(sensor, missed):
                    verdict, final = self._history.verdict_at(sensor, missed)
                    if verdict and final:
                        self._add_line(sensor, missed, alert_line(verdict))

    def _is_contiguous(self, block: str) -> bool:
        """Whether history owes nothing of what lies between the block that was sent last and this one.

        Before a new site's first block it may know a sensor that has not spoken here yet.
        """
        if self._blocks.last_closed and self._clock.is_next_block(block, self._blocks.last_closed):
            return True
        key = f"before {block}"
        if key not in self._lookup_cache:
            final = (
                self._load_between(block)
                if self._blocks.last_closed
                else self._history.sensors() <= self._newest_lines.keys()
            )
            if self._blocks.open_before(block):
                return False
            if not final:
                self._ticks_waited[key] = self._ticks_waited.get(key, 0) + 1
            self._lookup_cache[key] = final or self._ticks_waited[key] > HISTORY_TIMEOUT_TICKS
        return self._lookup_cache[key]

    def _load_between(self, block: str) -> bool:
        """Takes what history has between the block that was sent last and this one; whether that is all."""
        gap = self._history_is_behind()
        messages, final = self._history.messages_between(self._blocks.last_closed, block)
        for message in messages:
            list(self.handle(message))
        return final and not gap

    def _is_complete(self, block: str) -> bool:
        """Whether a block has all that it can have; what is missing is looked up, once a tick."""
        if block not in self._lookup_cache:
            minutes = [(sensor, one) for sensor in self._newest_lines for one in minutes_of(block)]
            lacking = [(sensor, missed) for sensor, missed in minutes if self._is_missing(sensor, missed)]
            if any(self._may_still_arrive(sensor, missed) for sensor, missed in lacking):
                return False
            at_last = self._ticks_waited.get(block, 0) >= HISTORY_TIMEOUT_TICKS
            found = [self._fill_from_history(sensor, missed, at_last) for sensor, missed in lacking]
            if block[14] == "0":
                found += [self._fill_forecast_from_history(sensor, f"{block}0") for sensor in self._newest_lines]
            if not all(found):
                self._ticks_waited[block] = self._ticks_waited.get(block, 0) + 1
            self._lookup_cache[block] = all(found) or self._ticks_waited[block] > HISTORY_TIMEOUT_TICKS
        return self._lookup_cache[block]

    def _is_missing(self, sensor: str, missed: str) -> bool:
        """Whether a sensor that was there already has no line of a minute."""
        return block_of(missed) >= self._first_blocks[sensor] and self._blocks.is_missing(missed, sensor)

    def _may_still_arrive(self, sensor: str, missed: str) -> bool:
        """Whether the reading of a minute may still come, since the sensor catches up."""
        return self._liveness[sensor].is_catching_up and block_of(missed) >= block_of(self._newest_lines[sensor][0])

    def _fill_from_history(self, sensor: str, missed: str, at_last: bool = False) -> bool:
        """Gives a minute the line that history knows, or that of a minute without a reading; whether it could."""
        gap = self._history_is_behind()
        verdict, final = self._history.verdict_at(sensor, missed)
        line = alert_line(verdict) if verdict else missing_line(sensor, missed, sensor in self._silent_sensors)
        final = at_last or (final and not (verdict is None and gap))
        if final:
            self._add_line(sensor, missed, line)
        elif missed >= self._newest_lines[sensor][0]:
            self._newest_lines[sensor], self._changed = (missed, line), True
        return final

    def _fill_forecast_from_history(self, sensor: str, hour: str) -> bool:
        if block_of(hour) < self._first_blocks[sensor] or hour in self._forecasts[sensor]:
            return True
        prediction, final = self._history.forecast_at(sensor, hour)
        if prediction:
            self._on_prediction(prediction)
        return final

    def _history_is_behind(self) -> bool:
        """Whether a reading that was sent may be missing in what history says next."""
        return self._tick is not None and self._history.is_behind(self._tick)

    def _add_line(self, sensor: str, at: str, line: str) -> None:
        self._first_blocks.setdefault(sensor, block_of(at))
        if (
            sensor not in self._newest_lines
            or at >= self._newest_lines[sensor][0]
            or self._newest_lines[sensor][0] > self._clock.latest_plausible
        ):
            self._newest_lines[sensor] = (at, line)
            self._changed = True
        if block_of(at) >= self._clock.oldest_open_block:
            self._blocks.add(at, sensor, line + self._forecast_text(sensor, at))
            self._changed = True

    def _forecast_text(self, sensor: str, at: str) -> str:
        """The forecast of a full hour; in a backlog the forecaster is far ahead of the verdicts."""
        if at.endswith("00"):
            return self._forecasts[sensor].get(at, self._no_forecast)
        return self._no_forecast

    def _read_written_lines(self, name: str, last: str) -> list[tuple[str, str, str]]:
        """(sensor, minute, line) of a file that an earlier run wrote, up to a minute; what others wrote is left out."""
        lines = self._folder.read(name).split("\n")
        known = ((parse_line(line, len(self._hours)), line) for line in lines)
        return [(*found, line) for found, line in known if found and found[1] <= last]


def outbox_name(block: str) -> str:
    """File name of a block: 2026-11-23T23:0 is server-20261123T2300.txt."""
    return f"server-{block.replace('-', '').replace(':', '')}0.txt"

"""Writes the files that receivers on site read: alert.txt each minute, server.txt each ten minutes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import ClassVar, Protocol
from zoneinfo import ZoneInfo

from services.reporter.blocks import BlockBuffer, Channels, block_of, minutes_of
from services.reporter.held_values import HeldValues, fill_channels, repeated_channels
from services.reporter.line_format import (
    alert_columns,
    alert_line,
    forecast_columns,
    key_to_time,
    missing_line,
    parse_line,
)
from services.reporter.report_clock import ReportClock
from shared.contract.messages import Anomaly, Message, Prediction, SensorRetired, SensorState, Tick, Verdict
from shared.contract.report_files import parse_repeats, repeats_name
from shared.contract.service import Unavailable
from shared.domain.sensor_liveness import SensorLiveness
from shared.domain.series import DAY, MINUTE

MAX_FORECAST_HOURS = 24 * 60
HISTORY_TIMEOUT_TICKS = 10
"""Ticks that a block waits for verdicts and forecasts that are missing in stored history."""


class OutputFolder(Protocol):
    """data/sensor/: texts by file name."""

    def write(self, name: str, text: str) -> None:
        """Replace a file atomically."""
        ...

    def read(self, name: str) -> str:
        """Return the text of a file; empty if it does not exist."""
        ...

    def prune_outbox(self, before: str, max_newer: int) -> None:
        """Delete blocks whose file name sorts before `before`, except the newest `max_newer` blocks."""
        ...


class HistoryLookup(Protocol):
    """Lookup in stored history by minute key."""

    def missed_since(self, block: str) -> Iterable[Verdict | Prediction]:
        """Return verdicts and predictions after a block, in order of time."""
        ...

    def latest_minute(self) -> str:
        """Return the last minute that a closed block can have, according to stored history; empty if it has none."""
        ...

    def sensors(self) -> set[str]:
        """Return the sensors with stored readings."""
        ...

    def retired(self) -> set[str]:
        """Return the sensors that have ended."""
        ...

    def messages_between(self, sent: str, block: str) -> tuple[Sequence[Verdict | Prediction], bool]:
        """Return verdicts and predictions between two blocks, and whether that is final."""
        ...

    def is_behind(self, tick: Tick) -> bool:
        """Whether readings are not stored that ingest published before a tick."""
        ...

    def verdict_at(self, sensor: str, minute: str) -> tuple[Verdict | None, bool]:
        """Return the verdict of a minute, and whether that is final."""
        ...

    def verdicts_before(self, sensor: str, at: datetime, minutes: int) -> Iterator[Verdict]:
        """Yield the stored verdicts of so many minutes up to a time, in order of time."""
        ...

    def sensor_states(self) -> list[SensorState]:
        """Return the stored states of all sensors."""
        ...

    def forecast_at(self, sensor: str, minute: str) -> tuple[Prediction | None, bool]:
        """Return the prediction of a full hour, and whether that is final."""
        ...


class Reporter:
    """Collects the lines of each minute; a minute without a reading gets its line when the next minute has closed."""

    name: ClassVar[str] = "reporter"
    produces: ClassVar[tuple[type[Message], ...]] = ()
    commands: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        folder: OutputFolder,
        zone: ZoneInfo,
        horizons_hours: Sequence[int],
        outbox_days: int,
        history: HistoryLookup,
        has_repeated_column: bool = False,
    ) -> None:
        """has_repeated_column: whether a last column says if the values repeat those of an earlier reading."""
        self._has_repeated_column, self._held = has_repeated_column, HeldValues()
        self._zone = zone
        self._folder, self._hours, self._history = folder, horizons_hours, history
        self._clock, self._max_outbox_blocks = ReportClock(zone, outbox_days * DAY), outbox_days * DAY // (10 * MINUTE)
        self._newest_lines: dict[str, tuple[str, str]] = {}
        self._first_blocks: dict[str, str] = {}
        self._liveness: defaultdict[str, SensorLiveness] = defaultdict(SensorLiveness)
        self._blocks = BlockBuffer()
        self._lookup_cache: dict[str, bool] = {}
        """Blocks that were looked up since the previous tick, and whether they are complete."""
        self._ticks_waited: dict[str, int] = {}
        """Ticks that a block has waited for stored history."""
        self._forecasts: defaultdict[str, dict[str, str]] = defaultdict(dict)
        """Sensor to full hour to its forecast columns; newest hours only."""
        self._silent_sensors: set[str] = set()
        self._tick: Tick | None = None
        self._changed = False
        self._written_repeats: dict[str, str] = {}
        """File of lines to its repeated lines as last written; only files that had some."""
        self._pending_server_repeats = ""
        self._pending_server_text = ""
        """Newest closed block that is not yet in server.txt."""
        self._no_forecast = "  " + forecast_columns(None, horizons_hours)

    def start(self) -> Iterator[Message]:
        """Resume the open block of the previous run, and add missed blocks from history."""
        for state in self._history.sensor_states():
            self._on_state(state)
        last = self._history.latest_minute() or "~"
        closed, open_lines = (
            self._read_written_lines("server.txt", last),
            self._read_written_lines("server.part.txt", last),
        )
        self._blocks.last_closed = max((block_of(at) for _, at, _ in closed), default="")
        retired = self._history.retired()
        for sensor, at, line in (*closed, *open_lines):
            self._blocks.add(at, sensor, line)
            if sensor in retired:
                continue
            self._first_blocks.setdefault(sensor, block_of(at))
            self._newest_lines[sensor] = (at, alert_columns(line))
        for message in self._history.missed_since(self._blocks.last_closed):
            list(self.handle(message))
        return iter(())

    def handle(self, message: Message) -> Iterator[Message]:
        self.HANDLERS[type(message)](self, message)
        return iter(())

    def _on_verdict(self, verdict: Verdict) -> None:
        """Add the line of a minute; one of a doubted time has no line until ingest believes those after it."""
        if verdict.reading.clock == "doubted":
            return
        at = int(verdict.at.timestamp())
        self._liveness[verdict.sensor].on_reading(at)
        self._clock.on_verdict(at)
        minute = self._clock.minute_key_at(at)
        self._held.on_verdict(verdict)
        if verdict.reading.clock == "set_back" and verdict.sensor in self._newest_lines:
            del self._newest_lines[verdict.sensor]
            self._blocks.drop_after(minute, verdict.sensor)
        self._add_verdict(minute, verdict)

    def _on_state(self, state: SensorState) -> None:
        self._held.on_state(state)

    def _on_sensor_retired(self, retired: SensorRetired) -> None:
        """Drop a sensor that has ended from alert.txt and from the blocks to come."""
        for entries in (self._newest_lines, self._first_blocks, self._liveness, self._forecasts):
            entries.pop(retired.sensor, None)
        self._silent_sensors.discard(retired.sensor)
        self._lookup_cache.clear()
        self._changed = True

    def _add_verdict(self, minute: str, verdict: Verdict) -> None:
        """Add the line of a reading; a slow channel without a value has its last one."""
        held = None
        if None in (verdict.reading.flow_rate, verdict.reading.pressure):
            held = self._held.at(verdict.sensor, verdict.at)
        shown = fill_channels(verdict, held) if held else verdict
        self._add_line(verdict.sensor, minute, alert_line(shown), repeated_channels(shown, verdict))

    def _on_anomaly(self, anomaly: Anomaly) -> None:
        """Remember silent sensors: their lines show the system flags."""
        if anomaly.kind != "silence":
            return
        if anomaly.state == "cleared":
            self._silent_sensors.discard(anomaly.sensor)
        else:
            self._silent_sensors.add(anomaly.sensor)

    def end_batch(self) -> Iterator[Message]:
        """Write changed files. Raises Unavailable if it fails; the next call writes all of them."""
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
            present = [block for block in self._blocks.lines if block <= self._clock.block_key(MINUTE)]
            newest = max(present or self._blocks.lines)
            self._write_lines("server.part.txt", self._blocks.text(newest), self._blocks.repeats_text(newest))
        self._close_complete_blocks()
        if self._pending_server_text:
            self._write_lines("server.txt", self._pending_server_text, self._pending_server_repeats)
            self._pending_server_text = ""
            self._folder.prune_outbox(outbox_name(self._clock.prune_before), self._max_outbox_blocks)

    def _write_lines(self, name: str, text: str, repeats: str) -> None:
        """Write lines; before them, which ones are repeated, for the refill of a restored database."""
        if repeats or self._written_repeats.get(name):
            self._folder.write(repeats_name(name), repeats)
            self._written_repeats[name] = "" if name.startswith("outbox/") else repeats
        self._folder.write(name, text)

    def _close_complete_blocks(self) -> None:
        """Close complete blocks in order; a block that waits for history holds up later ones."""
        for block in self._blocks.complete_blocks(len(self._newest_lines)):
            if not (self._blocks.is_full or (self._is_contiguous(block) and self._is_complete(block))):
                break
            repeats = self._blocks.repeats_text(block)
            self._write_lines(f"outbox/{outbox_name(block)}", self._blocks.text(block), repeats)
            self._ticks_waited.pop(block, None)
            self._ticks_waited.pop(f"before {block}", None)
            self._pending_server_text, self._pending_server_repeats = self._blocks.close_block(block), repeats

    def _on_prediction(self, prediction: Prediction) -> None:
        hour, forecasts = (
            self._clock.minute_key_at(int(prediction.issued_at.timestamp())),
            self._forecasts[prediction.sensor],
        )
        forecasts[hour] = "  " + forecast_columns(prediction, self._hours)
        while len(forecasts) > MAX_FORECAST_HOURS:
            del forecasts[next(iter(forecasts))]
        if line := self._blocks.line(hour, prediction.sensor):
            repeated = self._blocks.repeated_channels(hour, prediction.sensor)
            self._add_line(prediction.sensor, hour, alert_columns(line), repeated)

    def _on_tick(self, tick: Tick) -> None:
        """Add lines for missing readings of the previous minute and of every block that is over."""
        self._tick = tick
        clock = self._clock
        clock.on_tick(tick.at)
        if clock.is_set_back(self._blocks.last_closed):
            self._blocks.last_closed = clock.resume_block()
            self._first_blocks = {
                sensor: min(first, clock.block_key(0)) for sensor, first in self._first_blocks.items()
            }
        self._lookup_cache.clear()
        last = clock.minute_key(-MINUTE)
        for sensor in self._newest_lines:
            self._liveness[sensor].on_tick(clock.at)
            if not self._is_missing(sensor, last):
                continue
            if not self._may_still_arrive(sensor, last):
                self._fill_from_history(sensor, last)
            elif held := self._held_verdict(sensor, last):
                self._show(sensor, last, alert_line(held), repeated_channels(held, None))
        ended = self._blocks.open_before(clock.block_key(0))
        for block in ended[:1]:
            self._fill_block_from_history(block)
        for block in ended:
            if self._is_complete(block):
                self._changed = True

    def _fill_block_from_history(self, block: str) -> None:
        """Add stored verdicts of a block: readings that seem to be in transit may have been lost by the broker."""
        for sensor in self._newest_lines:
            for minute in minutes_of(block):
                if self._is_missing(sensor, minute) and self._may_still_arrive(sensor, minute):
                    verdict, final = self._history.verdict_at(sensor, minute)
                    if verdict and final:
                        self._add_verdict(minute, verdict)

    def _is_contiguous(self, block: str) -> bool:
        """Whether nothing is missing in stored history between the last closed block and this one.

        Before the first block of a new site, history may know a sensor that has no verdict here yet.
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
        """Add what history has between the last closed block and this one; return whether that is final."""
        is_behind = self._history_is_behind()
        messages, final = self._history.messages_between(self._blocks.last_closed, block)
        for message in messages:
            list(self.handle(message))
        return final and not is_behind

    def _is_complete(self, block: str) -> bool:
        """Whether a block is as complete as possible; missing lines are looked up once per tick."""
        if block not in self._lookup_cache:
            minutes = [(sensor, minute) for sensor in self._newest_lines for minute in minutes_of(block)]
            missing = [(sensor, minute) for sensor, minute in minutes if self._is_missing(sensor, minute)]
            if any(self._may_still_arrive(sensor, minute) for sensor, minute in missing):
                return False
            timed_out = self._ticks_waited.get(block, 0) >= HISTORY_TIMEOUT_TICKS
            final = [self._fill_from_history(sensor, minute, timed_out) for sensor, minute in missing]
            if block[14] == "0":
                final += [self._fill_forecast_from_history(sensor, f"{block}0") for sensor in self._newest_lines]
            if not all(final):
                self._ticks_waited[block] = self._ticks_waited.get(block, 0) + 1
            self._lookup_cache[block] = all(final) or self._ticks_waited[block] > HISTORY_TIMEOUT_TICKS
        return self._lookup_cache[block]

    def _is_missing(self, sensor: str, minute: str) -> bool:
        """Whether a known sensor has no line of a minute."""
        return block_of(minute) >= self._first_blocks[sensor] and self._blocks.is_missing(minute, sensor)

    def _may_still_arrive(self, sensor: str, minute: str) -> bool:
        """Whether the reading of a minute may still arrive because the sensor is catching up."""
        return self._liveness[sensor].is_catching_up and block_of(minute) >= block_of(self._newest_lines[sensor][0])

    def _fill_from_history(self, sensor: str, minute: str, timed_out: bool = False) -> bool:
        """Add the line of a minute from history, or that of a missing reading; return whether it is final."""
        is_behind = self._history_is_behind()
        verdict, final = self._history.verdict_at(sensor, minute)
        final = timed_out or (final and not (verdict is None and is_behind))
        if verdict and final:
            self._add_verdict(minute, verdict)
            return True
        shown = verdict or self._held_verdict(sensor, minute)
        line = alert_line(shown) if shown else missing_line(sensor, minute, sensor in self._silent_sensors)
        repeated = repeated_channels(shown, verdict) if shown else ()
        if final:
            self._add_line(sensor, minute, line, repeated)
        elif minute >= self._newest_lines[sensor][0]:
            self._show(sensor, minute, line, repeated)
        return final

    def _show(self, sensor: str, minute: str, line: str, repeated: Channels) -> None:
        """Show a line in alert.txt."""
        self._newest_lines[sensor], self._changed = (minute, line + self._repeated_text(repeated)), True

    def _held_verdict(self, sensor: str, minute: str) -> Verdict | None:
        """Return the newest values of a slow sensor at a minute without a reading; None once it is silent."""
        late_minutes = self._held.late_minutes(sensor)
        if not late_minutes or sensor in self._silent_sensors:
            return None
        at = key_to_time(minute, self._zone)
        return self._held.at(sensor, at, self._history.verdicts_before(sensor, at, late_minutes))

    def _fill_forecast_from_history(self, sensor: str, hour: str) -> bool:
        if block_of(hour) < self._first_blocks[sensor] or hour in self._forecasts[sensor]:
            return True
        prediction, final = self._history.forecast_at(sensor, hour)
        if prediction:
            self._on_prediction(prediction)
        return final

    def _history_is_behind(self) -> bool:
        """Whether a published reading may be missing in stored history."""
        return self._tick is not None and self._history.is_behind(self._tick)

    def _add_line(self, sensor: str, at: str, line: str, repeated: Channels = ()) -> None:
        if sensor not in self._newest_lines:
            self._lookup_cache.clear()  # a block that was complete may lack lines of this sensor
        self._first_blocks.setdefault(sensor, block_of(at))
        if sensor not in self._newest_lines or at >= self._newest_lines[sensor][0]:
            self._show(sensor, at, line, repeated)
        if block_of(at) >= self._clock.oldest_open_block:
            text = line + self._forecast_text(sensor, at) + self._repeated_text(repeated)
            self._blocks.add(at, sensor, text, repeated)
            self._changed = True

    def _repeated_text(self, repeated: Channels) -> str:
        return f"  {int(bool(repeated))}" if self._has_repeated_column else ""

    def _forecast_text(self, sensor: str, at: str) -> str:
        """Return the forecast columns of a full hour; in a backlog the forecaster is ahead of the verdicts."""
        if at.endswith("00"):
            return self._forecasts[sensor].get(at, self._no_forecast)
        return self._no_forecast

    def _read_written_lines(self, name: str, last: str) -> list[tuple[str, str, str]]:
        """Return (sensor, minute, line) of a file from an earlier run, up to a minute.

        Lines with repeated values are skipped, since they are made again, and so are invalid ones.
        """
        lines, repeats = self._folder.read(name).split("\n"), parse_repeats(self._folder.read(repeats_name(name)))
        if repeats:
            self._written_repeats[name] = "earlier run"
        parsed = ((parse_line(line, len(self._hours)), line) for line in lines)
        return [(*key, line) for key, line in parsed if key and key[1] <= last and key[::-1] not in repeats]

    HANDLERS: ClassVar[dict[type[Message], Callable[..., None]]] = {
        Verdict: _on_verdict,
        Prediction: _on_prediction,
        Anomaly: _on_anomaly,
        SensorState: _on_state,
        SensorRetired: _on_sensor_retired,
        Tick: _on_tick,
    }
    consumes: ClassVar[tuple[type[Message], ...]] = tuple(HANDLERS)


def outbox_name(block: str) -> str:
    """Return the file name of a block: 2026-11-23T23:0 is server-20261123T2300.txt."""
    return f"server-{block.replace('-', '').replace(':', '')}0.txt"

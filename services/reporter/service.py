"""Writes what the receivers on site read: alert.txt each minute, server.txt each ten minutes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import ClassVar, Protocol
from zoneinfo import ZoneInfo

from services.reporter.blocks import Blocks, block_of, minutes_of
from services.reporter.now import Now
from services.reporter.text import alert_line, alert_part, forecast_columns, known_line, missing_line
from shared.contract.messages import Anomaly, Message, Prediction, Tick, Verdict
from shared.domain.sensor_liveness import SensorLiveness
from shared.domain.series import DAY, MINUTE
from shared.runtime.service import Unavailable

MOST_HOURS = 24 * 60
PATIENCE = 10
"""Ticks that a block waits for verdicts and forecasts which stored history owes it."""


class Folder(Protocol):
    """data/sensor/: texts by name."""

    def write(self, name: str, text: str) -> None:
        """Replaces a file as a whole."""
        ...

    def read(self, name: str) -> str:
        """The text of a file, empty when it isn't there."""
        ...

    def prune_outbox(self, before: str, most: int) -> None:
        """Deletes the blocks whose file name sorts before a name, but for the newest `most` ones."""
        ...


class Owed(Protocol):
    """What stored history says; a minute is named by its place."""

    def after(self, block: str) -> Iterable[Verdict | Prediction]:
        """Verdicts and predictions after a block, in order of time."""
        ...

    def last(self) -> str:
        """The last minute that can have been sent, by what is stored; empty when nothing is."""
        ...

    def sensors(self) -> set[str]:
        """Those that have stored readings."""
        ...

    def between(self, sent: str, block: str) -> tuple[Sequence[Verdict | Prediction], bool]:
        """Verdicts and predictions between two blocks, and whether that is final."""
        ...

    def lacks(self, tick: Tick) -> bool:
        """Whether readings are not stored that ingest had sent before a tick."""
        ...

    def minute(self, sensor: str, minute: str) -> tuple[Verdict | None, bool]:
        """The verdict of a minute, and whether that is final."""
        ...

    def forecast(self, sensor: str, minute: str) -> tuple[Prediction | None, bool]:
        """The prediction of a full hour, and whether that is final."""
        ...


class Reporter:
    """Collects the lines of each minute; a minute without a reading gets its line when the next one has closed."""

    name: ClassVar[str] = "reporter"
    consumes: ClassVar[tuple[type[Message], ...]] = (Verdict, Prediction, Anomaly, Tick)
    produces: ClassVar[tuple[type[Message], ...]] = ()
    commands: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self, folder: Folder, zone: ZoneInfo, horizons_hours: Sequence[int], outbox_days: int, owed: Owed
    ) -> None:
        self._folder, self._hours, self._owed = folder, horizons_hours, owed
        self._now, self._most = Now(zone, outbox_days * DAY), outbox_days * DAY // (10 * MINUTE)
        self._alerts: dict[str, tuple[str, str]] = {}
        self._first_blocks: dict[str, str] = {}
        self._paces: defaultdict[str, SensorLiveness] = defaultdict(SensorLiveness)
        self._blocks = Blocks()
        self._asked: dict[str, bool] = {}
        """Blocks that were looked up since the tick before, and whether they are whole."""
        self._waits: dict[str, int] = {}
        """Ticks that a block has waited for what history owes it."""
        self._forecasts: defaultdict[str, dict[str, str]] = defaultdict(dict)
        """sensor to full hour to the columns of its forecast, the newest hours only."""
        self._silent: set[str] = set()
        self._tick: Tick | None = None
        self._changed = False
        self._newest_block = ""
        """Complete, and not yet in server.txt."""
        self._no_forecast = "  " + forecast_columns(None, horizons_hours)

    def start(self) -> Iterator[Message]:
        """Takes up the block that was being filled, and those that were missed."""
        last = self._owed.last() or "~"
        sent, part = self._lines_of("server.txt", last), self._lines_of("server.part.txt", last)
        self._blocks.sent = max((block_of(at) for _, at, _ in sent), default="")
        for sensor, at, line in (*sent, *part):
            self._blocks.put(at, sensor, line)
            self._first_blocks.setdefault(sensor, block_of(at))
            self._alerts[sensor] = (at, alert_part(line))
        for message in self._owed.after(self._blocks.sent):
            list(self.handle(message))
        return iter(())

    def handle(self, message: Message) -> Iterator[Message]:
        if isinstance(message, Verdict):
            at = int(message.at.timestamp())
            self._paces[message.sensor].on_reading(at)
            self._now.hear(at)
            self._put(message.sensor, self._now.place_of(at), alert_line(message))
        elif isinstance(message, Tick):
            self._tick = message
            self._close_minute(message.at)
        elif isinstance(message, Prediction):
            self._take_prediction(message)
        elif isinstance(message, Anomaly) and message.kind == "silence":
            (self._silent.discard if message.state == "cleared" else self._silent.add)(message.sensor)
        return iter(())

    def settle(self) -> Iterator[Message]:
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
        self._folder.write("alert.txt", "".join(f"{self._alerts[name][1]}\n" for name in sorted(self._alerts)))
        if self._blocks.lines:
            believed = [block for block in self._blocks.lines if block <= self._now.limit]
            newest = max(believed or self._blocks.lines)
            self._folder.write("server.part.txt", self._blocks.text(newest))
        self._send()
        if self._newest_block:
            self._folder.write("server.txt", self._newest_block)
            self._newest_block = ""
            self._folder.prune_outbox(outbox_name(self._now.outdated), self._most)

    def _send(self) -> None:
        """Sends the blocks that are due, in order; one that waits for history holds up those behind it."""
        for block in self._blocks.due(len(self._alerts)):
            if not (self._blocks.crowded or (self._follows(block) and self._whole(block))):
                break
            self._folder.write(f"outbox/{outbox_name(block)}", self._blocks.text(block))
            self._waits.pop(block, None)
            self._waits.pop(f"before {block}", None)
            self._newest_block = self._blocks.send(block)

    def _take_prediction(self, prediction: Prediction) -> None:
        hour, forecasts = self._now.place_of(int(prediction.issued_at.timestamp())), self._forecasts[prediction.sensor]
        forecasts[hour] = "  " + forecast_columns(prediction, self._hours)
        while len(forecasts) > MOST_HOURS:
            del forecasts[next(iter(forecasts))]
        if line := self._blocks.line(hour, prediction.sensor):
            self._put(prediction.sensor, hour, alert_part(line))

    def _close_minute(self, tick: datetime) -> None:
        """Gives a line to what is still missing in the minute before, and in every block that is over."""
        now = self._now
        now.close(tick)
        if now.turned_back(self._blocks.sent):
            self._blocks.sent = now.restart()
            self._first_blocks = {sensor: min(first, now.block(0)) for sensor, first in self._first_blocks.items()}
        self._asked.clear()
        last = now.place(-MINUTE)
        for sensor in self._alerts:
            self._paces[sensor].on_tick(now.at)
            if self._lacks(sensor, last) and not self._on_its_way(sensor, last):
                self._look_up(sensor, last)
        over = self._blocks.before(now.block(0))
        for block in over[:1]:
            self._take_stored(block)
        for block in over:
            if self._whole(block):
                self._changed = True

    def _take_stored(self, block: str) -> None:
        """Takes what history has of a block: what seems to be on its way was perhaps lost by the broker."""
        for sensor in self._alerts:
            for missed in minutes_of(block):
                if self._lacks(sensor, missed) and self._on_its_way(sensor, missed):
                    verdict, final = self._owed.minute(sensor, missed)
                    if verdict and final:
                        self._put(sensor, missed, alert_line(verdict))

    def _follows(self, block: str) -> bool:
        """Whether history owes nothing of what lies between the block that was sent last and this one.

        Before a new site's first block it may know a sensor that has not spoken here yet.
        """
        if self._blocks.sent and self._now.is_next(block, self._blocks.sent):
            return True
        key = f"before {block}"
        if key not in self._asked:
            final = self._between(block) if self._blocks.sent else self._owed.sensors() <= self._alerts.keys()
            if self._blocks.before(block):
                return False
            if not final:
                self._waits[key] = self._waits.get(key, 0) + 1
            self._asked[key] = final or self._waits[key] > PATIENCE
        return self._asked[key]

    def _between(self, block: str) -> bool:
        """Takes what history has between the block that was sent last and this one; whether that is all."""
        gap = self._gap()
        messages, final = self._owed.between(self._blocks.sent, block)
        for message in messages:
            list(self.handle(message))
        return final and not gap

    def _whole(self, block: str) -> bool:
        """Whether a block has all that it can have; what is missing is looked up, once a tick."""
        if block not in self._asked:
            minutes = [(sensor, one) for sensor in self._alerts for one in minutes_of(block)]
            lacking = [(sensor, missed) for sensor, missed in minutes if self._lacks(sensor, missed)]
            if any(self._on_its_way(sensor, missed) for sensor, missed in lacking):
                return False
            at_last = self._waits.get(block, 0) >= PATIENCE
            found = [self._look_up(sensor, missed, at_last) for sensor, missed in lacking]
            if block[14] == "0":
                found += [self._look_up_forecast(sensor, f"{block}0") for sensor in self._alerts]
            if not all(found):
                self._waits[block] = self._waits.get(block, 0) + 1
            self._asked[block] = all(found) or self._waits[block] > PATIENCE
        return self._asked[block]

    def _lacks(self, sensor: str, missed: str) -> bool:
        """Whether a sensor that was there already has no line of a minute."""
        return block_of(missed) >= self._first_blocks[sensor] and self._blocks.lacks(missed, sensor)

    def _on_its_way(self, sensor: str, missed: str) -> bool:
        """Whether the reading of a minute may still come, since the sensor catches up."""
        return self._paces[sensor].is_catching_up and block_of(missed) >= block_of(self._alerts[sensor][0])

    def _look_up(self, sensor: str, missed: str, at_last: bool = False) -> bool:
        """Gives a minute the line that history knows, or that of a minute without a reading; whether it could."""
        gap = self._gap()
        verdict, final = self._owed.minute(sensor, missed)
        line = alert_line(verdict) if verdict else missing_line(sensor, missed, sensor in self._silent)
        final = at_last or (final and not (verdict is None and gap))
        if final:
            self._put(sensor, missed, line)
        elif missed >= self._alerts[sensor][0]:
            self._alerts[sensor], self._changed = (missed, line), True
        return final

    def _look_up_forecast(self, sensor: str, hour: str) -> bool:
        if block_of(hour) < self._first_blocks[sensor] or hour in self._forecasts[sensor]:
            return True
        prediction, final = self._owed.forecast(sensor, hour)
        if prediction:
            self._take_prediction(prediction)
        return final

    def _gap(self) -> bool:
        """Whether a reading that was sent may be missing in what history says next."""
        return self._tick is not None and self._owed.lacks(self._tick)

    def _put(self, sensor: str, at: str, line: str) -> None:
        self._first_blocks.setdefault(sensor, block_of(at))
        if sensor not in self._alerts or at >= self._alerts[sensor][0] or self._alerts[sensor][0] > self._now.limit:
            self._alerts[sensor] = (at, line)
            self._changed = True
        if block_of(at) >= self._now.oldest:
            self._blocks.put(at, sensor, line + self._columns(sensor, at))
            self._changed = True

    def _columns(self, sensor: str, at: str) -> str:
        """The forecast of a full hour; in a backlog the forecaster is far ahead of the verdicts."""
        if at.endswith("00"):
            return self._forecasts[sensor].get(at, self._no_forecast)
        return self._no_forecast

    def _lines_of(self, name: str, last: str) -> list[tuple[str, str, str]]:
        """(sensor, minute, line) of a file that an earlier run wrote, up to a minute; what others wrote is left out."""
        lines = self._folder.read(name).split("\n")
        known = ((known_line(line, len(self._hours)), line) for line in lines)
        return [(*found, line) for found, line in known if found and found[1] <= last]


def outbox_name(block: str) -> str:
    """File name of a block: 2026-11-23T23:0 is server-20261123T2300.txt."""
    return f"server-{block.replace('-', '').replace(':', '')}0.txt"

"""Takes what a source has read: good minutes become Readings, the rest goes to rejected; says when a minute closes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import ClassVar, Protocol

from services.ingest.sources.lines import BadLine, Measurement
from shared.contract.messages import History, Message, Reading, Rejected, Stored, Tick

LARGEST = 1e9
"""m³/h or bar; no meter shows more."""
MOST_SENSORS = 64


class Past(Protocol):
    """Minutes from before the first start."""

    def __iter__(self) -> Iterator[History]: ...

    def done(self) -> None:
        """They are safe; the next start need not send them."""
        ...


class Ingest:
    """Accepts measurements. `seq` counts the readings of this run, whose name is `boot_id`."""

    name: ClassVar[str] = "ingest"
    consumes: ClassVar[tuple[type[Message], ...]] = (Stored,)
    produces: ClassVar[tuple[type[Message], ...]] = (Reading, History, Tick, Rejected)
    commands: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        site: str,
        boot_id: str,
        source: str,
        knows: Callable[[str], bool],
        keep_bad_line: Callable[[BadLine], None],
        past: Past,
    ) -> None:
        self._site, self._boot_id, self._source = site, boot_id, source
        self._knows, self._keep_bad_line, self._past = knows, keep_bad_line, past
        self._sensors: set[str] = set()
        self._seq = 0
        self._settled = -1
        self._tick: Tick | None = None

    @property
    def ahead(self) -> int:
        """Readings sent that are not yet stored and judged."""
        return self._seq - 1 - self._settled

    def start(self) -> Iterator[Message]:
        """Yields what a first start owes to the past."""
        yield from self._past

    def handle(self, message: Message | Measurement | BadLine) -> Iterator[Message]:
        if isinstance(message, Measurement):
            yield self._accept(message)
        elif isinstance(message, BadLine):
            self._keep_bad_line(message)
            yield Rejected(self._site, f"{message.file}:{message.number}", message.reason, message.raw[:4000])
        elif isinstance(message, Tick) and (self._tick is None or message.at > self._tick.at):
            self._tick = message
            yield message
        elif isinstance(message, Stored) and message.boot_id == self._boot_id:
            self._settled = min(message.seq, message.judged)

    def settle(self) -> Iterator[Message]:
        """Called first when the past is safe with the broker."""
        self._past.done()
        return iter(())

    def _accept(self, measurement: Measurement) -> Message:
        """A Reading, or why there is none."""
        sensor, flow_rate, pressure = measurement.sensor, measurement.flow_rate, measurement.pressure
        if reason := self._refusal(sensor, flow_rate, pressure):
            return Rejected(self._site, self._source, reason, str(measurement))
        reading = Reading(
            self._site, sensor, measurement.at, flow_rate, pressure, self._boot_id, self._seq, self._source
        )
        self._seq += 1
        return reading

    def _refusal(self, sensor: str, flow_rate: float | None, pressure: float | None) -> str:
        if sensor not in self._sensors:
            if not self._knows(sensor):
                return f"site.toml has no [sensors.{sensor}]"
            if len(self._sensors) >= MOST_SENSORS:
                return f"more than {MOST_SENSORS} sensors"
            self._sensors.add(sensor)
        if abs(flow_rate or 0.0) > LARGEST or abs(pressure or 0.0) > LARGEST:
            return f"no meter shows more than {LARGEST:g}"
        return ""

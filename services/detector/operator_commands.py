"""Commands of operators on alarms: acknowledge, take it back, close with a cause, silence."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import ClassVar, Protocol, get_args

from services.detector.alarm_lifecycle import OperatorEntry
from services.detector.sensor_monitor import SensorMonitor
from shared.contract.messages import Anomaly, Cause, Command, LocalizedText, Message, Method, Response
from shared.contract.texts import localized

MAX_SILENCE = timedelta(days=7)
"""Longest silence; it may be set again."""
MAX_AHEAD = timedelta(days=366)
"""How far ahead a silence may begin."""
CAUSES: dict[str, Cause] = {cause: cause for cause in get_args(Cause)}
METHODS: tuple[Method, ...] = get_args(Method)

ACKNOWLEDGED = LocalizedText("{id}: 확인했습니다", "{id}: acknowledged")
UNACKNOWLEDGED = LocalizedText("{id}: 확인을 취소했습니다", "{id}: no longer acknowledged")
CLOSED = LocalizedText("{id}: 종결했습니다", "{id}: closed")
UNKNOWN_ANOMALY = LocalizedText("ID가 {id!r}인 이상이 없습니다", "no anomaly has the id {id!r}")
UNKNOWN_CAUSE = LocalizedText(
    "원인 {cause!r}: 다음 중 하나를 지정하세요: {causes}", "unknown cause {cause!r}: expected one of {causes}"
)
UNKNOWN_METHOD = LocalizedText(
    "방법 {method!r}: 다음 중 하나를 지정하세요: {methods}", "unknown method {method!r}: expected one of {methods}"
)
INVALID_MINUTES = LocalizedText(
    "minutes {minutes!r}: 0에서 {maximum} 사이의 정수를 지정하세요", "minutes must be 0 to {maximum}, not {minutes!r}"
)
INVALID_SPAN = LocalizedText(
    "{start!r}부터 {until!r}까지: 2026-03-01T09:00 형식으로, 끝이 시작보다 늦고 길이가 7일 이하이도록 지정하세요",
    "from {start!r} until {until!r}: write times as 2026-03-01T09:00; the end is later, by 7 days at most",
)
UNKNOWN_SENSOR = LocalizedText("{sensor} 계측값이 아직 들어오지 않았습니다", "no reading received yet from {sensor}")
NO_SENSOR = LocalizedText("아직 들어온 계측값이 없습니다", "no reading received yet from any sensor")
SILENCED = LocalizedText(
    "{start}부터 {until}까지 경보를 내지 않습니다", "alarms are suppressed from {start} until {until}"
)
SILENCE_ENDED = LocalizedText("경보를 다시 냅니다", "alarms are enabled again")
"""Texts of responses."""


class InvalidCommand(Exception):
    """A command can't be carried out; `text` says why."""

    def __init__(self, text: LocalizedText, **values: object) -> None:
        super().__init__(text.en)
        self.text = localized(text.ko, text.en, **values)


class AnomalyArchive(Protocol):
    """What the commands need of the stored history."""

    def anomaly(self, sensor: str, id_: str) -> Anomaly | None: ...


class OperatorCommands:
    """Carries out commands on the monitors of the sensors, by name, at the time of the newest tick."""

    def __init__(self, archive: AnomalyArchive, monitors: Mapping[str, SensorMonitor], now: datetime | None) -> None:
        self._archive, self._monitors, self._now = archive, monitors, now

    def carry_out(self, command: Command) -> Iterator[Message]:
        """Yield the changed anomalies and the response."""
        try:
            if self._now is None:
                raise InvalidCommand(NO_SENSOR)
            text, changed = self.HANDLERS[command.name](self, command.arguments, self._now)
            yield from changed
            yield _response(command, text, ok=True)
        except InvalidCommand as invalid:
            yield _response(command, invalid.text, ok=False)

    def _acknowledge(self, arguments: Mapping[str, str], now: datetime) -> tuple[LocalizedText, list[Anomaly]]:
        """Acknowledge an anomaly, with the operator's name, note and confirmed cause if given."""
        entry = _entry(arguments, acknowledged=True)
        return _about(ACKNOWLEDGED, arguments), self._edit(arguments, now, entry)

    def _unacknowledge(self, arguments: Mapping[str, str], now: datetime) -> tuple[LocalizedText, list[Anomaly]]:
        """Take an acknowledgement back."""
        entry = _entry(arguments, acknowledged=False)
        return _about(UNACKNOWLEDGED, arguments), self._edit(arguments, now, entry)

    def _close(self, arguments: Mapping[str, str], now: datetime) -> tuple[LocalizedText, list[Anomaly]]:
        """Close an anomaly with its confirmed cause; end a silence."""
        id_, text = arguments.get("id", ""), _about(CLOSED, arguments)
        for monitor in self._monitors.values():
            if changed := list(monitor.end_silence(id_, now, arguments.get("by", ""))):
                return text, changed
        if not arguments.get("cause"):
            raise InvalidCommand(UNKNOWN_CAUSE, cause="", causes=", ".join(CAUSES))
        return text, self._edit(arguments, now, _entry(arguments, acknowledged=True, closed=True))

    def _edit(self, arguments: Mapping[str, str], now: datetime, entry: OperatorEntry) -> list[Anomaly]:
        """Return the anomaly with what the operator entered: an open one, or a stored one. Raises InvalidCommand."""
        id_ = arguments.get("id", "")
        for monitor in self._monitors.values():
            if changed := list(monitor.edit_alarm(id_, now, entry)):
                return changed
        for sensor in self._monitors:
            if stored := self._archive.anomaly(sensor, id_):
                return [entry.apply(stored, now)]
        raise InvalidCommand(UNKNOWN_ANOMALY, id=id_)

    def _silence(self, arguments: Mapping[str, str], now: datetime) -> tuple[LocalizedText, list[Anomaly]]:
        """Open no alarm for a while: at a sensor or all, of a method or all, from now or from a later time on."""
        sensor, method = arguments.get("sensor", ""), arguments.get("method", "")
        if method not in ("", *METHODS):
            raise InvalidCommand(UNKNOWN_METHOD, method=method, methods=", ".join(METHODS))
        start, until = _span(arguments, now)
        monitors = [monitor for name, monitor in self._monitors.items() if sensor in ("", name)]
        if not monitors:
            raise InvalidCommand(UNKNOWN_SENSOR if sensor else NO_SENSOR, sensor=sensor)
        methods = (METHODS[METHODS.index(method)],) if method else METHODS
        entry = _entry(arguments, acknowledged=True)
        changed = [anomaly for monitor in monitors for anomaly in monitor.silence(now, start, until, methods, entry)]
        if until <= start:
            return SILENCE_ENDED, changed
        times = {"start": f"{start:%Y-%m-%d %H:%M}", "until": f"{until:%Y-%m-%d %H:%M}"}
        return localized(SILENCED.ko, SILENCED.en, **times), changed

    HANDLERS: ClassVar[dict[str, Callable[..., tuple[LocalizedText, list[Anomaly]]]]] = {
        "acknowledge": _acknowledge,
        "unacknowledge": _unacknowledge,
        "close": _close,
        "silence": _silence,
    }


def _entry(arguments: Mapping[str, str], acknowledged: bool, closed: bool = False) -> OperatorEntry:
    """Return what an operator entered. Raises InvalidCommand for an unknown cause."""
    cause = arguments.get("cause", "")
    if cause and cause not in CAUSES:
        raise InvalidCommand(UNKNOWN_CAUSE, cause=cause, causes=", ".join(CAUSES))
    note = arguments.get("note", "") or arguments.get("reason", "")
    return OperatorEntry(arguments.get("by", ""), note, CAUSES.get(cause), acknowledged, closed)


def _span(arguments: Mapping[str, str], now: datetime) -> tuple[datetime, datetime]:
    """Return start and end of a silence, given by `minutes`, or by `from` and `until`. Raises InvalidCommand."""
    minutes, until = arguments.get("minutes", ""), arguments.get("until", "")
    if not until:
        maximum = int(MAX_SILENCE.total_seconds()) // 60
        if not (minutes.isascii() and minutes.isdigit() and int(minutes) <= maximum):
            raise InvalidCommand(INVALID_MINUTES, maximum=maximum, minutes=minutes)
        return now, now + timedelta(minutes=int(minutes))
    start = arguments.get("from", "")
    try:
        first, last = (_local_time(text, now) for text in (start or now.isoformat(), until))
    except ValueError:
        first = last = now
    first = max(first, now)
    if not timedelta(0) < last - first <= MAX_SILENCE or first - now > MAX_AHEAD:
        raise InvalidCommand(INVALID_SPAN, start=start, until=until)
    return first, last


def _local_time(text: str, now: datetime) -> datetime:
    """Return a time; without an offset it is the site's. Raises ValueError."""
    at = datetime.fromisoformat(text)
    return at.replace(tzinfo=now.tzinfo) if at.tzinfo is None else at.astimezone(now.tzinfo)


def _about(text: LocalizedText, arguments: Mapping[str, str]) -> LocalizedText:
    return localized(text.ko, text.en, id=arguments.get("id", ""))


def _response(command: Command, text: LocalizedText, ok: bool) -> Response:
    return Response(site=command.site, name=command.name, transaction=command.transaction, ok=ok, text=text)

"""The commands `retire` and `rename` of `./wvr sensors`."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Protocol

from shared.contract.messages import Command, LocalizedText, Message, Progress, Response, SensorRetired, is_valid_name
from shared.contract.texts import localized

SILENT_FOR = timedelta(minutes=10)
"""A sensor without a reading for so long can be retired or renamed: the next reading would bring it back."""


class SensorStore(Protocol):
    """What the commands need of the recorder. All raise Unavailable."""

    def newest_reading(self, site: str, sensor: str) -> int | None: ...
    def count_shared_minutes(self, site: str, old: str, new: str) -> int: ...
    def retire(self, site: str, sensor: str) -> None: ...
    def rename(self, site: str, old: str, new: str) -> None: ...


class SensorCommands:
    """Carries out waiting commands after a batch is stored."""

    def __init__(self, site: str, store: SensorStore) -> None:
        self._site, self._store = site, store
        self._waiting = deque[Command]()

    def on_command(self, command: Command) -> None:
        """Let a command wait until the batch is stored."""
        self._waiting.append(command)

    def run(self, now: datetime) -> Iterator[Message]:
        """Yield what follows from the waiting commands. Raises Unavailable and can be called again."""
        while self._waiting:
            yield from list(self._carry_out(self._waiting[0], now))
            self._waiting.popleft()

    def _carry_out(self, command: Command, now: datetime) -> Iterator[Message]:
        sensor, new = command.arguments.get("sensor", ""), command.arguments.get("to", "")
        if refusal := refusal_text(self._store, self._site, command, now):
            yield self._response(command, False, refusal)
        elif command.name == "retire":
            self._store.retire(self._site, sensor)
            yield SensorRetired(self._site, sensor, now)
            yield self._response(command, True, retired_text(sensor))
        else:
            self._store.rename(self._site, sensor, new)
            text = renamed_text(sensor, new)
            yield SensorRetired(self._site, sensor, now)
            # As after an import, all services learn from the history that the sensor has now.
            yield Progress(site=self._site, at=now, job="import", step=1, of=1, eta=None, text=text)
            yield self._response(command, True, text)

    def _response(self, command: Command, ok: bool, text: LocalizedText) -> Response:
        return Response(site=self._site, name=command.name, transaction=command.transaction, ok=ok, text=text)


def refusal_text(store: SensorStore, site: str, command: Command, now: datetime) -> LocalizedText | None:
    """Return why a command can't be carried out; None if it can. Raises Unavailable."""
    sensor, new = command.arguments.get("sensor", ""), command.arguments.get("to", "")
    newest = store.newest_reading(site, sensor)
    if newest is None:
        return localized("{sensor} 계측값이 없습니다", "there are no readings of {sensor}", sensor=sensor)
    at = datetime.fromtimestamp(newest, now.tzinfo)
    if now - at < SILENT_FOR:
        return localized(
            "{sensor} 계측값이 {at:%H:%M}에도 들어왔습니다: 계측기나 파일의 전송을 멈춘 뒤 10분 후에 다시 시도하세요",
            "{sensor} still sends readings, the newest of {at:%H:%M}: stop its meter or file, retry 10 minutes later",
            sensor=sensor,
            at=at,
        )
    if command.name == "retire":
        return None
    if not new or len(new) > 64 or not is_valid_name(new) or new == sensor:
        return localized(
            "새 이름 {new!r}: 공백과 /+#,; 없이 64자 이하의 다른 이름을 지정하세요",
            "new name {new!r}: expected another name of up to 64 characters without blanks and /+#,;",
            new=new,
        )
    if shared := store.count_shared_minutes(site, sensor, new):
        return localized(
            "{sensor}와(과) {new}의 계측값이 {count}분 겹칩니다: 두 센서는 합칠 수 없습니다",
            "{sensor} and {new} both have readings of the same minutes ({count}): two meters can't become one",
            sensor=sensor,
            new=new,
            count=shared,
        )
    return None


def retired_text(sensor: str) -> LocalizedText:
    """Return what has happened to a retired sensor."""
    return localized(
        "{sensor}을(를) 사용 중지했습니다. 이력은 남고, 계측값이 다시 들어오면 다시 사용합니다",
        "{sensor} is retired; its history stays, and its next reading makes it active again",
        sensor=sensor,
    )


def renamed_text(sensor: str, new: str) -> LocalizedText:
    """Return what has happened to a renamed sensor."""
    return localized(
        "{sensor}의 이력을 {new}(으)로 옮겼습니다",
        "the history of {sensor} now belongs to {new}",
        sensor=sensor,
        new=new,
    )

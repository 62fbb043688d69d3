"""A service in its own process: `python -m … PORT SECRETS ROUND`. It answers each tick with a progress."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import ClassVar

from shared.contract.messages import Message, Progress, Tick
from shared.contract.texts import technical
from shared.runtime import loop
from shared.runtime.applied_settings import watch_applied
from shared.runtime.log import start_logging
from shared.runtime.mqtt_bus import MqttBus
from shared.settings import Settings
from shared.settings.sections import Broker

LONG, ENDLESS = 12, 13
"""Minutes whose handling takes very long, or never ends."""
LONG_SECONDS = 2.0


class FakeService:
    name: ClassVar[str] = "small"
    consumes: ClassVar[tuple[type[Message], ...]] = (Tick,)
    produces: ClassVar[tuple[type[Message], ...]] = (Progress,)
    commands: ClassVar[tuple[str, ...]] = ()

    def start(self) -> Iterable[Message]:
        return ()

    def handle(self, message: Message) -> Iterator[Message]:
        assert isinstance(message, Tick)
        until = time.monotonic() + LONG_SECONDS
        while message.at.minute == ENDLESS or (message.at.minute == LONG and time.monotonic() < until):
            pass
        yield Progress(
            site="site1", at=message.at, job="training", step=message.at.minute, of=60, eta=None, text=technical("")
        )

    def end_batch(self) -> Iterable[Message]:
        return ()


if __name__ == "__main__":
    setattr(loop, "watch_applied", partial(watch_applied, poll_seconds=0.1, settle_seconds=0.1))  # noqa: B010
    port, secrets, seconds = sys.argv[1:]
    settings = Settings(secrets=Path(secrets), broker=Broker(port=int(port)))
    start_logging(settings.zone)
    loop.run(FakeService(), MqttBus("small", settings, round_seconds=float(seconds)))

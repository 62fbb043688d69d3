"""The dashboard as a service: messages of the site in, state of the open pages out. Commands leave by `operator.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import ClassVar

from services.dashboard.live_state import LiveState
from shared.contract.messages import Command, Message, Response


class Dashboard:
    """Keeps the state of the site and tells the pages which message has changed it."""

    name: ClassVar[str] = "dashboard"
    consumes: ClassVar[tuple[type[Message], ...]] = (*LiveState.HANDLERS, Response)
    produces: ClassVar[tuple[type[Message], ...]] = (Command,)
    commands: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self, live: LiveState, on_change: Callable[[Message], None], on_response: Callable[[Response], None]
    ) -> None:
        self._live, self._on_change, self._on_response = live, on_change, on_response

    def start(self) -> Iterable[Message]:
        return ()

    def handle(self, message: Message) -> Iterable[Message]:
        if isinstance(message, Response):
            self._on_response(message)
        else:
            self._live.apply(message)
            self._on_change(message)
        return ()

    def end_batch(self) -> Iterable[Message]:
        return ()

"""Sends the commands of an operator and awaits their responses."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from shared.contract.messages import Command, CommandName, LocalizedText, Response
from shared.runtime.log import log

RESPONSE_SECONDS = 2.0
"""Time that a service has for its response."""


@dataclass(frozen=True)
class Outcome:
    """What became of a command."""

    state: Literal["done", "refused", "no_answer", "broker_away"]
    text: LocalizedText | None = None
    """The text of the service; None without a response."""


class Operator:
    """The only sender of commands. `publish` sends one to the broker and may be called from any thread."""

    def __init__(self, site: str, publish: Callable[[Command], None], is_connected: Callable[[], bool]) -> None:
        self._site, self._publish, self._is_connected = site, publish, is_connected
        self._waiting: dict[str, tuple[asyncio.AbstractEventLoop, asyncio.Future[Response]]] = {}
        """Transaction to the future of its response."""

    async def send(self, name: CommandName, who: str, **arguments: str) -> Outcome:
        """Send a command; return the outcome after at most RESPONSE_SECONDS."""
        command = Command(self._site, name, uuid.uuid4().hex[:12], arguments)
        outcome = await self._send(command) if self._is_connected() else Outcome("broker_away")
        log("dashboard", "command_sent", command=name, who=who, outcome=outcome.state, arguments=arguments)
        return outcome

    async def _send(self, command: Command) -> Outcome:
        loop = asyncio.get_running_loop()
        response: asyncio.Future[Response] = loop.create_future()
        self._waiting[command.transaction] = (loop, response)
        try:
            async with asyncio.timeout(RESPONSE_SECONDS):
                await asyncio.to_thread(self._publish, command)
                answer = await response
        except TimeoutError:
            return Outcome("no_answer")
        finally:
            del self._waiting[command.transaction]
        return Outcome("done" if answer.ok else "refused", answer.text)

    def on_response(self, response: Response) -> None:
        """Hand a response to the request that waits for it; called by the bus thread."""
        if waiting := self._waiting.get(response.transaction):
            loop, future = waiting
            loop.call_soon_threadsafe(lambda: None if future.done() else future.set_result(response))

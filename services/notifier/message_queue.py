"""Messages on disk until they are sent or given up: one file each, so that `kill -9` loses none and repeats none."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from services.notifier.incident import elapsed
from services.notifier.state import Outgoing
from shared.contract.service import Unavailable
from shared.contract.status_codes import problem
from shared.runtime.log import log
from shared.runtime.safe_files import fsync_path, read_limited, write_atomic

MAX_MESSAGE_BYTES = 100_000
FINISHED_RETENTION = timedelta(days=2)
"""Longer than a message is tried: within it, a finished key is never queued again."""
Result = Literal["sent", "given_up"]
_ADAPTER = TypeAdapter(Outgoing)


class MessageQueue:
    """`waiting/KEY.json` of each message to send; it moves to `sent/` or `given_up/` once that is settled.

    A rename is atomic: after a crash a message is either waiting, and sent again with the same key, or settled.
    """

    def __init__(self, folder: Path) -> None:
        self._waiting = folder / "waiting"
        self._finished: dict[Result, Path] = {"sent": folder / "sent", "given_up": folder / "given_up"}
        self._lock = threading.Lock()
        for path in (self._waiting, *self._finished.values()):
            path.mkdir(parents=True, exist_ok=True)
        self._unwritten, self._settled = set[str](), set[str]()
        """Keys in memory only, because the disk was full: those that wait, and those that were settled meanwhile."""
        self._messages = {message.key: message for path in self._waiting.glob("*.json") if (message := _read(path))}

    def put(self, message: Outgoing) -> None:
        """Queue a message, unless its key was queued before.

        Raises Unavailable while the disk is full: the message is in memory then, is sent, and can be put again.
        """
        key, name = message.key, f"{message.key}.json"
        with self._lock:
            is_known = key in self._messages and key not in self._unwritten
            if is_known or key in self._settled or any((path / name).exists() for path in self._finished.values()):
                return
            self._messages.setdefault(key, message)
            self._unwritten.add(key)
            self._write(self._messages[key])
            self._unwritten.discard(key)

    def drop_others(self, contacts: Collection[str]) -> None:
        """Give up messages to contacts that are no more in site.toml. Raises OSError."""
        for message in [message for message in self._messages.values() if message.contact not in contacts]:
            self.finish(message.key, "given_up")

    def waiting(self, contact: str) -> list[Outgoing]:
        """Return the messages to a contact that are not settled, oldest first."""
        with self._lock:
            messages = [message for message in self._messages.values() if message.contact == contact]
        return sorted(messages, key=lambda message: (message.at, message.key))

    def record_failure(self, key: str) -> Outgoing:
        """Count a failed attempt; a full disk does not prevent the next one."""
        with self._lock:
            message = replace(self._messages[key], attempts=self._messages[key].attempts + 1)
            self._messages[key] = message
            try:
                self._write(message)
            except Unavailable:
                log("notifier", "attempt_not_recorded", logging.WARNING, key=key)
        return message

    def finish(self, key: str, result: Result) -> None:
        """Record that a message was sent or given up. Raises OSError, and then it is still waiting."""
        with self._lock:
            path = self._waiting / f"{key}.json"
            if key in self._unwritten:
                self._unwritten.discard(key)
                self._settled.add(key)
            else:
                path.rename(self._finished[result] / path.name)
                fsync_path(self._finished[result])
                fsync_path(self._waiting)
            del self._messages[key]

    def prune(self, now: datetime) -> None:
        """Delete what was settled long ago."""
        for folder in self._finished.values():
            for path in folder.glob("*.json"):
                settled_at = datetime.fromtimestamp(path.stat().st_ctime, now.tzinfo)
                if elapsed(settled_at, now) >= FINISHED_RETENTION:
                    path.unlink(missing_ok=True)

    def _write(self, message: Outgoing) -> None:
        try:
            write_atomic(self._waiting / f"{message.key}.json", _ADAPTER.dump_json(message))
        except OSError as error:
            reason = error.strerror or os.strerror(error.errno or 0)
            raise Unavailable(problem("notifications_not_writable", reason=reason)) from error


def _read(path: Path) -> Outgoing | None:
    try:
        return _ADAPTER.validate_json(read_limited(path, MAX_MESSAGE_BYTES))
    except (OSError, ValidationError) as error:
        log("notifier", "message_unreadable", logging.ERROR, file=path.name, reason=type(error).__name__)
        return None

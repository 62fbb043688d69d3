"""The state on disk: one JSON file, replaced whole."""

from __future__ import annotations

import logging
import secrets
from dataclasses import replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from services.notifier.state import State
from shared.contract.service import Unavailable
from shared.contract.status_codes import problem
from shared.runtime.log import log
from shared.runtime.safe_files import read_limited, write_atomic

MAX_STATE_BYTES = 20_000_000
"""Thousands of incidents with their texts."""
_ADAPTER = TypeAdapter(State)


class StateFile:
    """Reads the state at the start, and writes it when it has changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._written = b""
        path.parent.mkdir(parents=True, exist_ok=True)

    def restore(self) -> State:
        """Return the stored state; a new one if there is none, or if the file is damaged."""
        try:
            self._written = read_limited(self._path, MAX_STATE_BYTES)
            return replace(_ADAPTER.validate_json(self._written), run=_new_run())
        except FileNotFoundError:
            pass
        except (OSError, ValidationError) as error:
            log("notifier", "state_unreadable", logging.ERROR, file=self._path.name, reason=type(error).__name__)
        return State(run=_new_run())

    def save(self, state: State) -> None:
        """Write the state if it has changed. Raises Unavailable while the disk is full."""
        content = _ADAPTER.dump_json(state)
        if content == self._written:
            return
        try:
            write_atomic(self._path, content)
        except OSError as error:
            raise Unavailable(problem("notifications_not_writable", reason=error.strerror)) from error
        self._written = content


def _new_run() -> str:
    return secrets.token_hex(4)

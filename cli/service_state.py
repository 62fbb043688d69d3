"""State of one service for `./wvr status`, with its status code and note. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

HEALTHY_CODES = ("ok", "waiting_for_broker")
"""Codes of a service that works. A message through the broker ends `waiting_for_broker`."""
HEALTHY_STATES = ("healthy", "done")


class ServiceState(NamedTuple):
    """State of a process or container, and what its service says of itself."""

    state: str
    code: str = ""
    """Status code; empty unless the service is degraded."""
    note: str = ""

    @property
    def is_healthy(self) -> bool:
        return self.state in HEALTHY_STATES

    def __str__(self) -> str:
        return f"{self.state} [{self.code}] {self.note}".rstrip() if self.code else self.state


def with_heartbeat(heartbeat: Mapping[str, object]) -> ServiceState:
    """Return the state of a service with a fresh heartbeat, from the code and note in it."""
    code = str(heartbeat.get("code", ""))
    if not code:
        return ServiceState("degraded", "unknown", "its heartbeat has no status: an older version, or a full disk")
    return ServiceState("healthy") if code in HEALTHY_CODES else ServiceState("degraded", code, str(heartbeat["note"]))

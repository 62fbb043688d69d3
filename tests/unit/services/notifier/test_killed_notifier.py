"""Killed at any system call that changes a file, the notifier tells each incident once."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from queue import SimpleQueue

import pytest

from services.notifier.message_queue import MessageQueue
from services.notifier.sending import Attempt, ContactThread, drain
from services.notifier.service import Notifier
from services.notifier.state import Outgoing
from services.notifier.state_file import StateFile
from tests.unit.services.notifier.notifier_site import MONDAY, OPS, anomaly
from tests.unit.services.notifier.test_message_queue import FakeReceiver, Killed, killed_after

MAX_STEPS = 60
"""More system calls than an incident takes from its arrival to its end."""


class FakeThreads:
    """A queue on disk whose messages are sent when `send` is called."""

    def __init__(self, folder: Path, receiver: FakeReceiver) -> None:
        self._queue, self._attempts = MessageQueue(folder), SimpleQueue[Attempt]()
        self._thread = ContactThread("ops", receiver, self._queue, self._attempts, lambda: MONDAY)

    def put(self, message: Outgoing) -> None:
        self._queue.put(message)

    def attempts(self) -> Iterable[Attempt]:
        return drain(self._attempts)

    def prune(self, now: datetime) -> None:
        pass

    def send(self) -> None:
        self._thread.send_due()


def run_once(folder: Path, receiver: FakeReceiver, acknowledged: list[str]) -> None:
    """Run from a start until everything is sent; the broker delivers what was not acknowledged."""
    clock = [MONDAY]
    threads = FakeThreads(folder / "queue", receiver)
    service = Notifier([OPS], "site1", "site1", StateFile(folder / "state.json"), threads, lambda: clock[0])
    list(service.start())
    for name in ("a", "b"):
        if name not in acknowledged:
            list(service.handle(anomaly(name)))
            list(service.end_batch())
            acknowledged.append(name)
        clock[0] += timedelta(minutes=1)
        list(service.end_batch())
        threads.send()
        list(service.end_batch())


@pytest.mark.parametrize("steps", range(MAX_STEPS))
def test_each_incident_is_sent_once(tmp_path: Path, steps: int) -> None:
    receiver, acknowledged = FakeReceiver(), list[str]()
    was_killed = False
    try:
        with killed_after(steps):
            run_once(tmp_path, receiver, acknowledged)
    except Killed:
        was_killed = True
    run_once(tmp_path, receiver, acknowledged)
    assert len(set(receiver.keys)) == 2 or (was_killed and len(set(receiver.keys)) == 1), "both in one message"
    assert len(receiver.keys) <= len(set(receiver.keys)) + was_killed
    state = StateFile(tmp_path / "state.json").restore()
    assert {key for key, incident in state.incidents.items() if "ops" in incident.notices} == {"a", "b"}


def test_the_kills_cover_a_whole_run(tmp_path: Path) -> None:
    with killed_after(MAX_STEPS):
        run_once(tmp_path, FakeReceiver(), [])

"""The queue on disk: killed at any point, each message is sent at least once, and never again once that is recorded."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from queue import SimpleQueue
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notifier import message_queue
from services.notifier.message_queue import MessageQueue
from services.notifier.sending import Attempt, ContactThread, SendError, drain
from services.notifier.state import Outgoing
from shared.contract.service import Unavailable
from shared.runtime import safe_files
from tests.unit.services.notifier.notifier_site import MONDAY


class Killed(BaseException):
    """The process ends here."""


class FakeReceiver:
    """Receives messages; refuses the next `failures`."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.failures = 0

    def send(self, message: Outgoing) -> None:
        if self.failures:
            self.failures -= 1
            raise SendError("HTTP 503")
        self.keys.append(message.key)


def outgoing(key: str, at: datetime = MONDAY, contact: str = "ops") -> Outgoing:
    return Outgoing(
        key=key,
        contact=contact,
        severity="critical",
        state="opened",
        title="위험",
        text="파열",
        site="site1",
        sensor="001",
        at=at,
    )


def thread(messages: MessageQueue, receiver: FakeReceiver, now: datetime = MONDAY) -> ContactThread:
    return ContactThread("ops", receiver, messages, SimpleQueue[Attempt](), lambda: now, first_delay=0.0)


@contextmanager
def killed_after(steps: int) -> Iterator[None]:
    """Kill the process at a system call that changes a file or makes it safe."""
    left = [steps]

    def counted(call: object) -> object:
        def run(*arguments: object, **options: object) -> object:
            if left[0] == 0:
                raise Killed
            left[0] -= 1
            return call(*arguments, **options)  # type: ignore[operator]

        return run

    with (
        patch.object(os, "fsync", counted(os.fsync)),
        patch.object(Path, "replace", counted(Path.replace)),
        patch.object(Path, "rename", counted(Path.rename)),
        patch.object(safe_files, "fsync_path", counted(safe_files.fsync_path)),
        patch("services.notifier.message_queue.fsync_path", counted(safe_files.fsync_path)),
    ):
        yield


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 2)), max_size=6), st.integers(1, 4))
def test_killed_at_any_point_each_message_arrives(kills: list[tuple[int, int]], count: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder, receiver = Path(name), FakeReceiver()
        recorded: list[str] = []
        for steps, failures in [*kills, (10_000, 0)]:
            receiver.failures = failures
            before = len(receiver.keys)
            try:
                with killed_after(steps):
                    messages = MessageQueue(folder)
                    for number in range(count):
                        messages.put(outgoing(f"k{number}"))
                    for _ in range(3):
                        thread(messages, receiver).send_due()
            except Killed:
                pass
            assert not set(receiver.keys[before:]) & set(recorded), "a recorded message was sent again"
            recorded = [path.stem for path in (folder / "sent").iterdir()]
        assert {f"k{number}" for number in range(count)} == set(receiver.keys) == set(recorded)
        assert len(receiver.keys) <= count + len(kills)


def test_attempts_are_counted_across_restarts(tmp_path: Path) -> None:
    messages, receiver = MessageQueue(tmp_path), FakeReceiver()
    messages.put(outgoing("k"))
    receiver.failures = 2
    thread(messages, receiver).send_due()
    messages = MessageQueue(tmp_path)
    thread(messages, receiver).send_due()
    assert [message.attempts for message in messages.waiting("ops")] == [2]


def test_given_up_after_a_day_of_failures(tmp_path: Path) -> None:
    messages, receiver, attempts = MessageQueue(tmp_path), FakeReceiver(), SimpleQueue[Attempt]()
    messages.put(outgoing("k"))
    receiver.failures = 9
    for hours in (23, 24):
        now = MONDAY + timedelta(hours=hours)
        ContactThread("ops", receiver, messages, attempts, lambda now=now: now).send_due()  # type: ignore[misc]
    assert [(attempt.state, attempt.reason) for attempt in drain(attempts)] == [
        ("waiting", "HTTP 503"),
        ("given_up", "HTTP 503"),
    ]
    assert messages.waiting("ops") == []
    messages.put(outgoing("k"))
    assert MessageQueue(tmp_path).waiting("ops") == []


def test_a_failing_message_does_not_delay_the_next(tmp_path: Path) -> None:
    messages, receiver = MessageQueue(tmp_path), FakeReceiver()
    messages.put(outgoing("first"))
    messages.put(outgoing("second", MONDAY + timedelta(minutes=1)))
    receiver.failures = 1
    thread(messages, receiver).send_due()
    assert receiver.keys == ["second"]


@pytest.mark.parametrize("is_sent_meanwhile", [False, True])
def test_full_disk_delays_no_message_and_repeats_none(tmp_path: Path, is_sent_meanwhile: bool) -> None:
    messages, receiver = MessageQueue(tmp_path), FakeReceiver()
    full = OSError(errno.ENOSPC, "No space left on device")
    with patch.object(message_queue, "write_atomic", side_effect=full), pytest.raises(Unavailable, match="No space"):
        messages.put(outgoing("k"))
    if is_sent_meanwhile:
        thread(messages, receiver).send_due()
    messages.put(outgoing("k"))
    assert len(MessageQueue(tmp_path).waiting("ops")) == (not is_sent_meanwhile)
    thread(messages, receiver).send_due()
    assert receiver.keys == ["k"]


def test_damaged_file_stops_nothing(tmp_path: Path) -> None:
    MessageQueue(tmp_path).put(outgoing("k"))
    (tmp_path / "waiting/broken.json").write_text("{", encoding="ascii")
    assert [message.key for message in MessageQueue(tmp_path).waiting("ops")] == ["k"]


def test_settled_messages_are_deleted_after_two_days(tmp_path: Path) -> None:
    messages, receiver = MessageQueue(tmp_path), FakeReceiver()
    messages.put(outgoing("k"))
    thread(messages, receiver).send_due()
    now = datetime.now(MONDAY.tzinfo)
    messages.prune(now + timedelta(hours=47))
    assert len(list((tmp_path / "sent").iterdir())) == 1
    messages.prune(now + timedelta(hours=49))
    assert list((tmp_path / "sent").iterdir()) == []


def test_messages_to_a_removed_contact_are_dropped(tmp_path: Path) -> None:
    messages = MessageQueue(tmp_path)
    messages.put(outgoing("k", contact="former"))
    messages.drop_others(["ops"])
    assert MessageQueue(tmp_path).waiting("former") == []

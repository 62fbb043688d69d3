"""Tells people about incidents and failed services; describes the sensors to Home Assistant."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import ClassVar, Protocol

from services.notifier.contact import Contact
from services.notifier.daily import DailyReport
from services.notifier.discovery import Discovery
from services.notifier.incident_book import IncidentBook
from services.notifier.rules import GROUP_WAIT, HOUR, Rules
from services.notifier.sending import Attempt
from services.notifier.service_watch import ServiceWatch
from services.notifier.state import Outgoing, State
from shared.contract.messages import (
    AlarmSummary,
    Anomaly,
    Message,
    Notification,
    SensorRetired,
    SensorState,
    Status,
    Tick,
)
from shared.contract.service import Unavailable
from shared.contract.status_codes import NO_TEXT, Problem, problem
from shared.contract.texts import technical


class Store(Protocol):
    """The state on disk."""

    def restore(self) -> State:
        """Return the stored state, or a new one."""
        ...

    def save(self, state: State) -> None:
        """Write the state if it has changed. Raises Unavailable."""
        ...


class Messenger(Protocol):
    """The queue on disk, and the threads that send it."""

    def put(self, message: Outgoing) -> None:
        """Queue a message, unless its key was queued before. Raises Unavailable if it is in memory only."""
        ...

    def attempts(self) -> Iterable[Attempt]:
        """Yield what became of the attempts since the last call."""
        ...

    def prune(self, now: datetime) -> None:
        """Delete what was settled long ago."""
        ...


class Notifier:
    """Incidents in, messages to people out."""

    name: ClassVar[str] = "notifier"
    produces: ClassVar[tuple[type[Message], ...]] = (Notification,)
    commands: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        contacts: Sequence[Contact],
        site: str,
        place: str,
        store: Store,
        messenger: Messenger,
        now: Callable[[], datetime],
        discovery: Discovery | None = None,
        group_wait: timedelta = GROUP_WAIT,
    ) -> None:
        """`place` is the site's name for people; `discovery` describes the sensors to Home Assistant."""
        self._site, self._store, self._messenger, self._now, self._discovery = site, store, messenger, now, discovery
        self._state = store.restore()
        self._book = IncidentBook(self._state)
        self._rules = Rules(self._state, self._book, contacts, site, place, group_wait)
        self._watch = ServiceWatch(now())
        self._daily = DailyReport(self._state, self._rules, contacts, self._watch, site, place)
        self._failing: dict[str, Problem] = {}
        """Contact to the problem of its last attempt, if that failed."""
        self._unwritable: Problem | None = None
        self._is_idle = not contacts
        names = {contact.name for contact in contacts}
        self._state.given_up = {name: reason for name, reason in self._state.given_up.items() if name in names}
        self._pruned_at: datetime | None = None
        if self._is_idle:
            self._state.incidents.clear()

    def start(self) -> Iterator[Message]:
        return iter(())

    def handle(self, message: Message) -> Iterator[Message]:
        self.HANDLERS[type(message)](self, message)
        return iter(())

    def end_batch(self) -> Iterator[Message]:
        """Store what was received, queue what is due, and yield what became of messages.

        On a full disk all goes on in memory: people must learn of it. The broker repeats open incidents after a crash.
        """
        if self._discovery:
            self._state.discovered = self._discovery.announce(self._state.discovered)
        self.advance()
        if self._discovery:
            self._state.discovered = self._discovery.publish(self._state.discovered)
        for attempt in self._messenger.attempts():
            yield from self._on_attempt(attempt)

    def problems(self) -> list[Problem]:
        """Return the state of the disk, and the contacts that no message reaches."""
        given_up = [
            problem("notification_given_up", contact=contact, reason=reason)
            for contact, reason in self._state.given_up.items()
        ]
        unwritable = [self._unwritable] if self._unwritable else []
        return [*unwritable, *given_up, *self._failing.values()]

    def advance(self) -> None:
        """Queue what is due, also while the broker is away: its absence is what people must know of."""
        now = self._now()
        if not self._is_idle:
            if self._watch.is_settled(now):
                is_broker_present = not self._watch.is_broker_silent(now)
                self._book.on_service_problems(self._watch.problems(now), now, may_end=is_broker_present)
            self._state.handover += [*self._rules.decide(now), *self._daily.decide(now, self._state.given_up)]
        if self._pruned_at is None or abs(now - self._pruned_at) >= HOUR:
            self._pruned_at = now
            self._book.prune(now)
            self._messenger.prune(now)
        self._unwritable = None
        for call in (self._save, self._hand_over):
            try:
                call()
            except Unavailable as reason:
                self._unwritable = reason.problem

    def _save(self) -> None:
        self._store.save(self._state)

    def _hand_over(self) -> None:
        """Pass the messages to the queue. Raises Unavailable if one is in its memory only."""
        unwritable = None
        for message in list(self._state.handover):
            try:
                self._messenger.put(message)
                self._state.handover.remove(message)
            except Unavailable as reason:
                unwritable = reason
        if unwritable:
            raise unwritable

    def _on_attempt(self, attempt: Attempt) -> Iterator[Message]:
        message, contact = attempt.message, attempt.message.contact
        self._failing.pop(contact, None)
        if attempt.state == "sent":
            self._state.given_up.pop(contact, None)
        elif attempt.state == "given_up":
            self._state.given_up[contact] = attempt.reason
        else:
            self._failing[contact] = problem(
                "notification_failing", contact=contact, attempts=message.attempts, reason=attempt.reason
            )
            if message.attempts & (message.attempts - 1):
                return  # a message for each doubling of the attempts is enough
        yield Notification(
            site=self._site,
            at=self._now(),
            key=message.key,
            channel=contact,
            state=attempt.state,
            severity=message.severity,
            title=message.title,
            attempts=message.attempts,
            reason=technical(attempt.reason) if attempt.reason else NO_TEXT,
        )

    def _on_anomaly(self, anomaly: Anomaly) -> None:
        if not self._is_idle:
            self._book.on_anomaly(anomaly, self._now())

    def _on_summary(self, summary: AlarmSummary) -> None:
        self._book.on_summary(summary, self._now())

    def _on_status(self, status: Status) -> None:
        self._watch.on_status(status, self._now())

    def _on_tick(self, tick: Tick) -> None:
        self._daily.count_readings(tick.boot_id, tick.seq)

    def _on_sensor_state(self, state: SensorState) -> None:
        if state.service == "detector":
            self._daily.judged[state.sensor] = state.is_active
            if self._discovery:
                self._discovery.on_sensor(state.sensor)

    def _on_retired(self, retired: SensorRetired) -> None:
        self._book.on_retired(retired.sensor)
        self._daily.judged.pop(retired.sensor, None)
        if self._discovery:
            self._discovery.on_retired(retired.sensor)

    HANDLERS: ClassVar[dict[type[Message], Callable[..., None]]] = {
        Anomaly: _on_anomaly,
        AlarmSummary: _on_summary,
        SensorState: _on_sensor_state,
        SensorRetired: _on_retired,
        Status: _on_status,
        Tick: _on_tick,
    }
    consumes: ClassVar[tuple[type[Message], ...]] = tuple(HANDLERS)

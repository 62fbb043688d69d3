"""The rules: what is sent now, and to whom. Time is an argument."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from services.notifier.contact import SEVERITIES, Contact
from services.notifier.incident import Incident, Notice, elapsed
from services.notifier.incident_book import IncidentBook
from services.notifier.state import Outgoing, State
from services.notifier.texts import MAX_TEXT_CHARACTERS, Item, ItemState, body_of, text_of, title_of, urgency

GROUP_WAIT = timedelta(seconds=30)
"""Time for which the first of several incidents waits for the others."""
REMINDER_INTERVAL = timedelta(hours=4)
MAX_MESSAGES_PER_HOUR = 10
"""Messages to one contact; what follows comes as one digest."""
HOUR = timedelta(hours=1)


class Rules:
    """Decides what each contact is sent, from the incidents and what it was sent before."""

    def __init__(
        self,
        state: State,
        book: IncidentBook,
        contacts: Sequence[Contact],
        site: str,
        place: str,
        group_wait: timedelta = GROUP_WAIT,
    ) -> None:
        """`site` is the name in topics, `place` the one that people read."""
        self._state, self._book, self._contacts = state, book, contacts
        self._site, self._place, self._group_wait = site, place, group_wait

    def decide(self, now: datetime) -> Iterator[Outgoing]:
        """Yield the messages that are due, and record that they were sent."""
        for contact in self._contacts:
            items = list(self._due_items(contact, now))
            if items and self._has_waited(items, contact, now) and self._may_send(contact, now):
                yield self._send(contact, items, now)
        self._forget_ended()

    def next_key(self) -> str:
        """Return the key of a new message."""
        self._state.sequence += 1
        return f"{self._state.run}-{self._state.sequence}"

    def _due_items(self, contact: Contact, now: datetime) -> Iterator[Item]:
        """Yield what a contact has to know, the worst first, then the oldest."""
        incidents = [
            incident
            for incident in self._state.incidents.values()
            if contact.accepts(incident.severity)
            and contact.may_be_disturbed(incident.severity, now)
            and not self._book.is_silenced(incident, now)
        ]
        for incident in sorted(incidents, key=lambda item: (-SEVERITIES.index(item.severity), item.opened_at)):
            if state := self._state_for(contact, incident, now):
                yield Item(state, incident)

    def _state_for(self, contact: Contact, incident: Incident, now: datetime) -> ItemState | None:
        """Return why an incident belongs into the next message to a contact; None if it does not."""
        notice = incident.notices.get(contact.name)
        if not incident.is_open:
            if not self._waits_for(contact, incident):
                return None
            return "cleared" if notice else "passed"
        if incident.acknowledged:
            return None
        if notice is None or SEVERITIES.index(notice.severity) < SEVERITIES.index(incident.severity):
            return "opened" if elapsed(incident.noticed_at, now) >= contact.after else None
        return "reminder" if elapsed(notice.at, now) >= REMINDER_INTERVAL else None

    def _has_waited(self, items: Sequence[Item], contact: Contact, now: datetime) -> bool:
        """Whether the first of these incidents has waited for others long enough."""
        return any(
            item.state == "reminder"
            or elapsed(item.incident.clearance_noticed_at or item.incident.noticed_at + contact.after, now)
            >= self._group_wait
            for item in items
        )

    def _may_send(self, contact: Contact, now: datetime) -> bool:
        """Whether the limit of messages an hour allows one more; forget those that are older."""
        recent = [at for at in self._state.sent.get(contact.name, []) if elapsed(at, now) < HOUR]
        self._state.sent[contact.name] = recent
        return len(recent) < MAX_MESSAGES_PER_HOUR

    def _send(self, contact: Contact, items: Sequence[Item], now: datetime) -> Outgoing:
        sensors = {item.incident.sensor for item in items}
        recent = self._state.sent[contact.name]
        recent.append(now)
        text = body_of(items, contact, now)
        if len(recent) == MAX_MESSAGES_PER_HOUR:
            limit = text_of("limit", contact.language, limit=MAX_MESSAGES_PER_HOUR, at=f"{recent[0] + HOUR:%H:%M}")
            text = f"{text}\n{limit}"
        key = self.next_key()
        for item in items:
            if item.incident.is_open:
                item.incident.notices[contact.name] = Notice(item.incident.severity, now)
            else:
                item.incident.informed.add(contact.name)
        return Outgoing(
            key=key,
            contact=contact.name,
            severity=urgency(items),
            state=items[0].state if len(items) == 1 else "group",
            title=title_of(items, self._place, contact.language, now),
            text=f"{text}\n{text_of('key', contact.language, key=key)}"[: MAX_TEXT_CHARACTERS + 500],
            site=self._site,
            sensor=sensors.pop() if len(sensors) == 1 else "",
            at=now,
        )

    def _forget_ended(self) -> None:
        """Forget what has ended and what every contact has been sent that has to know of it."""
        for key, incident in list(self._state.incidents.items()):
            if not incident.is_open and not any(self._waits_for(contact, incident) for contact in self._contacts):
                self._book.forget(key)

    def _waits_for(self, contact: Contact, incident: Incident) -> bool:
        """Whether a contact has yet to be sent that an incident has ended."""
        if not contact.accepts(incident.severity) or contact.name in incident.informed:
            return False
        return contact.name in incident.notices or not (contact.after or incident.acknowledged)

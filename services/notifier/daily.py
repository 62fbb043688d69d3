"""The daily message: all is well, or what is not. Its absence says that the notifier itself has failed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta

from services.notifier.contact import SEVERITIES, Contact, minute_of_day, worst
from services.notifier.incident import Incident
from services.notifier.rules import Rules
from services.notifier.service_watch import ServiceWatch
from services.notifier.state import Outgoing, State
from services.notifier.texts import Item, body_of, text_of

ONE_DAY = timedelta(days=1)


class DailyReport:
    """Reports once a day to each contact."""

    def __init__(
        self,
        state: State,
        rules: Rules,
        contacts: Sequence[Contact],
        watch: ServiceWatch,
        site: str,
        place: str,
    ) -> None:
        self._state, self._rules, self._contacts, self._watch = state, rules, contacts, watch
        self._site, self._place = site, place
        self.judged: dict[str, bool] = {}
        """Sensor to whether the detector judges it."""
        self.seq = -1
        """Newest reading of the present spool."""

    def count_readings(self, boot_id: str, seq: int) -> bool:
        """Take the number of the newest reading; return whether a new spool has begun."""
        self.seq = max(seq, self.seq) if boot_id == self._state.boot_id else seq
        if not boot_id or boot_id == self._state.boot_id:
            return False
        self._state.boot_id, self._state.seq = boot_id, seq
        return True

    def decide(self, now: datetime, given_up: Collection[str]) -> Iterator[Outgoing]:
        """Yield the daily messages that are due; `given_up` are the contacts whose last message failed for good."""
        due = [contact for contact in self._contacts if self._is_due(contact, now)]
        if not due or not self._watch.is_settled(now):
            return
        for contact in due:
            self._state.daily[contact.name] = now.date()
            yield self._report(contact, now, bool(given_up))
        self._state.seq = max(self.seq, self._state.seq)

    def _is_due(self, contact: Contact, now: datetime) -> bool:
        """Whether the time of the day has passed since the last message; a new contact waits for the next time."""
        if contact.daily is None:
            return False
        has_passed = minute_of_day(now) >= contact.daily
        last = self._state.daily.setdefault(contact.name, now.date() if has_passed else now.date() - ONE_DAY)
        return has_passed and last != now.date()

    def _report(self, contact: Contact, now: datetime, has_given_up: bool) -> Outgoing:
        language = contact.language
        open_incidents = self._open_incidents()
        readings = max(0, self.seq - self._state.seq)
        lines = [
            text_of(
                "daily.counts",
                language,
                readings=f"{readings:,}",
                open=len(open_incidents),
                healthy=self._watch.healthy,
                judged=sum(self.judged.values()),
                sensors=len(self.judged),
            )
        ]
        is_well = not open_incidents and readings > 0 and not has_given_up
        if not readings:
            lines.append(text_of("daily.no_readings", language))
        if has_given_up:
            lines.append(text_of("daily.given_up", language))
        if open_incidents:
            lines.append(body_of([Item("opened", incident) for incident in open_incidents], contact, now))
        key = self._rules.next_key()
        lines.append(text_of("key", language, key=key))
        title = "daily.well.title" if is_well else "daily.wrong.title"
        return Outgoing(
            key=key,
            contact=contact.name,
            severity="info" if is_well else worst([incident.severity for incident in open_incidents]),
            state="daily",
            title=text_of(title, language, place=self._place),
            text="\n".join(lines),
            site=self._site,
            sensor="",
            at=now,
        )

    def _open_incidents(self) -> list[Incident]:
        """Return what is open and more than information, the worst first."""
        incidents = [
            incident for incident in self._state.incidents.values() if incident.is_open and incident.severity != "info"
        ]
        return sorted(incidents, key=lambda incident: (-SEVERITIES.index(incident.severity), incident.opened_at))

"""What is notified, when and to whom."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple, get_args

import pytest

from services.notifier.contact import Contact, contacts_of
from services.notifier.rules import MAX_MESSAGES_PER_HOUR
from services.notifier.sending import Attempt
from services.notifier.service_watch import CODE_SEVERITIES
from services.notifier.texts import TEXTS
from shared.contract.messages import AlarmSummary, Notification, SensorRetired, StatusCode
from shared.settings.notify import Notify
from tests.unit.services.notifier.notifier_site import (
    MONDAY,
    OPS,
    NotifierSite,
    anomaly,
    cleared,
    judged,
    tick,
    works,
)
from tests.unit.test_status_codes import placeholders

SECONDS, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
NIGHT = MONDAY.replace(hour=23)
QUIET = replace(OPS, quiet=(22 * 60, 7 * 60))
SECOND = replace(OPS, name="boss", after=15 * MINUTE)


class Case(NamedTuple):
    """An anomaly that stays open, and whether a contact is notified of it within an hour."""

    name: str
    contact: Contact
    severity: str
    at: datetime
    is_notified: bool


CASES = (
    Case("critical by day", OPS, "critical", MONDAY, True),
    Case("warning by day", OPS, "warning", MONDAY, True),
    Case("information never", OPS, "info", MONDAY, False),
    Case("critical in quiet hours", QUIET, "critical", NIGHT, True),
    Case("warning in quiet hours", QUIET, "warning", NIGHT, False),
    Case("warning after midnight", QUIET, "warning", MONDAY.replace(hour=5), False),
    Case("warning at the end of quiet hours", QUIET, "warning", MONDAY.replace(hour=7), True),
    Case("warning before quiet hours of one day", replace(OPS, quiet=(720, 770)), "warning", MONDAY, True),
    Case("warning in quiet hours of one day", replace(OPS, quiet=(720, 850)), "warning", MONDAY, False),
    Case("warning to a contact for critical ones", replace(OPS, severity="critical"), "warning", MONDAY, False),
    Case("critical to a contact for critical ones", replace(OPS, severity="critical"), "critical", MONDAY, True),
)


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_severity_and_quiet_hours(tmp_path: Path, case: Case) -> None:
    site = NotifierSite(tmp_path, [case.contact], case.at)
    site.receive(anomaly(at=case.at, severity=case.severity))
    site.pass_time(HOUR - MINUTE if case.at.hour != 13 else 30 * MINUTE)
    assert bool(site.take()) is case.is_notified


def test_incidents_of_half_a_minute_come_as_one_message(tmp_path: Path) -> None:
    site = NotifierSite(tmp_path)
    site.receive(anomaly("a", severity="warning"))
    site.pass_time(20 * SECONDS)
    site.receive(anomaly("b", site.now, "critical", "002"))
    assert site.take() == []
    site.pass_time(10 * SECONDS)
    (message,) = site.take()
    assert message.severity == "critical"
    assert message.title == "Critical: site1, 2 notices"
    assert message.text.index("Burst suspected at 002") < message.text.index("Burst suspected at 001")


def test_text_says_what_where_and_what_to_do(tmp_path: Path) -> None:
    site = NotifierSite(tmp_path, [replace(OPS, language="ko")])
    site.receive(anomaly())
    site.pass_time(MINUTE)
    (message,) = site.take()
    assert message.title == "[위험] site1 001 파열 의심"
    assert message.text.splitlines()[0] == "001 파열이 의심됩니다."
    assert "./wvr alarms acknowledge 001-flow-burst" in message.text
    assert message.key in message.text
    assert (message.site, message.sensor, message.state) == ("site1", "001", "opened")


def test_an_update_is_no_news_unless_it_is_worse(tmp_path: Path) -> None:
    site = NotifierSite(tmp_path)
    opened = anomaly(severity="warning")
    site.receive(opened)
    site.pass_time(MINUTE)
    assert len(site.take()) == 1
    site.receive(replace(opened, state="updated", at=MONDAY + HOUR))
    site.pass_time(MINUTE)
    assert site.take() == []
    site.receive(replace(opened, state="updated", at=MONDAY + 2 * HOUR, severity="critical"))
    site.pass_time(MINUTE)
    assert [message.severity for message in site.take()] == ["critical"]


def test_reminder_each_four_hours_until_acknowledged(tmp_path: Path) -> None:
    site = NotifierSite(tmp_path)
    opened = anomaly(lost_m3=10.0)
    site.receive(opened)
    site.pass_time(MINUTE)
    site.take()
    for hours in (4, 8):
        site.receive(replace(opened, state="updated", at=MONDAY + hours * HOUR, lost_m3=48.0 * hours / 4))
        site.pass_time(4 * HOUR, MINUTE)
        (reminder,) = site.take()
        assert reminder.state == "reminder"
        assert reminder.title == f"Open for {hours} h: site1 001 Burst"
        assert f"about {48 * hours // 4} m³ lost" in reminder.text
    site.receive(replace(opened, state="updated", at=MONDAY + 9 * HOUR, acknowledged=True))
    site.pass_time(9 * HOUR, MINUTE)
    assert site.take() == []


def test_second_contact_only_without_acknowledgement(tmp_path: Path) -> None:
    site = NotifierSite(tmp_path, [OPS, SECOND])
    first, second = anomaly("a"), anomaly("b", sensor="002")
    site.receive(first, second)
    site.pass_time(10 * MINUTE)
    assert [message.contact for message in site.take()] == ["ops"]
    site.receive(replace(first, state="updated", at=site.now, acknowledged=True, by="Kim"))
    site.pass_time(7 * MINUTE)
    (message,) = site.take()
    assert (message.contact, message.sensor) == ("boss", "002")
    assert "Nobody has acknowledged it for 15 min." in message.text


def test_clearance_goes_to_those_who_know_of_the_incident(tmp_path: Path) -> None:
    site = NotifierSite(tmp_path, [OPS, SECOND, replace(OPS, name="critical", severity="critical")])
    opened = anomaly(severity="warning", lost_m3=76.0)
    site.receive(opened)
    site.pass_time(MINUTE)
    assert [message.contact for message in site.take()] == ["ops"]
    site.receive(cleared(opened, MONDAY + 2 * HOUR))
    site.pass_time(MINUTE)
    (message,) = site.take()
    assert (message.contact, message.state, message.title) == ("ops", "cleared", "Cleared: site1 001 Burst")
    assert "after 2 h (about 76 m³ lost)" in message.text


def test_warnings_of_the_night_come_as_one_in_the_morning(tmp_path: Path) -> None:
    site = NotifierSite(tmp_path, [QUIET], NIGHT)
    first = anomaly("a", NIGHT, "warning")
    site.receive(first)
    site.pass_time(2 * HOUR, MINUTE)
    site.receive(cleared(first, site.now), anomaly("b", site.now, "warning", "002"))
    site.pass_time(5 * HOUR, MINUTE)
    assert site.take() == []
    site.pass_time(2 * HOUR, MINUTE)
    (message,) = site.take()
    assert message.at.hour == 7
    assert "[Opened and cleared] 001" in message.text
    assert "[Warning] 002" in message.text


def test_after_ten_messages_an_hour_one_digest(tmp_path: Path) -> None:
    site = NotifierSite(tmp_path)
    for number in range(25):
        site.receive(anomaly(f"a{number}", site.now, sensor=f"{number:03}"))
        site.pass_time(MINUTE)
    messages = site.take()
    assert len(messages) == MAX_MESSAGES_PER_HOUR
    assert "limit of 10 messages an hour" in messages[-1].text
    site.pass_time(HOUR, MINUTE)
    (digest,) = site.take()
    assert digest.title == "Critical: site1, 15 notices"
    assert "and 3 more" in digest.text


def test_works_hold_everything_of_their_sensor(tmp_path: Path) -> None:
    site = NotifierSite(tmp_path)
    site.receive(works(MONDAY, MONDAY + HOUR), anomaly("a"), anomaly("b", sensor="002"))
    site.pass_time(50 * MINUTE)
    assert [message.sensor for message in site.take()] == ["002"]
    site.pass_time(11 * MINUTE)
    assert [message.sensor for message in site.take()] == ["001"]


def test_works_of_another_method_hold_nothing(tmp_path: Path) -> None:
    site = NotifierSite(tmp_path)
    site.receive(works(MONDAY, MONDAY + HOUR, ("night",)), anomaly())
    site.pass_time(MINUTE)
    assert len(site.take()) == 1


def test_works_of_the_future_hold_nothing_yet(tmp_path: Path) -> None:
    site = NotifierSite(tmp_path)
    site.receive(works(MONDAY + HOUR, MONDAY + 2 * HOUR), anomaly())
    site.pass_time(MINUTE)
    assert len(site.take()) == 1


def test_same_incident_is_not_notified_again_after_a_restart(tmp_path: Path) -> None:
    site = NotifierSite(tmp_path)
    opened = anomaly()
    site.receive(opened)
    site.pass_time(MINUTE)
    assert len(site.take()) == 1
    site.restart()
    site.receive(opened)
    site.pass_time(MINUTE)
    ended = cleared(opened, site.now)
    site.receive(ended)
    site.pass_time(MINUTE)
    assert [message.state for message in site.take()] == ["cleared"]
    site.restart()
    site.receive(opened, ended)
    site.pass_time(MINUTE)
    assert site.take() == []


def test_lost_clearance_is_made_up_by_the_summary(tmp_path: Path) -> None:
    site = NotifierSite(tmp_path)
    site.receive(anomaly())
    site.pass_time(10 * MINUTE)
    site.take()
    summary = AlarmSummary(
        site="site1", sensor="001", at=site.now, open=0, unacknowledged=0, severity="none", silenced_until=None
    )
    site.receive(summary)
    site.pass_time(MINUTE)
    assert [message.state for message in site.take()] == ["cleared"]


def test_retired_sensor_ends_silently(tmp_path: Path) -> None:
    site = NotifierSite(tmp_path)
    site.receive(anomaly())
    site.pass_time(MINUTE)
    site.take()
    site.receive(SensorRetired("site1", "001", site.now))
    site.pass_time(9 * HOUR, MINUTE)
    assert site.take() == []


def test_clock_that_is_set_back_delays_nothing(tmp_path: Path) -> None:
    site = NotifierSite(tmp_path, now=MONDAY + timedelta(days=400))
    site.receive(anomaly())
    site.now = MONDAY
    site.receive()
    assert len(site.take()) == 1


def test_stopped_detector_is_critical_and_its_return_is_told(tmp_path: Path) -> None:
    site = NotifierSite(tmp_path, [replace(OPS, severity="critical")])
    site.pass_time(5 * MINUTE)
    site.silent_services = {"detector", "reporter"}
    site.pass_time(5 * MINUTE)
    (message,) = site.take()
    assert message.title == "Critical: site1 detector has stopped"
    assert "No anomaly is detected." in message.text
    site.silent_services = set()
    site.pass_time(MINUTE)
    assert [message.state for message in site.take()] == ["cleared"]


@pytest.mark.parametrize(
    ("state", "code", "minutes"),
    [
        ("offline", "ok", 5),
        ("stopping", "ok", 20),
        ("online", "database_full", 3),
        ("online", "backup_failed", 12),
        ("online", "busy", None),
        ("online", "model_deactivated", None),
    ],
)
def test_service_problems_that_matter(tmp_path: Path, state: str, code: StatusCode, minutes: int | None) -> None:
    site = NotifierSite(tmp_path)
    site.pass_time(5 * MINUTE)
    site.failed_services["db_writer"] = (state, code)
    site.pass_time(MINUTE)
    assert site.take() == []
    site.pass_time((minutes or 30) * MINUTE)
    assert len(site.take()) == (0 if minutes is None else 1)


def test_a_restart_of_all_services_is_no_incident(tmp_path: Path) -> None:
    site = NotifierSite(tmp_path)
    site.silent_services = {"ingest", "detector", "db_writer", "forecaster", "trainer", "reporter"}
    site.pass_time(2 * MINUTE)
    site.silent_services = set()
    site.pass_time(10 * MINUTE)
    assert site.take() == []


def test_absent_broker_is_one_incident(tmp_path: Path) -> None:
    site = NotifierSite(tmp_path)
    site.silent_services = {"reporter"}
    site.pass_time(5 * MINUTE)
    assert [message.title for message in site.take()] == ["Warning: site1 reporter has stopped"]
    for _ in range(8 * 6):
        site.now += 10 * SECONDS
        site.service.advance()
    (message,) = site.take()
    assert message.title == "Critical: site1 Broker does not answer"
    site.silent_services = set()
    for status in site.statuses():
        site.now += 5 * SECONDS
        site.receive(status)
    site.pass_time(10 * MINUTE)
    (message,) = site.take()
    assert message.title == "Cleared: site1, 2 notices"
    assert "Broker does not answer" in message.text
    assert "reporter has stopped" in message.text


def test_daily_message_says_that_all_is_well(tmp_path: Path) -> None:
    site = NotifierSite(tmp_path, [replace(OPS, daily=9 * 60)], MONDAY.replace(hour=8))
    site.receive(tick(site.now, 100), judged("001", site.now), judged("002", site.now, is_active=False))
    site.pass_time(50 * MINUTE)
    site.receive(tick(site.now, 150))
    site.pass_time(12 * MINUTE)
    (message,) = site.take()
    assert (message.title, message.severity) == ("All is well: site1", "info")
    assert "Readings: 50. Open alarms: 0. Healthy services: 6. Sensors judged: 1 of 2." in message.text
    site.restart()
    site.pass_time(2 * HOUR, MINUTE)
    assert site.take() == []
    site.receive(tick(site.now, 160))
    site.pass_time(22 * HOUR, MINUTE)
    assert [message.title for message in site.take()] == ["All is well: site1"]


@pytest.mark.parametrize("trouble", ["incident", "no readings", "given up", "service"])
def test_daily_message_is_not_well_when_something_is_wrong(tmp_path: Path, trouble: str) -> None:
    contact = replace(OPS, daily=9 * 60, severity="critical")
    site = NotifierSite(tmp_path, [contact], MONDAY.replace(hour=8))
    site.receive(tick(site.now, 100))
    if trouble != "no readings":
        site.receive(tick(site.now, 160))
    if trouble == "incident":
        site.receive(anomaly(severity="warning", at=site.now))
    if trouble == "service":
        site.silent_services = {"reporter"}
    if trouble == "given up":
        site.receive(anomaly(at=site.now))
        site.pass_time(MINUTE)
        (message,) = site.take()
        site.messenger.results = [Attempt(message, "given_up", "HTTP 500")]
        site.receive(replace(cleared(anomaly(at=site.now), site.now), at=site.now))
    site.pass_time(62 * MINUTE)
    report = site.take()[-1]
    assert (report.state, report.title) == ("daily", "Needs attention: site1, daily report")


def test_a_new_contact_waits_for_its_first_daily_message(tmp_path: Path) -> None:
    site = NotifierSite(tmp_path, [replace(OPS, daily=9 * 60)], MONDAY)
    site.pass_time(HOUR)
    assert site.take() == []


def test_attempts_become_notifications_and_problems(tmp_path: Path) -> None:
    site = NotifierSite(tmp_path)
    site.receive(anomaly())
    site.pass_time(MINUTE)
    (message,) = site.take()
    site.messenger.results = [
        Attempt(replace(message, attempts=count), "waiting", "HTTP 503") for count in (1, 2, 3, 4)
    ]
    site.receive()
    assert [status.code for status in site.service.problems()] == ["notification_failing"]
    site.messenger.results = [Attempt(message, "given_up", "HTTP 503")]
    site.receive()
    assert [status.code for status in site.service.problems()] == ["notification_given_up"]
    site.receive()
    site.restart()
    assert [status.code for status in site.service.problems()] == ["notification_given_up"]
    notifications = [item for item in site.published if isinstance(item, Notification)]
    assert [item.state for item in notifications] == ["waiting"] * 3 + ["given_up"]
    assert {item.key for item in notifications} == {message.key}
    site.messenger.results = [Attempt(message, "sent")]
    site.receive()
    assert site.service.problems() == []


def test_full_disk_is_a_problem_and_stops_nothing(tmp_path: Path) -> None:
    site = NotifierSite(tmp_path)
    site.messenger.is_full = True
    site.receive(anomaly("a"))
    site.pass_time(MINUTE)
    site.receive(anomaly("b", site.now, sensor="002"))
    site.pass_time(MINUTE)
    assert len(site.messenger.held) == 2
    assert [status.code for status in site.service.problems()] == ["notifications_not_writable"]
    site.messenger.is_full = False
    site.receive()
    assert [message.key for message in site.take()] == list(site.messenger.held)
    assert site.service.problems() == []


def test_without_contacts_nothing_is_kept(tmp_path: Path) -> None:
    site = NotifierSite(tmp_path, [])
    site.receive(anomaly())
    site.pass_time(HOUR, MINUTE)
    assert site.take() == []
    assert "burst" not in (tmp_path / "state.json").read_text(encoding="utf-8")


def test_every_status_code_has_a_severity() -> None:
    assert set(CODE_SEVERITIES) == set(get_args(StatusCode))


def test_both_languages_show_the_same_values() -> None:
    for name, texts in TEXTS.items():
        assert placeholders(texts["ko"]) == placeholders(texts["en"]), name


def test_contacts_follow_from_the_settings() -> None:
    tables = {
        "boss": Notify(**{"after": "15m", "from": "critical", "daily": ""}),
        "ops": Notify(quiet="22:30-06:00", language="en"),
    }
    assert contacts_of(tables) == [
        Contact(name="ops", language="en", quiet=(22 * 60 + 30, 6 * 60)),
        Contact(name="boss", severity="critical", after=15 * MINUTE, daily=None),
    ]

"""Texts of messages in Korean and English, for the lock screen of a phone first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from services.notifier.contact import Contact, Language, Severity, worst
from services.notifier.incident import Incident

MAX_TITLE_CHARACTERS, MAX_TEXT_CHARACTERS = 120, 3000
MAX_ITEMS = 12
"""Incidents that a message lists in full."""
SEVERITY_NAMES: dict[Severity, dict[Language, str]] = {
    "info": {"ko": "정보", "en": "Information"},
    "warning": {"ko": "주의", "en": "Warning"},
    "critical": {"ko": "위험", "en": "Critical"},
}
ItemState = Literal["opened", "reminder", "cleared", "passed"]
"""`passed`: it was cleared before the contact could be notified."""
TEXTS: dict[str, dict[Language, str]] = {
    "title": {"ko": "[{head}] {place} {label}", "en": "{head}: {place} {label}"},
    "group": {"ko": "[{head}] {place} 알림 {count}건", "en": "{head}: {place}, {count} notices"},
    "cleared": {"ko": "해제", "en": "Cleared"},
    "passed": {"ko": "발생 후 해제", "en": "Opened and cleared"},
    "reminder": {"ko": "{hours}시간째 미확인", "en": "Open for {hours} h"},
    "opened.text": {"ko": "{text}", "en": "{text}"},
    "opened.after": {
        "ko": "{minutes}분 동안 아무도 확인하지 않았습니다.",
        "en": "Nobody has acknowledged it for {minutes} min.",
    },
    "reminder.text": {
        "ko": "{since}에 발생하여 {duration}째 확인되지 않았습니다{lost}.",
        "en": "Open since {since}, for {duration}, and not acknowledged{lost}.",
    },
    "acknowledge": {
        "ko": "확인 처리: ./wvr alarms acknowledge {key}",
        "en": "To acknowledge: ./wvr alarms acknowledge {key}",
    },
    "cleared.text": {
        "ko": "{since}에 발생하여 {duration} 만인 {until}에 해제되었습니다{lost}.",
        "en": "Opened at {since}, cleared at {until} after {duration}{lost}.",
    },
    "lost": {"ko": "(누적 손실 약 {volume} m³)", "en": " (about {volume} m³ lost)"},
    "more": {"ko": "외 {count}건", "en": "and {count} more"},
    "limit": {
        "ko": "한 시간 한도 {limit}건에 도달했습니다. 다음 알림은 {at} 이후 한 건으로 모아 보냅니다.",
        "en": "The limit of {limit} messages an hour is reached. What follows comes as one message after {at}.",
    },
    "daily.well.title": {"ko": "[정상] {place} 이상 없음", "en": "All is well: {place}"},
    "daily.wrong.title": {"ko": "[확인 필요] {place} 일일 보고", "en": "Needs attention: {place}, daily report"},
    "daily.counts": {
        "ko": "계측값 {readings}개, 진행 중 경보 {open}건, 정상 서비스 {healthy}개, 감지 센서 {judged}/{sensors}개.",
        "en": "Readings: {readings}. Open alarms: {open}. Healthy services: {healthy}. Sensors judged: {judged} of "
        "{sensors}.",
    },
    "daily.no_readings": {
        "ko": "지난 보고 이후 계측값이 없습니다. 계측기와 ./wvr status를 확인하세요.",
        "en": "No readings since the last report. Check the meters and ./wvr status.",
    },
    "daily.given_up": {
        "ko": "보내지 못하고 포기한 알림이 있습니다. ./wvr doctor를 확인하세요.",
        "en": "Messages were given up. See ./wvr doctor.",
    },
    "test.title": {"ko": "[시험] {place} 알림 시험", "en": "Test: {place}"},
    "test.text": {
        "ko": "WVR이 보낸 시험 알림입니다. 이 알림이 보이면 설정이 올바릅니다.",
        "en": "A test message of WVR. If you can read it, the settings are right.",
    },
    "key": {"ko": "알림 번호 {key}", "en": "Message {key}"},
}
"""Key of a text to its form in each language."""


@dataclass(frozen=True, slots=True)
class Item:
    """An incident in a message, and why it is in it."""

    state: ItemState
    incident: Incident


def text_of(name: str, language: Language, **values: object) -> str:
    """Return a text with its values filled in."""
    return TEXTS[name][language].format(**values)


def urgency(items: Sequence[Item]) -> Severity:
    """Return the severity of the worst incident that is open; information if all have ended."""
    return worst([item.incident.severity for item in items if item.incident.is_open])


def title_of(items: Sequence[Item], site: str, language: Language, now: datetime) -> str:
    """Return what a lock screen shows: how bad, where, what."""
    if len(items) == 1:
        incident = items[0].incident
        place = f"{site} {incident.sensor}" if incident.sensor else site
        title = text_of(
            "title", language, head=_head(items[0], language, now), place=place, label=_label(incident, language)
        )
    else:
        is_open = any(item.incident.is_open for item in items)
        head = SEVERITY_NAMES[urgency(items)][language] if is_open else text_of("cleared", language)
        title = text_of("group", language, head=head, place=site, count=len(items))
    return title[:MAX_TITLE_CHARACTERS]


def body_of(items: Sequence[Item], contact: Contact, now: datetime) -> str:
    """Return what happened, since when, how much, and what to do, for each incident."""
    language = contact.language
    if len(items) == 1:
        return "\n".join(_lines(items[0], contact, now))[:MAX_TEXT_CHARACTERS]
    parts = []
    for item in items[:MAX_ITEMS]:
        incident = item.incident
        head = f"● [{_head(item, language, now)}] {incident.sensor} {_label(incident, language)}"
        parts.append("\n".join([" ".join(head.split()), *_lines(item, contact, now)]))
    shown = len(parts)
    while shown > 1 and sum(map(len, parts[:shown])) > MAX_TEXT_CHARACTERS:
        shown -= 1
    if shown < len(items):
        parts[shown:] = [text_of("more", language, count=len(items) - shown)]
    return "\n".join(parts)


def _head(item: Item, language: Language, now: datetime) -> str:
    if item.state == "opened":
        return SEVERITY_NAMES[item.incident.severity][language]
    hours = max(1, round((now - item.incident.opened_at) / timedelta(hours=1)))
    return text_of(item.state, language, hours=hours)


def _lines(item: Item, contact: Contact, now: datetime) -> list[str]:
    incident, language = item.incident, contact.language
    text = incident.text.ko if language == "ko" else incident.text.en
    values = {
        "since": _time(incident.opened_at, now),
        "until": _time(incident.cleared_at or now, now),
        "duration": duration_text((incident.cleared_at or now) - incident.opened_at, language),
        "lost": _lost(incident, language),
    }
    if item.state in ("cleared", "passed"):
        ended = text_of("cleared.text", language, **values)
        return [ended] if item.state == "cleared" else [text, ended]
    lines = [text]
    if item.state == "reminder":
        lines = [text_of("reminder.text", language, **values), text]
    elif contact.after:
        lines = [text_of("opened.after", language, minutes=round(contact.after / timedelta(minutes=1))), text]
    if incident.sensor:
        lines.append(text_of("acknowledge", language, key=incident.key))
    return lines


def duration_text(span: timedelta, language: Language) -> str:
    """Return a duration in days, hours or minutes."""
    minutes = max(0, round(span / timedelta(minutes=1)))
    if minutes >= 2 * 1440:
        return f"{minutes / 1440:.0f}일" if language == "ko" else f"{minutes / 1440:.0f} days"
    if minutes >= 120:
        return f"{minutes / 60:.0f}시간" if language == "ko" else f"{minutes / 60:.0f} h"
    return f"{minutes}분" if language == "ko" else f"{minutes} min"


def _lost(incident: Incident, language: Language) -> str:
    return (
        ""
        if incident.lost_m3 is None
        else text_of("lost", language, volume=f"{float(f'{incident.lost_m3:.2g}'):,.12g}")
    )


def _label(incident: Incident, language: Language) -> str:
    return incident.label.ko if language == "ko" else incident.label.en


def _time(at: datetime, now: datetime) -> str:
    return f"{at:%H:%M}" if at.date() == now.date() else f"{at:%Y-%m-%d %H:%M}"

"""The broker's access list: each service may publish only what it produces and receive only what it consumes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from shared.contract.messages import Message, Rejected, Response, SensorState, Status, Stored
from shared.contract.service import Service
from shared.contract.topics import PREFIX, subscription_filters, topic_filter

HEADER = "# Generated from the declarations of the services by: ./wvr contract\n"
ALL_TOPICS = PREFIX.format(site="+") + "#"
DOCTOR_TOPICS = "health/doctor"
"""`./wvr doctor` publishes and receives below this topic."""
HOME_ASSISTANT_TOPICS = "homeassistant/device/+/config"
"""Descriptions of the sensors, which Home Assistant reads as the user `viewer`."""
EXTRA_RULES = {
    "operator": [f"read {topic_filter(Stored)}", f"readwrite {DOCTOR_TOPICS}/#", "read $SYS/broker/#"],
    "viewer": [f"read {ALL_TOPICS}", "read $SYS/broker/#", f"read {HOME_ASSISTANT_TOPICS}"],
    "notifier": [f"write {HOME_ASSISTANT_TOPICS}"],
    "dashboard": ["read $SYS/broker/#"],
    "broker": ["readwrite health/broker"],
}
"""Rights of users besides the declarations of the service of their name."""


def access_list(services: Mapping[str, type[Service]]) -> str:
    """Return the text of broker/acl; users without a paragraph have no rights."""
    users = {name: _service(name, service) for name, service in services.items()}
    for user, rules in EXTRA_RULES.items():
        users[user] = [*users.get(user, []), *rules]
    return HEADER + "".join(_paragraph(user, rules) for user, rules in users.items())


def _service(name: str, service: type[Service]) -> list[str]:
    own = topic_filter(Status, name=name)
    published = [topic for kind in service.produces for topic in _published_topics(kind, name, service.commands)]
    received = subscription_filters(service.consumes, service.commands)
    return [*_rules("write", [*published, topic_filter(Rejected)]), *_rules("read", received), f"readwrite {own}"]


def _published_topics(kind: type[Message], service: str, commands: Iterable[str]) -> list[str]:
    if kind is SensorState:
        return [topic_filter(SensorState, service=service)]
    if kind is Response:
        return [topic_filter(Response, name=name) for name in commands]
    return [] if kind is Status else [topic_filter(kind)]


def _rules(access: str, topics: Iterable[str]) -> list[str]:
    return [f"{access} {topic}" for topic in dict.fromkeys(topics)]


def _paragraph(user: str, rules: Iterable[str]) -> str:
    return f"\nuser {user}\n" + "".join(f"topic {rule}\n" for rule in rules)

"""Topics of the messages: `wvr/v1/{site}/…`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from shared.contract.messages import MESSAGES, Command, Message

PREFIX = "wvr/v1/{site}/"
_FIELD = re.compile(r"\{(\w+)\}")


def topic_of(message: Message) -> str:
    """Return the topic of a message."""
    return PREFIX.format(site=message.site) + _FIELD.sub(lambda field: str(getattr(message, field[1])), message.topic)


def topic_filter(kind: type[Message], site: str = "+", **known: str) -> str:
    """Return the MQTT filter that matches every message of a kind; unknown fields become `+`."""
    return PREFIX.format(site=site) + _FIELD.sub(lambda field: known.get(field[1], "+"), kind.topic)


def subscription_filters(consumes: Iterable[type[Message]], commands: Iterable[str], site: str = "+") -> list[str]:
    """Return the filters that a service subscribes to; of commands only those that it handles."""
    plain = [topic_filter(kind, site) for kind in consumes if kind is not Command]
    return plain + [topic_filter(Command, site, name=name) for name in commands]


def retained_topics(kinds: Iterable[type[Message]], site: str, sensor: str, service: str) -> list[str]:
    """Return the topics of a sensor on which a service may retain messages of these kinds, except those with an id."""
    topics = [
        topic_filter(kind, site, sensor=sensor, service=service)
        for kind in kinds
        if kind.retained and "{sensor}" in kind.topic
    ]
    return [topic for topic in topics if "+" not in topic]


@lru_cache(4096)
def message_type_of(topic: str) -> type[Message] | None:
    """Return the message class of a topic, or None for a topic of others."""
    return next((kind for kind, pattern in _PATTERNS.items() if pattern.fullmatch(topic)), None)


_PATTERNS = {kind: re.compile(topic_filter(kind).replace("+", "[^/]+")) for kind in MESSAGES}

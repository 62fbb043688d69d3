"""Every broker user tries every topic: it may publish and receive only what the services declare.

The expectation follows from the declarations of the services, not from the text of the access list.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from typing import NamedTuple, get_args, get_type_hints

import paho.mqtt.client as mqtt
import pytest

from cli.bootstrap import ROOT
from cli.broker_client import Operator
from cli.contract import DECLARING_SERVICES
from cli.init_site import USERS
from shared.contract.messages import MESSAGES, Command, Message, Rejected, Response, SensorState, Status
from shared.contract.service import Service
from tests.contract.acl_broker import OBSERVER, acl_broker, add_observer
from tests.contract.mqtt_client import WILL, connected
from tests.e2e.running_site import RunningSite
from tests.polling import wait_for

ALL_USERS = (*USERS, "broker")
DECLARING: tuple[type[Service], ...] = (*DECLARING_SERVICES, Operator)
DECLARATIONS = {service.name: service for service in DECLARING}
COMMANDS = (*get_args(get_type_hints(Command)["name"]), "unknown")
NAMES: dict[type[Message], tuple[str, ...]] = {
    Status: (*ALL_USERS, "unknown"),
    SensorState: ("detector", "forecaster", "unknown"),
    Command: COMMANDS,
    Response: COMMANDS,
}
EXTRA_RIGHTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "broker": (("health/broker",), ("health/broker",)),
    "operator": (("health/doctor/#",), ("health/doctor/#", "wvr/v1/+/stored", "$SYS/broker/#")),
    "viewer": ((), ("$SYS/broker/#",)),
    "dashboard": ((), ("$SYS/broker/#",)),
}
"""User to the filters that it may publish and receive besides the messages of the services."""
UNDECLARED_TOPICS = (
    "wvr",
    "wvr/v1",
    "wvr/v1/site1",
    "wvr/v1/site1/unknown",
    "wvr/v1/site1/001/unknown",
    "wvr/v1/site1/001/reading/more",
    "wvr/v1/site1/service",
    "wvr/v1/tick",
    "wvr/v1//tick/",
    "wvr/v2/site1/001/reading",
    "wvr/v2/site1/tick",
    "WVR/v1/site1/tick",
    "/wvr/v1/site1/tick",
    "health/broker",
    "health/unknown",
    "health/doctor/unknown",
    "elsewhere",
    "$CONTROL/dynamic-security/v1",
    "$SYS/broker/version",
    "$SYS/unknown",
)


class TopicCase(NamedTuple):
    """A topic, its message type, and the name in it that decides who owns it."""

    topic: str
    kind: type[Message] | None = None
    name: str = ""


def _declared_topics() -> Iterator[TopicCase]:
    for site in ("site1", "another"):
        for kind in MESSAGES:
            for name in NAMES.get(kind, ("",)):
                yield TopicCase(
                    f"wvr/v1/{site}/" + kind.topic.format(sensor="001", id="001-leak", name=name, service=name),
                    kind,
                    name,
                )


TOPIC_CASES = (*_declared_topics(), *map(TopicCase, UNDECLARED_TOPICS))
TOPICS = [case.topic for case in TOPIC_CASES]


def has_extra_right(user: str, case: TopicCase, direction: int) -> bool:
    """Return whether a user may publish (0) or receive (1) this besides the messages of the services."""
    return any(
        mqtt.topic_matches_sub(topic_filter, case.topic) for topic_filter in EXTRA_RIGHTS.get(user, ((), ()))[direction]
    )


def may_publish(user: str, case: TopicCase) -> bool:
    """Return whether the declarations allow it."""
    if has_extra_right(user, case, 0):
        return True
    if case.kind is None or user not in DECLARATIONS:
        return False
    if case.kind is Status or case.kind is SensorState:
        return case.name == user
    if case.kind is Response:
        return case.name in DECLARATIONS[user].commands
    return case.kind is Rejected or case.kind in DECLARATIONS[user].produces


def may_receive(user: str, case: TopicCase) -> bool:
    """Return whether the declarations allow it; the viewer receives everything of every site."""
    if user == "viewer":
        return case.topic.startswith("wvr/v1/") or has_extra_right(user, case, 1)
    if has_extra_right(user, case, 1):
        return True
    if case.kind is None or user not in DECLARATIONS:
        return False
    if case.kind is Command:
        return case.name in DECLARATIONS[user].commands
    return case.kind in DECLARATIONS[user].consumes or (case.kind is Status and case.name == user)


@pytest.fixture(scope="module")
def broker_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSite]:
    """A broker with the access list and the observer as an additional user."""
    with acl_broker(tmp_path_factory.mktemp("broker_site"), add_observer) as site:
        yield site


@pytest.mark.parametrize("user", ALL_USERS)
def test_user_publishes_only_what_it_produces(broker_site: RunningSite, user: str) -> None:
    expected = {case.topic for case in TOPIC_CASES if may_publish(user, case)}
    with connected(broker_site, OBSERVER) as observer, connected(broker_site, user) as client:
        observer.subscribe("#", "$SYS/#")
        assert client.publish(TOPICS, user) == expected
        client.publish(TOPICS, f"{user} unconfirmed", qos=0)
        observer.flush()
    for payload in (user, f"{user} unconfirmed"):
        assert {topic for topic, text in observer.received if text == payload} == expected


@pytest.mark.parametrize("shared", ["", "$share/{user}/"], ids=["plain", "shared subscription"])
def test_user_receives_only_what_it_consumes(broker_site: RunningSite, shared: str) -> None:
    live_payload = f"{shared}live"
    with ExitStack() as stack:
        observer = stack.enter_context(connected(broker_site, OBSERVER))
        observer.publish(TOPICS, "retained", retain=True)
        listeners = {user: stack.enter_context(connected(broker_site, user)) for user in (*ALL_USERS, OBSERVER)}
        for user, listener in listeners.items():
            prefix = shared.format(user=user)
            listener.subscribe(
                f"{prefix}#", f"{prefix}$SYS/#", f"{prefix}wvr/v1/site1/#", f"{prefix}+/+/+/+", f"{prefix}elsewhere"
            )
        observer.publish(TOPICS, live_payload)
        for listener in listeners.values():
            listener.flush()
    delivered = {topic for topic, text in listeners[OBSERVER].received if text == live_payload}
    assert delivered >= {topic for topic in TOPICS if not topic.startswith("$")}
    for user in ALL_USERS:
        expected = {case.topic for case in TOPIC_CASES if may_receive(user, case) and case.topic in delivered}
        for payload in (live_payload,) if shared else (live_payload, "retained"):
            assert {topic for topic, text in listeners[user].received if text == payload} == expected, user
        other_topics = {topic for topic, text in listeners[user].received if text not in (live_payload, "retained")}
        assert all(has_extra_right(user, TopicCase(topic), 1) for topic in other_topics), user


def test_observer_receives_everything(broker_site: RunningSite) -> None:
    with connected(broker_site, OBSERVER) as observer:
        observer.subscribe("$SYS/#")
        wait_for(lambda: "$SYS/broker/version" in dict(observer.received), what="the broker's own topics")


@pytest.mark.parametrize("user", [*ALL_USERS, None, "unknown"])
def test_login_needs_the_right_password(broker_site: RunningSite, user: str | None) -> None:
    with pytest.raises(PermissionError, match="Not authorized"), connected(broker_site, user, "wrong"):
        pass


def test_last_will_is_subject_to_the_access_list(broker_site: RunningSite) -> None:
    own, other = "wvr/v1/site1/service/reporter", "wvr/v1/site1/service/detector"
    with connected(broker_site, OBSERVER) as observer:
        observer.subscribe("#")
        for topic in (other, own):
            with connected(broker_site, "reporter", will=topic) as reporter:
                reporter.disconnect_with_will()
        wait_for(lambda: (own, WILL) in observer.received, what="the last will that is allowed")
    assert (other, WILL) not in observer.received


def test_table_in_docs_access_matches_the_declarations() -> None:
    lines = (ROOT / "docs/how-to/access.md").read_text(encoding="utf-8").splitlines()
    cells = [line.strip("|").split("|") for line in lines if line.startswith("| `")]
    rights = {row[0].split("`")[1]: [re.findall(r"`([^`]+)`", cell) for cell in row[1:]] for row in cells}
    assert rights.keys() == set(USERS)
    for user, (publishes, receives) in rights.items():
        for case in TOPIC_CASES:
            for direction, (filters, is_allowed) in enumerate(((publishes, may_publish), (receives, may_receive))):
                is_documented = any(
                    mqtt.topic_matches_sub(f"wvr/v1/+/{topic_filter}", case.topic) for topic_filter in filters
                )
                assert (is_documented or has_extra_right(user, case, direction)) == is_allowed(user, case), (
                    f"{user}, {case.topic}, {is_allowed}"
                )

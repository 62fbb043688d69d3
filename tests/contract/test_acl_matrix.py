"""Every broker user tries every topic: it publishes and receives what the services declare, and nothing else.

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
from shared.contract.messages import MESSAGES, Command, Message, Rejected, Response, Status
from shared.contract.service import Service
from tests.contract.acl_broker import OBSERVER, acl_broker, add_observer
from tests.contract.mqtt_client import WILL, connected
from tests.e2e.running_site import RunningSite
from tests.polling import wait_for

ALL = (*USERS, "broker")
DECLARING: tuple[type[Service], ...] = (*DECLARING_SERVICES, Operator)
DECLARES = {one.name: one for one in DECLARING}
COMMANDS = (*get_args(get_type_hints(Command)["name"]), "unknown")
NAMES: dict[type[Message], tuple[str, ...]] = {Status: (*ALL, "unknown"), Command: COMMANDS, Response: COMMANDS}
EXTRA_RIGHTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "broker": (("health/broker",), ("health/broker",)),
    "operator": (("health/doctor/#",), ("health/doctor/#", "wvr/v1/+/stored", "$SYS/broker/#")),
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


class Place(NamedTuple):
    """A topic, its message type, and the name in it that decides who owns it."""

    topic: str
    kind: type[Message] | None = None
    name: str = ""


def _declared() -> Iterator[Place]:
    for site in ("site1", "another"):
        for kind in MESSAGES:
            for name in NAMES.get(kind, ("",)):
                yield Place(f"wvr/v1/{site}/" + kind.topic.format(sensor="001", id="001-leak", name=name), kind, name)


PLACES = (*_declared(), *map(Place, UNDECLARED_TOPICS))
TOPICS = [place.topic for place in PLACES]


def has_extra_right(user: str, place: Place, direction: int) -> bool:
    """Return whether a user may publish (0) or receive (1) this besides the messages of the services."""
    return any(mqtt.topic_matches_sub(one, place.topic) for one in EXTRA_RIGHTS.get(user, ((), ()))[direction])


def may_publish(user: str, place: Place) -> bool:
    """Return whether the declarations allow it."""
    if has_extra_right(user, place, 0):
        return True
    if place.kind is None or user not in DECLARES:
        return False
    if place.kind is Status:
        return place.name == user
    if place.kind is Response:
        return place.name in DECLARES[user].commands
    return place.kind is Rejected or place.kind in DECLARES[user].produces


def may_receive(user: str, place: Place) -> bool:
    """Return whether the declarations allow it; the viewer receives everything of every site."""
    if user == "viewer":
        return place.topic.startswith("wvr/v1/")
    if has_extra_right(user, place, 1):
        return True
    if place.kind is None or user not in DECLARES:
        return False
    if place.kind is Command:
        return place.name in DECLARES[user].commands
    return place.kind in DECLARES[user].consumes or (place.kind is Status and place.name == user)


@pytest.fixture(scope="module")
def broker_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSite]:
    """A broker with the access list and one more user, the observer."""
    with acl_broker(tmp_path_factory.mktemp("broker_site"), add_observer) as site:
        yield site


@pytest.mark.parametrize("user", ALL)
def test_user_publishes_only_what_it_produces(broker_site: RunningSite, user: str) -> None:
    expected = {place.topic for place in PLACES if may_publish(user, place)}
    with connected(broker_site, OBSERVER) as observer, connected(broker_site, user) as someone:
        observer.subscribe("#", "$SYS/#")
        assert someone.publish(TOPICS, user) == expected
        someone.publish(TOPICS, f"{user} unconfirmed", qos=0)
        observer.flush()
    for payload in (user, f"{user} unconfirmed"):
        assert {topic for topic, text in observer.heard if text == payload} == expected


@pytest.mark.parametrize("shared", ["", "$share/{user}/"], ids=["plain", "shared subscription"])
def test_user_receives_only_what_it_consumes(broker_site: RunningSite, shared: str) -> None:
    round_ = f"{shared}live"
    with ExitStack() as stack:
        observer = stack.enter_context(connected(broker_site, OBSERVER))
        observer.publish(TOPICS, "kept", retain=True)
        listeners = {user: stack.enter_context(connected(broker_site, user)) for user in (*ALL, OBSERVER)}
        for user, listener in listeners.items():
            mine = shared.format(user=user)
            listener.subscribe(
                f"{mine}#", f"{mine}$SYS/#", f"{mine}wvr/v1/site1/#", f"{mine}+/+/+/+", f"{mine}elsewhere"
            )
        observer.publish(TOPICS, round_)
        for listener in listeners.values():
            listener.flush()
    passed = {topic for topic, text in listeners[OBSERVER].heard if text == round_}
    assert passed >= {topic for topic in TOPICS if not topic.startswith("$")}
    for user in ALL:
        expected = {place.topic for place in PLACES if may_receive(user, place) and place.topic in passed}
        for payload in (round_,) if shared else (round_, "kept"):
            assert {topic for topic, text in listeners[user].heard if text == payload} == expected, user
        besides = {topic for topic, text in listeners[user].heard if text not in (round_, "kept")}
        assert all(has_extra_right(user, Place(topic), 1) for topic in besides), user


def test_observer_receives_everything(broker_site: RunningSite) -> None:
    with connected(broker_site, OBSERVER) as observer:
        observer.subscribe("$SYS/#")
        wait_for(lambda: "$SYS/broker/version" in dict(observer.heard), what="the broker's own topics")


@pytest.mark.parametrize("user", [*ALL, None, "unknown"])
def test_login_needs_the_right_password(broker_site: RunningSite, user: str | None) -> None:
    with pytest.raises(PermissionError, match="Not authorized"), connected(broker_site, user, "wrong"):
        pass


def test_last_will_is_subject_to_the_access_list(broker_site: RunningSite) -> None:
    own, other = "wvr/v1/site1/service/reporter", "wvr/v1/site1/service/detector"
    with connected(broker_site, OBSERVER) as observer:
        observer.subscribe("#")
        for topic in (other, own):
            with connected(broker_site, "reporter", will=topic) as reporter:
                reporter.die()
        wait_for(lambda: (own, WILL) in observer.heard, what="the last will that is allowed")
    assert (other, WILL) not in observer.heard


def test_table_of_docs_access_is_true() -> None:
    lines = (ROOT / "docs/how-to/access.md").read_text(encoding="utf-8").splitlines()
    cells = [line.strip("|").split("|") for line in lines if line.startswith("| `")]
    rights = {row[0].split("`")[1]: [re.findall(r"`([^`]+)`", cell) for cell in row[1:]] for row in cells}
    assert rights.keys() == set(USERS)
    for user, (publishes, receives) in rights.items():
        for place in PLACES:
            for direction, (filters, may) in enumerate(((publishes, may_publish), (receives, may_receive))):
                written = any(mqtt.topic_matches_sub(f"wvr/v1/+/{one}", place.topic) for one in filters)
                assert (written or has_extra_right(user, place, direction)) == may(user, place), (
                    f"{user}, {place.topic}, {may}"
                )

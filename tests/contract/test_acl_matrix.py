"""Every broker user tries every topic: it says and hears what the services declare, and nothing else.

What is expected comes from what services declare, not from the access list's text.
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
SPEAKERS: tuple[type[Service], ...] = (*DECLARING_SERVICES, Operator)
DECLARES = {one.name: one for one in SPEAKERS}
COMMANDS = (*get_args(get_type_hints(Command)["name"]), "unknown")
NAMES: dict[type[Message], tuple[str, ...]] = {Status: (*ALL, "unknown"), Command: COMMANDS, Response: COMMANDS}
ALSO: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "broker": (("health/broker",), ("health/broker",)),
    "operator": (("health/doctor/#",), ("health/doctor/#", "wvr/v1/+/stored", "$SYS/broker/#")),
}
"""User to filters of what it says and hears besides the services' messages."""
STRANGE = (
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
    """A topic, what belongs there, and whose it is where that matters."""

    topic: str
    kind: type[Message] | None = None
    name: str = ""


def _declared() -> Iterator[Place]:
    for site in ("site1", "another"):
        for kind in MESSAGES:
            for name in NAMES.get(kind, ("",)):
                yield Place(f"wvr/v1/{site}/" + kind.topic.format(sensor="001", id="001-leak", name=name), kind, name)


PLACES = (*_declared(), *map(Place, STRANGE))
TOPICS = [place.topic for place in PLACES]


def also(user: str, place: Place, hearing: int) -> bool:
    """Whether a user says (0) or hears (1) this besides the services' messages."""
    return any(mqtt.topic_matches_sub(one, place.topic) for one in ALSO.get(user, ((), ()))[hearing])


def may_say(user: str, place: Place) -> bool:
    """By declaration."""
    if also(user, place, 0):
        return True
    if place.kind is None or user not in DECLARES:
        return False
    if place.kind is Status:
        return place.name == user
    if place.kind is Response:
        return place.name in DECLARES[user].commands
    return place.kind is Rejected or place.kind in DECLARES[user].produces


def may_hear(user: str, place: Place) -> bool:
    """By declaration; the viewer hears all of every site."""
    if user == "viewer":
        return place.topic.startswith("wvr/v1/")
    if also(user, place, 1):
        return True
    if place.kind is None or user not in DECLARES:
        return False
    if place.kind is Command:
        return place.name in DECLARES[user].commands
    return place.kind in DECLARES[user].consumes or (place.kind is Status and place.name == user)


@pytest.fixture(scope="module")
def court(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSite]:
    """The guarded broker, with one more user."""
    with acl_broker(tmp_path_factory.mktemp("court"), add_observer) as site:
        yield site


@pytest.mark.parametrize("user", ALL)
def test_user_publishes_only_what_it_produces(court: RunningSite, user: str) -> None:
    expected = {place.topic for place in PLACES if may_say(user, place)}
    with connected(court, OBSERVER) as judge, connected(court, user) as someone:
        judge.subscribe("#", "$SYS/#")
        assert someone.publish(TOPICS, user) == expected
        someone.publish(TOPICS, f"{user} unconfirmed", qos=0)
        judge.flush()
    for payload in (user, f"{user} unconfirmed"):
        assert {topic for topic, said in judge.heard if said == payload} == expected


@pytest.mark.parametrize("shared", ["", "$share/{user}/"], ids=["plain", "shared subscription"])
def test_user_receives_only_what_it_consumes(court: RunningSite, shared: str) -> None:
    round_ = f"{shared}live"
    with ExitStack() as stack:
        judge = stack.enter_context(connected(court, OBSERVER))
        judge.publish(TOPICS, "kept", retain=True)
        listeners = {user: stack.enter_context(connected(court, user)) for user in (*ALL, OBSERVER)}
        for user, listener in listeners.items():
            mine = shared.format(user=user)
            listener.subscribe(
                f"{mine}#", f"{mine}$SYS/#", f"{mine}wvr/v1/site1/#", f"{mine}+/+/+/+", f"{mine}elsewhere"
            )
        judge.publish(TOPICS, round_)
        for listener in listeners.values():
            listener.flush()
    passed = {topic for topic, said in listeners[OBSERVER].heard if said == round_}
    assert passed >= {topic for topic in TOPICS if not topic.startswith("$")}
    for user in ALL:
        expected = {place.topic for place in PLACES if may_hear(user, place) and place.topic in passed}
        for payload in (round_,) if shared else (round_, "kept"):
            assert {topic for topic, said in listeners[user].heard if said == payload} == expected, user
        besides = {topic for topic, said in listeners[user].heard if said not in (round_, "kept")}
        assert all(also(user, Place(topic), 1) for topic in besides), user


def test_observer_receives_everything(court: RunningSite) -> None:
    with connected(court, OBSERVER) as judge:
        judge.subscribe("$SYS/#")
        wait_for(lambda: "$SYS/broker/version" in dict(judge.heard), what="the broker's own topics")


@pytest.mark.parametrize("user", [*ALL, None, "unknown"])
def test_login_needs_the_right_password(court: RunningSite, user: str | None) -> None:
    with pytest.raises(PermissionError, match="Not authorized"), connected(court, user, "wrong"):
        pass


def test_last_will_is_subject_to_the_access_list(court: RunningSite) -> None:
    own, other = "wvr/v1/site1/service/reporter", "wvr/v1/site1/service/detector"
    with connected(court, OBSERVER) as judge:
        judge.subscribe("#")
        for topic in (other, own):
            with connected(court, "reporter", will=topic) as reporter:
                reporter.die()
        wait_for(lambda: (own, WILL) in judge.heard, what="the last will that is allowed")
    assert (other, WILL) not in judge.heard


def test_the_table_of_docs_access_says_the_same() -> None:
    lines = (ROOT / "docs/how-to/access.md").read_text(encoding="utf-8").splitlines()
    cells = [line.strip("|").split("|") for line in lines if line.startswith("| `")]
    rights = {row[0].split("`")[1]: [re.findall(r"`([^`]+)`", cell) for cell in row[1:]] for row in cells}
    assert rights.keys() == set(USERS)
    for user, (says, hears) in rights.items():
        for place in PLACES:
            for hearing, (filters, may) in enumerate(((says, may_say), (hears, may_hear))):
                written = any(mqtt.topic_matches_sub(f"wvr/v1/+/{one}", place.topic) for one in filters)
                assert (written or also(user, place, hearing)) == may(user, place), f"{user}, {place.topic}, {may}"

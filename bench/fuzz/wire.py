"""Any payload on any topic: a message that survives a second journey, or a WireError."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bench.fuzz.bytes_source import BytesSource
from bench.fuzz.message_generator import message
from bench.fuzz.targets import FuzzInput
from shared.contract.codec import ContractError, decode, encode
from shared.contract.messages import MESSAGES
from shared.contract.topics import topic_of


class _LowestSource:
    """Draws the first of everything."""

    def integer(self, low: int, high: int) -> int:  # noqa: ARG002
        return low

    def number(self) -> float:
        return 1.5

    def text(self, most: int) -> str:  # noqa: ARG002
        return "text"


EXAMPLES = [message(_LowestSource(), [kind]) for kind in MESSAGES]
TOPICS = [*(topic_of(one) for one in EXAMPLES), "wvr/v1/site1/001/anomaly/", "a", ""]


def open_target(_: str, __: Path) -> FuzzInput:
    import atheris

    def take(data: bytes) -> None:
        draw = BytesSource(atheris.FuzzedDataProvider(data))
        if draw.integer(0, 3):
            _foreign(TOPICS[draw.integer(0, len(TOPICS) - 1)], draw.raw(draw.left))
        else:
            _own(draw)

    return take


def _foreign(topic: str, payload: bytes) -> None:
    try:
        found = decode(topic, payload)
    except ContractError:
        return
    assert decode(topic, encode(found)) == found


def _own(draw: BytesSource) -> None:
    """An absurd message is taken as it was sent; one with a character changed is taken or refused."""
    sent = message(draw, MESSAGES)
    payload = encode(sent)
    assert decode(topic_of(sent), payload) == sent
    place, character = draw.integer(0, len(payload) - 1), draw.raw(1) or b"\0"
    _foreign(topic_of(sent), payload[:place] + character + payload[place + 1 :])


def seeds(_: str) -> Iterator[bytes]:
    """Payloads with the choice of their topic behind: FuzzedDataProvider takes integers from the end."""
    for number, example in enumerate(EXAMPLES):
        yield encode(example) + bytes([number, 1])

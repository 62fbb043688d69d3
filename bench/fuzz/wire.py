"""Fuzz of payloads on any topic: a message that survives encoding and decoding, or a ContractError."""

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
    """A value source that always returns the lowest value."""

    def integer(self, low: int, high: int) -> int:  # noqa: ARG002
        return low

    def number(self) -> float:
        return 1.5

    def text(self, max_length: int) -> str:  # noqa: ARG002
        return "text"


EXAMPLES = [message(_LowestSource(), [kind]) for kind in MESSAGES]
TOPICS = [*(topic_of(example) for example in EXAMPLES), "wvr/v1/site1/001/anomaly/", "a", ""]


def open_target(_: str, __: Path) -> FuzzInput:
    import atheris

    def run_input(data: bytes) -> None:
        draw = BytesSource(atheris.FuzzedDataProvider(data))
        if draw.integer(0, 3):
            _decode_payload(TOPICS[draw.integer(0, len(TOPICS) - 1)], draw.raw(draw.remaining_bytes))
        else:
            _send_message(draw)

    return run_input


def _decode_payload(topic: str, payload: bytes) -> None:
    try:
        message = decode(topic, payload)
    except ContractError:
        return
    assert decode(topic, encode(message)) == message


def _send_message(draw: BytesSource) -> None:
    """Decode a random message as it was sent; with one byte changed, decode or reject it."""
    sent = message(draw, MESSAGES)
    payload = encode(sent)
    assert decode(topic_of(sent), payload) == sent
    position, character = draw.integer(0, len(payload) - 1), draw.raw(1) or b"\0"
    _decode_payload(topic_of(sent), payload[:position] + character + payload[position + 1 :])


def seeds(_: str) -> Iterator[bytes]:
    """Yield payloads followed by the choice of their topic: FuzzedDataProvider takes integers from the end."""
    for number, example in enumerate(EXAMPLES):
        yield encode(example) + bytes([number, 1])

"""Messages to bytes and back; the only place that encodes and validates."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from shared.contract.messages import MESSAGES, Message
from shared.contract.topics import message_type_of, topic_of

MAX_PAYLOAD_BYTES = 1_048_576
"""Bytes; the broker refuses more."""


MAX_PROBLEMS = 20
"""Problems of one payload that are told."""


class ContractError(ValueError):
    """A payload or message that isn't what the contract says; the text tells the field and why."""


def encode(message: Message) -> bytes:
    """JSON of a message. Raises WireError when it isn't what the contract says."""
    validate(message)
    return _ADAPTERS[type(message)].dump_json(message)


def validate(message: Message) -> None:
    """Raises WireError when a message isn't what the contract says, as strictly as with a foreign one."""
    try:
        _ADAPTERS[type(message)].validate_python(message, strict=True)
    except ValidationError as error:
        raise ContractError(_explain(error)) from error


def decode(topic: str, payload: bytes | bytearray) -> Message:
    """The message that a topic and its payload stand for; unknown fields are ignored. Raises WireError."""
    kind = message_type_of(topic)
    if kind is None:
        raise ContractError(f"no message has the topic {topic!r}")
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise ContractError(f"{len(payload)} bytes are more than {MAX_PAYLOAD_BYTES}")
    try:
        message: Message = _ADAPTERS[kind].validate_json(payload)
    except ValidationError as error:
        raise ContractError(_explain(error)) from error
    if topic_of(message) != topic:
        raise ContractError(f"the payload belongs to {topic_of(message)!r}, not to {topic!r}")
    return message


def schema(kind: type[Message]) -> dict[str, Any]:
    """JSON schema of a message class."""
    return _ADAPTERS[kind].json_schema(mode="serialization")


def _explain(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    problems = (
        f"{'.'.join(map(str, problem['loc'])) or 'payload'}: {problem['msg']}" for problem in found[:MAX_PROBLEMS]
    )
    return "; ".join(problems)[:2000]


_CONFIG = ConfigDict(allow_inf_nan=False, revalidate_instances="always", extra="ignore", defer_build=True)
for _kind in MESSAGES:
    _kind.__pydantic_config__ = _CONFIG  # type: ignore[union-attr]
_ADAPTERS: dict[type[Message], TypeAdapter[Any]] = {kind: TypeAdapter(kind) for kind in MESSAGES}

"""Encodes messages as JSON and decodes them, both validated; the only place that knows pydantic."""

from __future__ import annotations

import re
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from shared.contract.messages import MESSAGES, LocalizedText, Message
from shared.contract.texts import localized
from shared.contract.topics import message_type_of, topic_of

MAX_PAYLOAD_BYTES = 1_048_576
"""The broker refuses more."""
MAX_PROBLEMS = 20
"""Limit of the fields in one error."""
PREDICATE_TEXTS = {
    "is_valid_name": "expected a printable name without blanks and /+#,;",
    "is_aware_in_supported_years": "expected a time with UTC offset in the years 1970 to 2099",
    "is_safe_relative_path": "expected a relative path without ..",
    "has_169_or_no_values": "expected 169 values or none",
    "has_two_ordered_values": "expected a lower and an upper end",
    "same_length": "expected p10, p50 and p90 of the same length",
}
"""Name of a predicate of the contract to what it expects."""


class ContractError(ValueError):
    """A payload or message violates the contract; `text` names the field and the reason."""

    def __init__(self, text: LocalizedText) -> None:
        super().__init__(text.en)
        self.text = text


def encode(message: Message) -> bytes:
    """Return a message as JSON. Raises ContractError."""
    validate(message)
    return _ADAPTERS[type(message)].dump_json(message)


def validate(message: Message) -> None:
    """Check a message as strictly as one from outside. Raises ContractError."""
    try:
        _ADAPTERS[type(message)].validate_python(message, strict=True)
    except ValidationError as error:
        raise ContractError(_explain(error)) from error


def decode(topic: str, payload: bytes | bytearray) -> Message:
    """Return the message of a topic and its payload; unknown fields are ignored. Raises ContractError."""
    kind = message_type_of(topic)
    if kind is None:
        raise ContractError(localized("알 수 없는 토픽입니다: {topic!r}", "unknown topic {topic!r}", topic=topic))
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise ContractError(
            localized(
                "내용이 {size}바이트로 한도 {limit}바이트를 넘습니다",
                "payload of {size} bytes exceeds {limit} bytes",
                size=len(payload),
                limit=MAX_PAYLOAD_BYTES,
            )
        )
    try:
        message: Message = _ADAPTERS[kind].validate_json(payload)
    except ValidationError as error:
        raise ContractError(_explain(error)) from error
    if topic_of(message) != topic:
        raise ContractError(
            localized(
                "내용은 {own!r} 토픽의 것인데 {topic!r}(으)로 왔습니다",
                "the payload belongs to {own!r}, not to {topic!r}",
                own=topic_of(message),
                topic=topic,
            )
        )
    return message


def schema(kind: type[Message]) -> dict[str, Any]:
    """Return the JSON schema of a message class."""
    return _ADAPTERS[kind].json_schema(mode="serialization")


def _explain(error: ValidationError) -> LocalizedText:
    problems = "; ".join(
        f"{'.'.join(map(str, problem['loc'])) or 'payload'}: {_plain(problem['msg'])}"
        for problem in error.errors(include_url=False, include_context=False, include_input=False)[:MAX_PROBLEMS]
    )
    return localized("잘못된 값입니다: {problems}", "{problems}", problems=problems[:2000])


def _plain(text: str) -> str:
    """Replace the name of a predicate by what it expects."""
    name = re.search(r"Predicate '?(\w+)'? failed", text)
    return PREDICATE_TEXTS.get(name[1], text) if name else text


_CONFIG = ConfigDict(allow_inf_nan=False, revalidate_instances="always", extra="ignore", defer_build=True)
for _kind in MESSAGES:
    _kind.__pydantic_config__ = _CONFIG  # type: ignore[union-attr]
_ADAPTERS: dict[type[Message], TypeAdapter[Any]] = {kind: TypeAdapter(kind) for kind in MESSAGES}

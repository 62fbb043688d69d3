"""The contract as AsyncAPI 3, generated from the message classes and the declarations of the services."""

from __future__ import annotations

import ast
import inspect
import json
import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from annotated_types import Unit

from shared.contract import messages as declared
from shared.contract.codec import schema
from shared.contract.messages import MESSAGES, Command, Message
from shared.contract.service import Service
from shared.contract.topics import PREFIX
from shared.version import VERSION


def document(services: Mapping[str, type[Service]]) -> str:
    """Return the AsyncAPI 3 document as JSON text."""
    content = {
        "asyncapi": "3.0.0",
        "info": {
            "title": "WVR",
            "version": VERSION,
            "description": "Flow rate in m³/h, pressure in bar, times ISO 8601 with offset.",
        },
        "defaultContentType": "application/json",
        "channels": {kind.__name__: _channel(kind) for kind in MESSAGES},
        "operations": dict(_operations(services)),
        "components": _components(),
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _channel(kind: type[Message]) -> dict[str, Any]:
    address = PREFIX + kind.topic
    return {
        "address": address,
        "description": inspect.getdoc(kind),
        "parameters": {name: {} for name in re.findall(r"\{(\w+)\}", address)},
        "messages": {kind.__name__: {"$ref": f"#/components/messages/{kind.__name__}"}},
        "bindings": {"mqtt": {"qos": 1, "retain": kind.retained if isinstance(kind.retained, bool) else "sometimes"}},
    }


def _operations(services: Mapping[str, type[Service]]) -> list[tuple[str, dict[str, Any]]]:
    operations = []
    for name, service in services.items():
        commands = (Command,) if service.commands and Command not in service.consumes else ()
        for action, kinds in (("receive", (*service.consumes, *commands)), ("send", service.produces)):
            for kind in kinds:
                reference = {"$ref": f"#/channels/{kind.__name__}"}
                operations.append((f"{name}.{action}.{kind.__name__}", {"action": action, "channel": reference}))
    return operations


def _components() -> dict[str, Any]:
    parts: dict[str, Any] = {}
    whole: dict[str, Any] = {}
    for kind in MESSAGES:
        message_schema = schema(kind)
        parts.update(message_schema.pop("$defs", {}))
        parts[kind.__name__] = message_schema
        whole[kind.__name__] = {"payload": {"$ref": f"#/components/schemas/{kind.__name__}"}}
    for name, field, extra in _notes():
        parts[name]["properties"][field].update(extra)
    text = json.dumps({"messages": whole, "schemas": dict(sorted(parts.items()))})
    content: dict[str, Any] = json.loads(text.replace("#/$defs/", "#/components/schemas/"))
    return content


def _notes() -> Iterator[tuple[str, str, dict[str, str]]]:
    """Yield class, field, and the docstring below the field with the unit of its type."""
    units = {
        name: part.unit
        for name, kind in vars(declared).items()
        for part in getattr(kind, "__metadata__", ())
        if isinstance(part, Unit)
    }
    classes = [node for node in ast.parse(inspect.getsource(declared)).body if isinstance(node, ast.ClassDef)]
    for node in classes:
        for field, below in pairwise([*node.body, ast.Pass()]):
            if not isinstance(field, ast.AnnAssign) or "ClassVar" in ast.unparse(field.annotation):
                continue
            words = re.findall(r"\w+", ast.unparse(field.annotation))
            extra = dict([("x-unit", units[word]) for word in words if word in units][:1])
            if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
                extra["description"] = str(below.value.value)
            yield node.name, ast.unparse(field.target), extra

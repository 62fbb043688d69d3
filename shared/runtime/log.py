"""Structured logs to stdout: one line of JSON an event."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any


class _Line(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "service": record.name,
            "event": record.getMessage(),
            **record.__dict__.get("facts", {}),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def log(service: str, event: str, level: int = logging.INFO, error: BaseException | None = None, **facts: Any) -> None:
    """Writes one event with its facts."""
    logger = logging.getLogger(service)
    logger.log(level, event, extra={"facts": facts}, exc_info=error)


def start_logging() -> None:
    """Sends every log of this process to stdout."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_Line())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("schedule").setLevel(logging.WARNING)

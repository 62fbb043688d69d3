"""Structured logs: one JSON line per event to stdout; errors to stderr."""

from __future__ import annotations

import json
import logging
import sys
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo


class _Line(logging.Formatter):
    def __init__(self, zone: ZoneInfo) -> None:
        super().__init__()
        self._zone = zone

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": f"{datetime.fromtimestamp(record.created, self._zone):%Y-%m-%dT%H:%M:%S%z}",
            "level": record.levelname.lower(),
            "service": record.name,
            "event": record.getMessage(),
            **record.__dict__.get("fields", {}),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def log(service: str, event: str, level: int = logging.INFO, error: BaseException | None = None, **fields: Any) -> None:
    """Log one event with its fields."""
    logger = logging.getLogger(service)
    logger.log(level, event, extra={"fields": fields}, exc_info=error)


def start_logging(zone: ZoneInfo) -> None:
    """Send all logs of this process to stdout, and errors to stderr instead; with the site's time."""
    output, errors = logging.StreamHandler(sys.stdout), logging.StreamHandler(sys.stderr)
    output.addFilter(lambda record: record.levelno < logging.ERROR)
    errors.setLevel(logging.ERROR)
    for handler in (output, errors):
        handler.setFormatter(_Line(zone))
    logging.basicConfig(level=logging.INFO, handlers=[output, errors], force=True)
    logging.getLogger("schedule").setLevel(logging.WARNING)

"""Waiting for a condition, with a limit."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")


def wait_for(condition: Callable[[], Value], seconds: float = 20.0, what: str = "", pause: float = 0.05) -> Value:
    """What the condition gives as soon as it is true; fails after the limit."""
    never = threading.Event()
    until = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < until, f"not within {seconds} s: {what or condition}"
        never.wait(pause)
    return found

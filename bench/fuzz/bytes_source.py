"""Choices out of the bytes of a coverage-guided fuzz."""

from __future__ import annotations

import math
from typing import Any


class BytesSource:
    """Draws from atheris's FuzzedDataProvider; when the bytes are used up, the lowest choice each time."""

    def __init__(self, provider: Any) -> None:
        self._provider = provider

    @property
    def left(self) -> int:
        """Bytes that have not been used."""
        return int(self._provider.remaining_bytes())

    def integer(self, low: int, high: int) -> int:
        return int(self._provider.ConsumeIntInRange(low, high))

    def number(self) -> float:
        value = float(self._provider.ConsumeRegularFloat())
        return value if math.isfinite(value) else 0.0

    def text(self, most: int) -> str:
        return str(self._provider.ConsumeUnicodeNoSurrogates(self.integer(0, min(most, 40))))

    def raw(self, most: int) -> bytes:
        return bytes(self._provider.ConsumeBytes(most))

"""Values from the bytes of a coverage-guided fuzz input."""

from __future__ import annotations

import math
from typing import Any


class BytesSource:
    """Values from atheris's FuzzedDataProvider; once the bytes are used up, the lowest ones."""

    def __init__(self, provider: Any) -> None:
        self._provider = provider

    @property
    def remaining_bytes(self) -> int:
        """Number of unused bytes."""
        return int(self._provider.remaining_bytes())

    def integer(self, low: int, high: int) -> int:
        return int(self._provider.ConsumeIntInRange(low, high))

    def number(self) -> float:
        value = float(self._provider.ConsumeRegularFloat())
        return value if math.isfinite(value) else 0.0

    def text(self, max_length: int) -> str:
        return str(self._provider.ConsumeUnicodeNoSurrogates(self.integer(0, min(max_length, 40))))

    def raw(self, max_length: int) -> bytes:
        return bytes(self._provider.ConsumeBytes(max_length))

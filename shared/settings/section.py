"""What all tables of site.toml share: unknown keys are errors; durations with their unit."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


class Section(BaseModel):
    """A table of site.toml. An unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _minutes(text: Any) -> Any:
    """Return the minutes of a duration such as "90s", "15m", "26h" or "2d"."""
    match = re.fullmatch(r"(\d{1,6})\s*([smhd])", text.strip()) if isinstance(text, str) else None
    if not match:
        raise ValueError("write a number and its unit, such as '15m' or '26h'")
    return max(1, -(-int(match[1]) * SECONDS_OF_UNIT[match[2]] // 60))


SECONDS_OF_UNIT = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
Minutes = Annotated[int, BeforeValidator(_minutes), Field(le=31 * 1440)]
"""A duration in site.toml, such as "15m"; whole minutes in the program."""

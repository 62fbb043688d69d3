"""How late a reading may be before its clock is doubted."""

from __future__ import annotations

from shared.domain.series import HOUR

ALLOWED_LATENESS_SECONDS = 26 * HOUR
"""A logger that was offline for a day sends its block within two hours. A later reading has a doubtful clock."""

"""Texts for people in Korean and English."""

from __future__ import annotations

from typing import Any

from shared.contract.messages import LocalizedText

MAX_CHARACTERS = 4000


def localized(ko: str, en: str, **values: Any) -> LocalizedText:
    """Return both texts with the same values filled in, cut to the limit of the contract.

    >>> localized("{id}: 확인했습니다", "{id}: acknowledged", id="001-flow_rate-leak").en
    '001-flow_rate-leak: acknowledged'
    """
    return LocalizedText(ko.format(**values)[:MAX_CHARACTERS], en.format(**values)[:MAX_CHARACTERS])


def technical(detail: object) -> LocalizedText:
    """Return a technical detail, such as an exception, that is the same in both languages."""
    return LocalizedText(str(detail)[:MAX_CHARACTERS], str(detail)[:MAX_CHARACTERS])

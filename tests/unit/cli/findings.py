"""What doctor's tests have in common."""

from __future__ import annotations

from collections.abc import Iterable

from cli.doctor_checks.finding import Finding


def wrongs(found: Iterable[Finding]) -> str:
    """What is wrong, a line each."""
    return "\n".join(one.what for one in found if one.state == "wrong")


def notes(found: Iterable[Finding]) -> str:
    """What is worth knowing, a line each."""
    return "\n".join(one.what for one in found if one.state == "note")

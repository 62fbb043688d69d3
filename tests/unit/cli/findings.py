"""Texts of doctor's findings."""

from __future__ import annotations

from collections.abc import Iterable

from cli.doctor_checks.finding import Finding


def problems(findings: Iterable[Finding]) -> str:
    """Return the texts of the findings that are wrong, one per line."""
    return "\n".join(finding.what for finding in findings if finding.state == "wrong")


def notes(findings: Iterable[Finding]) -> str:
    """Return the texts of the notes, one per line."""
    return "\n".join(finding.what for finding in findings if finding.state == "note")

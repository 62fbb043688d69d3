"""Does WVR start again by itself after a power cut."""

from __future__ import annotations

from collections.abc import Iterator

from cli.autostart import is_installed, runs_systemd, starts_with_docker
from cli.doctor_checks.finding import Finding, note, ok
from cli.local_site import supervisor_pid
from shared.settings import Settings


def check(settings: Settings) -> Iterator[Finding]:
    """Looks at what systemd starts."""
    if not runs_systemd():
        advice = "let this machine's own start-up run ./wvr up"
        yield note("no systemd runs here: whether WVR starts again after a power cut can't be seen", advice)
    elif is_installed() or (not supervisor_pid(settings.data) and starts_with_docker()):
        yield ok("WVR starts again after a power cut")
    else:
        yield note("after a power cut WVR stays down", "./wvr autostart on")

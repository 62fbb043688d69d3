"""Whether WVR starts again after a power cut."""

from __future__ import annotations

from collections.abc import Iterator

from cli.autostart import is_installed, runs_systemd, starts_with_docker
from cli.doctor_checks.finding import Finding, note, ok
from cli.local_site import supervisor_pid
from shared.settings import Settings


def check(settings: Settings) -> Iterator[Finding]:
    """Check the units that systemd starts."""
    if not runs_systemd():
        advice = "add ./wvr up to the start-up script of the machine"
        yield note("systemd does not run here: the start after a power cut can't be checked", advice)
    elif is_installed() or (not supervisor_pid(settings.data) and starts_with_docker()):
        yield ok("WVR starts again after a power cut")
    else:
        yield note("WVR stays down after a power cut", "./wvr autostart on")

"""Prints the slowest tests with their wall time and processor time at the end of a run."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Generator

import pytest

SHOWN_TESTS = 40
PROCESSOR_SECONDS = "processor_seconds"
_last_seconds = pytest.StashKey[float]()
_timings: defaultdict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
"""Test id to its wall seconds and processor seconds, set-up and tear-down included."""


def _processor_seconds() -> float:
    """Return the processor seconds of this process and of its children that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_last_seconds] = _processor_seconds()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Attach the processor seconds of this phase to its report, which xdist sends to the controller."""
    report = yield
    now = _processor_seconds()
    report.user_properties = [(PROCESSOR_SECONDS, now - item.config.stash[_last_seconds])]
    item.config.stash[_last_seconds] = now
    return report


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    row = _timings[report.nodeid]
    row[0] += report.duration
    row[1] += sum(float(str(value)) for key, value in report.user_properties if key == PROCESSOR_SECONDS)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.section(f"slowest {SHOWN_TESTS} tests: wall seconds, processor seconds")
    slowest = sorted(_timings.items(), key=lambda row: -row[1][0])[:SHOWN_TESTS]
    for nodeid, (wall, processor) in slowest:
        terminalreporter.write_line(f"{wall:7.1f} {processor:7.1f}  {nodeid}")
    wall, processor = (sum(row[column] for row in _timings.values()) for column in (0, 1))
    terminalreporter.write_line(f"{wall:7.1f} {processor:7.1f}  all {len(_timings)} tests")

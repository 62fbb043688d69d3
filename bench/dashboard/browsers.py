"""Ten real browsers on the dashboard at a message a second: `python -m bench.dashboard.browsers`.

Memory before, with and after the browsers, processor time, first paint, time until the chart is drawn, bytes shipped,
and the time from a message to its value on the page.
"""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

from playwright.sync_api import Page

from bench.table import publish
from tests.e2e.browser import chromium, opened
from tests.e2e.dashboard_site import DashboardSite, dashboard_site, site_messages, this_minute, verdict

BROWSERS, MESSAGES = 10, 120
SETTLE_SECONDS = 15.0
"""Time in which the connections of closed browsers end."""
TIMINGS = """() => {
  const paint = performance.getEntriesByName('first-contentful-paint')[0];
  const bytes = performance.getEntriesByType('resource').reduce((sum, entry) => sum + entry.encodedBodySize, 0);
  const page = performance.getEntriesByType('navigation')[0];
  return [paint.startTime, page.domInteractive, bytes + page.encodedBodySize];
}"""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, dashboard_site(Path(folder), has_history=True) as site:
        site.publish(*site_messages(this_minute()))
        before = site.memory_mb()
        with chromium() as browser, ExitStack() as stack:
            watched = [stack.enter_context(opened(browser, site.url)) for _ in range(BROWSERS)]
            started = time.monotonic()
            watched[0].visit("/")
            drawn_ms = (time.monotonic() - started) * 1000
            paint_ms, interactive_ms, shipped = watched[0].page.evaluate(TIMINGS)
            for page in watched[1:]:
                page.visit("/")
            delays_ms, processor_share = feed(site, watched[0].page)
            during = site.memory_mb()
        time.sleep(SETTLE_SECONDS)
        after = site.memory_mb()
    rank = sorted(delays_ms)
    rows = [
        ["memory before the browsers", f"{before:.0f} MB", ""],
        ["memory with ten browsers", f"{during:.0f} MB", "100 MB"],
        ["memory after they have left", f"{after:.0f} MB", "10 MB above"],
        ["processor at a message a second", f"{processor_share:.1%} of a core", "2 %"],
        ["first paint", f"{paint_ms:.0f} ms", "1,500 ms"],
        ["interactive", f"{interactive_ms:.0f} ms", "2,000 ms"],
        ["chart drawn", f"{drawn_ms:.0f} ms", ""],
        ["shipped, compressed", f"{shipped / 1000:.0f} kB", "400 kB"],
        ["message to page, median", f"{rank[len(rank) // 2]:.0f} ms", ""],
        ["message to page, 99th percentile", f"{rank[int(len(rank) * 0.99)]:.0f} ms", "1,000 ms"],
    ]
    publish(
        "dashboard-browsers",
        "Ten browsers on the dashboard",
        "python -m bench.dashboard.browsers",
        ["figure", "measured", "required"],
        rows,
    )


def feed(site: DashboardSite, page: Page) -> tuple[list[float], float]:
    """Publish a verdict a second; return milliseconds until its value is on the page, and the share of a core used."""
    delays: list[float] = []
    started, used = time.monotonic(), _processor_seconds(site)
    for number in range(MESSAGES):
        message = verdict("001", this_minute() + timedelta(minutes=number + 1), 20.0 + number)
        sent = time.monotonic()
        site.publish(message)
        page.wait_for_function(
            "text => document.querySelector(\"section[aria-label='001'] .digits\").textContent === text",
            arg=f"{message.reading.flow_rate:.1f}",
            polling=10,
        )
        delays.append((time.monotonic() - sent) * 1000)
        time.sleep(max(0.0, started + number + 1 - time.monotonic()))
    return delays, (_processor_seconds(site) - used) / (time.monotonic() - started)


def _processor_seconds(site: DashboardSite) -> float:
    assert site.process
    fields = Path(f"/proc/{site.process.pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()

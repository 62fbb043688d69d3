"""A backlog of a week is stored with verdicts, and new minutes do not wait for it."""

from __future__ import annotations

from pathlib import Path

from bench.speed.live import backlog_catch_up, following_site


def test_live_minutes_pass_while_a_week_is_backfilled(tmp_path: Path) -> None:
    with following_site(tmp_path / "s") as site:
        _, delays = backlog_catch_up(site)
    assert len(delays) > 1, "no new minute came while the week was being stored"

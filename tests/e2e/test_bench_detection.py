"""The bench's fast way through WVR gives the alarms of `./wvr replay`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from bench.detection.faults import LoggerLines
from bench.detection.simulator import make_record
from bench.detection.wvr import SITE, by_command, in_process

DAYS = 16
MINUTES_A_DAY = 1440


def test_services_in_one_process_give_the_alarms_that_replay_exports(tmp_path: Path) -> None:
    lines = make_record(4, "typical", DAYS).lines
    spoiled = _with_burst_spike_and_silence(lines)
    for folder in ("quick", "command"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / SITE).write_text("")
    quick = in_process(spoiled, tmp_path / "quick")
    assert quick == by_command(spoiled, tmp_path / "command")
    assert {"silence", "out_of_range"} <= {alarm.kind for alarm in quick}
    assert len(quick) >= 3


def _with_burst_spike_and_silence(lines: LoggerLines) -> LoggerLines:
    flow = lines.flow.copy()
    flow[13 * MINUTES_A_DAY : 13 * MINUTES_A_DAY + 600] += np.nanmean(flow)
    flow[15 * MINUTES_A_DAY - 60] = -1.0
    kept = np.ones(len(flow), dtype=bool)
    kept[14 * MINUTES_A_DAY : 14 * MINUTES_A_DAY + 200] = False
    return replace(lines, at=lines.at[kept], flow=flow[kept], pressure=lines.pressure[kept])

"""The bench's in-process run gives the alarms of `./wvr replay`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from bench.detection.faults import LoggerLines
from bench.detection.simulator import make_record
from bench.detection.wvr import SITE, by_command, in_process

DAYS = 16
MINUTES_PER_DAY = 1440


def test_in_process_run_gives_the_alarms_of_replay(tmp_path: Path) -> None:
    lines = make_record(4, "typical", DAYS).lines
    faulty_lines = _with_burst_spike_and_silence(lines)
    for folder in ("in_process", "command"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / SITE).write_text("")
    alarms = in_process(faulty_lines, tmp_path / "in_process")
    assert alarms == by_command(faulty_lines, tmp_path / "command")
    assert {"silence", "out_of_range"} <= {alarm.kind for alarm in alarms}
    assert len(alarms) >= 3


def _with_burst_spike_and_silence(lines: LoggerLines) -> LoggerLines:
    flow = lines.flow.copy()
    flow[13 * MINUTES_PER_DAY : 13 * MINUTES_PER_DAY + 600] += np.nanmean(flow)
    flow[15 * MINUTES_PER_DAY - 60] = -1.0
    is_present = np.ones(len(flow), dtype=bool)
    is_present[14 * MINUTES_PER_DAY : 14 * MINUTES_PER_DAY + 200] = False
    return replace(lines, at=lines.at[is_present], flow=flow[is_present], pressure=lines.pressure[is_present])

"""A table that is written in any form reads back, line by line and as a file that grows, or it is in doubt."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.fuzz.tables import check_lines, run, write_table

INPUTS, LONG_INPUTS = 600, 1_000_000


@settings(max_examples=100, deadline=None)
@given(random=st.randoms(use_true_random=False))
def test_a_written_table_reads_back_or_is_in_doubt(random: Random) -> None:
    assert check_lines(write_table(random)) in ("", "in doubt")


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("inputs", [INPUTS, pytest.param(LONG_INPUTS, marks=pytest.mark.full)])
def test_no_table_is_misread(inputs: int, tmp_path: Path) -> None:
    outcomes = run(inputs, 2, tmp_path)
    assert outcomes["misread"] == 0
    assert outcomes["read back"] > 0.75 * inputs

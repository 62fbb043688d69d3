"""A short coverage-guided fuzz of each target; `python -m bench.fuzz` runs it for longer."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from bench.fuzz.__main__ import fuzz
from bench.fuzz.targets import TARGETS

INPUTS, LONG_FUZZ_INPUTS = 10_000, 1_000_000

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("atheris") is None, reason="bench/fuzz needs atheris, which exists for x86-64 only"
    ),
]


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("inputs_of_all", [INPUTS, pytest.param(LONG_FUZZ_INPUTS, marks=pytest.mark.full)])
@pytest.mark.parametrize("name", TARGETS)
def test_fuzz_finds_nothing(name: str, inputs_of_all: int, tmp_path: Path) -> None:
    input_count = max(300, inputs_of_all * TARGETS[name].percent // 100)
    _, inputs, _, edges, findings, _ = fuzz(name, tmp_path / "fuzz", input_count, seed=1)
    assert findings == "0"
    assert int(inputs.replace(",", "")) >= input_count
    assert int(edges) > 10, "nothing was instrumented"

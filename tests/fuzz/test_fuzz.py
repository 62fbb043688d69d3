"""A short coverage-guided fuzz of each target; `python -m bench.fuzz` runs it for longer."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from bench.fuzz.__main__ import fuzz
from bench.fuzz.targets import TARGETS

INPUTS = 10_000

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None, reason="bench/fuzz needs atheris, which exists for x86-64 only"
)


@pytest.mark.parametrize("name", TARGETS)
def test_short_fuzz_finds_nothing(name: str, tmp_path: Path) -> None:
    input_count = max(300, INPUTS * TARGETS[name].percent // 100)
    _, inputs, _, edges, findings, _ = fuzz(name, tmp_path / "fuzz", input_count, seed=1)
    assert findings == "0"
    assert int(inputs.replace(",", "")) >= input_count
    assert int(edges) > 10, "nothing was instrumented"

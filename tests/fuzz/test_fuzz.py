"""A short coverage-guided fuzz of each target, as `python -m bench.fuzz` runs it for long."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from bench.fuzz.__main__ import fuzz
from bench.fuzz.targets import TARGETS

INPUTS = 10_000

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None, reason="atheris is there for x86-64 alone; bench/fuzz needs it"
)


@pytest.mark.parametrize("name", TARGETS)
def test_a_short_fuzz_finds_nothing(name: str, tmp_path: Path) -> None:
    wanted = max(300, INPUTS * TARGETS[name].parts // 100)
    _, inputs, _, edges, findings, _ = fuzz(name, tmp_path / "fuzz", wanted, seed=1)
    assert findings == "0"
    assert int(inputs.replace(",", "")) >= wanted
    assert int(edges) > 10, "nothing was instrumented: the fuzz would be blind"

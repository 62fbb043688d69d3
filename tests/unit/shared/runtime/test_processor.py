"""AVX is found where numpy names it, and in /proc/cpuinfo where it does not."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from shared.runtime import processor


@pytest.mark.parametrize(
    ("features", "flags", "expected"),
    [
        ({"AVX": True}, "sse", True),
        ({"AVX": False}, "sse avx fma", False),
        ({}, "sse avx fma", True),
        ({}, "sse", False),
    ],
)
def test_avx_is_what_numpy_says_else_what_the_kernel_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, features: dict[str, bool], flags: str, expected: bool
) -> None:
    (tmp_path / "cpuinfo").write_text(f"flags\t\t: fpu {flags} vme\n")
    monkeypatch.setattr(processor, "CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(processor, "import_module", lambda _: SimpleNamespace(__cpu_features__=features))
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    assert processor.can_run_tensorflow() is expected


def test_other_architectures_need_no_avx(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    assert processor.can_run_tensorflow()

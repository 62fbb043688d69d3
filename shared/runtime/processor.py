"""Whether this machine's processor can train models: TensorFlow ends without a word where AVX is missing."""

from __future__ import annotations

import platform
from importlib import import_module
from pathlib import Path
from typing import Any

NUMPY_MODULE = "numpy._core._multiarray_umath"
"""Its dict `__cpu_features__`, which numpy.show_runtime prints, is what the processor itself says (CPUID)."""
CPUINFO = Path("/proc/cpuinfo")
"""Read if numpy does not name AVX; under qemu-user it shows the host's processor."""


def can_run_tensorflow() -> bool:
    """Return whether the processor has AVX, which TensorFlow's x86 packages need; others need none."""
    if platform.machine() not in ("x86_64", "AMD64"):
        return True
    features: dict[str, Any] = getattr(import_module(NUMPY_MODULE), "__cpu_features__", {})
    if "AVX" in features:
        return bool(features["AVX"])
    return " avx " in CPUINFO.read_text(encoding="utf-8", errors="replace")

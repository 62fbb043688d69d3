"""A table of figures, printed and written to docs/results/."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from pathlib import Path

RESULTS = Path(__file__).resolve().parent.parent / "docs" / "results"


def publish(
    name: str, title: str, command: str, header: Sequence[str], rows: Sequence[Sequence[str]], below: str = ""
) -> None:
    """Print a Markdown table and write it, with a text below, to docs/results/<name>.md."""
    lines = [header, ["---"] * len(header), *rows]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    machine = f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}"
    text = f"# {title}\n\nMeasured with `{command}`: {machine}.\n\n{table}\n{below}"
    print(text)
    (RESULTS / f"{name}.md").write_text(text, encoding="utf-8")

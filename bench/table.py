"""A table of figures, printed and kept in docs/."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from pathlib import Path

DOCS = Path(__file__).resolve().parent.parent / "docs"


def publish(
    name: str, title: str, command: str, header: Sequence[str], rows: Sequence[Sequence[str]], below: str = ""
) -> None:
    """Prints a Markdown table and writes it, with a text below, to docs/<name>.md."""
    lines = [header, ["---"] * len(header), *rows]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    machine = f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}"
    text = f"# {title}\n\nMeasured with `{command}`: {machine}.\n\n{table}\n{below}"
    print(text)
    (DOCS / f"{name}.md").write_text(text, encoding="utf-8")

"""`python -m bench.fuzz`: coverage-guided fuzz of all external input; writes docs/results/fuzz.md."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.fuzz.targets import TARGETS
from bench.table import publish

HEADER = ("target", "inputs", "inputs/s", "edges", "findings", "peak MB")
TEXT_BELOW_TABLE = """
Coverage-guided (atheris, on x86-64), each target in a process of its own with the given seed. A finding is an input whose
result is neither a message nor a named rejection. An input that takes 30 s, or makes the process grow beyond 1,024 MB, is
one as well. The services live through all inputs of their row, up to thirty messages each, so growing memory would show.
Edges are those of `services/` and `shared/`; pydantic is not counted.

One target: `.venv/bin/python -m bench.fuzz --target wire --inputs 100000`. Findings are kept in `/tmp/wvr-fuzz-…`.
`tests/fuzz/` has a short run of each target, properties by Hypothesis, and a test for each extreme input that was found.
Limits: [files](../reference/files.md#limits); reasons: [0010](../decisions/0010-input-limits.md).

`python -m bench.fuzz.tables` writes tables as loggers, SCADA systems and spreadsheets do (long, wide, units, dates, decimal
signs, encodings, words in place of values) and reads them: each reads back, or is in doubt. The long test has a million.
"""  # noqa: E501
MAX_RESIDENT_MB = 1024
"""Resident memory; a target that exceeds it counts as a finding."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_100_000, help="of all targets together")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--target", choices=TARGETS, help="only this target; docs/results/fuzz.md stays as it is")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="wvr-fuzz-"))
    total_percent = sum(target.percent for target in TARGETS.values())
    rows = [
        fuzz(name, folder / name.replace(" ", "-"), arguments.inputs * target.percent // total_percent, arguments.seed)
        for name, target in TARGETS.items()
        if arguments.target in (None, name)
    ]
    inputs, findings = (sum(int(row[column].replace(",", "")) for row in rows) for column in (1, 4))
    rows.append(("all", f"{inputs:,}", "", "", str(findings), ""))
    if arguments.target is None:
        command = f"python -m bench.fuzz --inputs {arguments.inputs} --seed {arguments.seed}"
        publish("fuzz", "Hostile input", command, HEADER, rows, TEXT_BELOW_TABLE)
    if findings:
        print(f"the findings are in {folder}")
    return 1 if findings else 0


def fuzz(name: str, folder: Path, inputs: int, seed: int) -> tuple[str, ...]:
    """Fuzz one target in its own process; return its row of the table."""
    options = [f"-runs={inputs}", f"-seed={seed}", f"-rss_limit_mb={MAX_RESIDENT_MB}", "-print_final_stats=1"]
    command = [sys.executable, "-m", "bench.fuzz.run", name, str(folder), *options]
    # Peak memory survives exec. With a shell between, the fuzzer does not start with the peak of this process.
    command = ["sh", "-c", '"$@"; exit $?', "sh", *command]
    started_at = time.monotonic()
    process = subprocess.run(command, capture_output=True, check=False)
    seconds = time.monotonic() - started_at
    stderr = process.stderr.decode("utf-8", "replace")
    has_finding = process.returncode != 0
    if has_finding:
        print(f"{name}: {process.stdout.decode('utf-8', 'replace')[-3000:]}\n{stderr[-3000:]}", file=sys.stderr)
    executed = _last_number(r"stat::number_of_executed_units:\s+(\d+)", stderr)
    edges, peak = _last_number(r"\bcov: (\d+)", stderr), _last_number(r"stat::peak_rss_mb:\s+(\d+)", stderr)
    row = (name, f"{executed:,}", f"{executed / seconds:,.0f}", str(edges), str(int(has_finding)), str(peak))
    print(" | ".join(row), flush=True)
    return row


def _last_number(pattern: str, text: str) -> int:
    matches = re.findall(pattern, text)
    return int(matches[-1]) if matches else 0


if __name__ == "__main__":
    sys.exit(main())

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
BELOW = """
Coverage-guided (atheris, on x86-64): each target in a process of its own, instrumented, with the seed given; an input
counts as a finding when something comes out that is neither a message nor a refusal by name, when it takes 30 s, or
when the process grows beyond 1,024 MB. The services live through all inputs of their row, up to thirty messages each,
so what they remember is limited or would show. Edges are those of `services/` and `shared/`; payloads are read by
pydantic, which is not counted.

One target: `.venv/bin/python -m bench.fuzz --target wire --inputs 100000`. Inputs that were not taken as they should
are kept in `/tmp/wvr-fuzz-…`. `tests/fuzz/` has a short run of each target, properties by Hypothesis, and one test
for each absurdity that somebody thought of. Limits: [formats.md](formats.md#limits); why:
[0010](decisions/0010-hostile-input.md).
"""
LARGEST_MB = 1024
"""Resident memory beyond which a target counts as growing."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_100_000, help="of all targets together")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--target", choices=TARGETS, help="only this one; docs/results/fuzz.md stays as it is")
    wanted = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="wvr-fuzz-"))
    whole = sum(target.parts for target in TARGETS.values())
    rows = [
        fuzz(name, folder / name.replace(" ", "-"), wanted.inputs * target.parts // whole, wanted.seed)
        for name, target in TARGETS.items()
        if wanted.target in (None, name)
    ]
    inputs, findings = (sum(int(row[place].replace(",", "")) for row in rows) for place in (1, 4))
    rows.append(("all", f"{inputs:,}", "", "", str(findings), ""))
    if wanted.target is None:
        command = f"python -m bench.fuzz --inputs {wanted.inputs} --seed {wanted.seed}"
        publish("fuzz", "Hostile input", command, HEADER, rows, BELOW)
    if findings:
        print(f"inputs that were not taken as they should are in {folder}")
    return 1 if findings else 0


def fuzz(name: str, folder: Path, inputs: int, seed: int) -> tuple[str, ...]:
    """Runs one target; a row of the table."""
    options = [f"-runs={inputs}", f"-seed={seed}", f"-rss_limit_mb={LARGEST_MB}", "-print_final_stats=1"]
    command = [sys.executable, "-m", "bench.fuzz.run", name, str(folder), *options]
    # Peak memory outlives exec: a shell between lets the fuzzer begin with its own, not with that of who starts it.
    command = ["sh", "-c", '"$@"; exit $?', "sh", *command]
    began = time.monotonic()
    ended = subprocess.run(command, capture_output=True, check=False)
    took = time.monotonic() - began
    stderr = ended.stderr.decode("utf-8", "replace")
    finding = ended.returncode != 0
    if finding:
        print(f"{name}: {ended.stdout.decode('utf-8', 'replace')[-3000:]}\n{stderr[-3000:]}", file=sys.stderr)
    done = _newest(r"stat::number_of_executed_units:\s+(\d+)", stderr)
    edges, peak = _newest(r"\bcov: (\d+)", stderr), _newest(r"stat::peak_rss_mb:\s+(\d+)", stderr)
    row = (name, f"{done:,}", f"{done / took:,.0f}", str(edges), str(int(finding)), str(peak))
    print(" | ".join(row), flush=True)
    return row


def _newest(pattern: str, text: str) -> int:
    found = re.findall(pattern, text)
    return int(found[-1]) if found else 0


if __name__ == "__main__":
    sys.exit(main())

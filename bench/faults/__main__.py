"""`python -m bench.faults --faults 300`: a long fault campaign; writes docs/results/faults.md."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from bench.faults.campaign import Campaign
from bench.faults.site import faultable_site
from bench.faults.synthetic_readings import FORMS
from bench.table import publish


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.faults", description=__doc__)
    parser.add_argument("--faults", type=int, default=300)
    parser.add_argument("--minutes", type=int, default=0, help="minutes of two sensors in all; default 200 a fault")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pause", type=float, default=4.0, help="longest pause before a fault, seconds")
    parser.add_argument(
        "--wait", type=float, default=600.0, help="longest wait for complete output at the end, seconds"
    )
    parser.add_argument("--form", choices=FORMS, default="documented", help="form of the followed file")
    parser.add_argument("--keep", type=Path, help="a new folder for a copy of the site's data")
    arguments = parser.parse_args()
    minutes = arguments.minutes or 200 * max(arguments.faults, 1)
    with tempfile.TemporaryDirectory(prefix="wvr-faults-") as name:
        folder = Path(name)
        with faultable_site(folder) as faultable:
            campaign = Campaign(faultable, arguments.seed, minutes, arguments.faults, arguments.form)
            seconds = campaign.run(arguments.pause)
            try:
                waited = f"{campaign.wait(arguments.wait):.0f} s"
            except TimeoutError as error:
                waited = str(error)
            outcome = campaign.outcome(folder)
            if arguments.keep:
                shutil.copytree(faultable.site.data, arguments.keep, ignore=shutil.ignore_patterns("run", "secrets"))
    rows = [(f"fault: {kind}", str(count), "", "") for kind, count in sorted(campaign.fault_counts.items())]
    rows += [(f"kept: {table.name}", str(table.expected), str(table.missing), str(table.differ)) for table in outcome]
    pace = f"{campaign.readings} readings in {seconds:.0f} s, {minutes * 60 / seconds:.0f} times as fast as real time"
    title = f"{arguments.faults} faults, seed {arguments.seed}: {pace}; complete {waited} after the last fault"
    publish(
        "faults",
        "Fault campaign",
        f"python -m bench.faults --faults {arguments.faults} --seed {arguments.seed}",
        (title, "count", "missing", "different"),
        rows,
    )
    for table in outcome:
        if not table.is_equal:
            print(f"{table.name}: {table.first_difference}", file=sys.stderr)
    return 0 if all(table.is_equal for table in outcome) else 1


if __name__ == "__main__":
    sys.exit(main())

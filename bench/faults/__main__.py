"""`python -m bench.faults --faults 300`: a long campaign, and its table."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from bench.faults.campaign import Campaign
from bench.faults.site import faultable_site
from bench.table import publish


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.faults", description=__doc__)
    parser.add_argument("--faults", type=int, default=300)
    parser.add_argument("--minutes", type=int, default=0, help="minutes of two sensors in all; default 200 a fault")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pause", type=float, default=4.0, help="longest pause before a fault, seconds")
    parser.add_argument("--wait", type=float, default=600.0, help="seconds that the site has at the end")
    parser.add_argument("--keep", type=Path, help="a new folder for a copy of the site's data")
    wanted = parser.parse_args()
    minutes = wanted.minutes or 200 * max(wanted.faults, 1)
    with tempfile.TemporaryDirectory(prefix="wvr-faults-") as name:
        folder = Path(name)
        with faultable_site(folder) as frail:
            campaign = Campaign(frail, wanted.seed, minutes, wanted.faults)
            took = campaign.run(wanted.pause)
            try:
                waited = f"{campaign.wait(wanted.wait):.0f} s"
            except TimeoutError as error:
                waited = str(error)
            outcome = campaign.outcome(folder)
            if wanted.keep:
                shutil.copytree(frail.site.data, wanted.keep, ignore=shutil.ignore_patterns("run", "secrets"))
    rows = [(f"fault: {kind}", str(count), "", "") for kind, count in sorted(campaign.done.items())]
    rows += [(f"kept: {one.name}", str(one.expected), str(one.missing), str(one.differ)) for one in outcome]
    pace = f"{campaign.readings} readings in {took:.0f} s, {minutes * 60 / took:.0f} times as fast as life"
    title = f"{wanted.faults} faults, seed {wanted.seed}: {pace}; all there {waited} after the last"
    publish(
        "faults",
        "Fault campaign",
        f"python -m bench.faults --faults {wanted.faults} --seed {wanted.seed}",
        (title, "count", "missing", "different"),
        rows,
    )
    for one in outcome:
        if not one.equal:
            print(f"{one.name}: {one.first}", file=sys.stderr)
    return 0 if all(one.equal for one in outcome) else 1


if __name__ == "__main__":
    sys.exit(main())

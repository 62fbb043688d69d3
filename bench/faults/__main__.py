"""`python -m bench.faults --faults 300`: a long campaign, and its table."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from bench.faults.campaign import Campaign
from bench.speed.live import following_site


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.faults", description=__doc__)
    parser.add_argument("--faults", type=int, default=300)
    parser.add_argument("--minutes", type=int, default=0, help="readings in all; default 300 a fault")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pause", type=float, default=4.0, help="longest pause before a fault, seconds")
    parser.add_argument("--wait", type=float, default=300.0, help="seconds that the site has at the end")
    wanted = parser.parse_args()
    minutes = wanted.minutes or 300 * max(wanted.faults, 1)
    with tempfile.TemporaryDirectory(prefix="wvr-faults-") as folder:
        with following_site(Path(folder) / "s") as site:
            campaign = Campaign(site, wanted.seed, minutes, wanted.faults)
            began = time.monotonic()
            campaign.run(wanted.pause)
            fed = time.monotonic() - began
            try:
                print(f"all stored and judged {campaign.wait(wanted.wait):.1f} s after the last reading")
                rc = 0
            except TimeoutError as error:
                print(error)
                rc = 1
        replayed = campaign.replay(Path(folder))
        calm, found = campaign.verdicts(replayed / "wvr.db"), campaign.verdicts()
        wanted_blocks, blocks = campaign.blocks(replayed), campaign.blocks()
    for kind, count in sorted(campaign.done.items()):
        print(f"| {kind} | {count} |")
    print(f"{minutes} readings in {fed:.0f} s, {minutes / fed * 60:.0f} times as fast as life")
    for place, name in enumerate(NAMES):
        differ = sum(found.get(at, (None,) * 7)[place] != flags[place] for at, flags in calm.items())
        print(f"{name}: {differ} of {len(calm)} verdicts differ from an undisturbed replay")
    missing = sum(name not in blocks for name in wanted_blocks)
    differ = sum(blocks.get(name, text) != text for name, text in wanted_blocks.items())
    print(f"outbox: of {len(wanted_blocks)} blocks {missing} are missing, {differ} differ")
    return rc


NAMES = ("flow system", "flow value", "flow prediction", "flow night", "pressure system", "pressure value",
         "pressure prediction")  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())

"""`python -m bench.detection`: WVR and simple detectors on simulated and real records; tables and plots in docs/."""

from __future__ import annotations

import argparse
import sys

from bench.detection.baselines import BASELINES
from bench.detection.run import QUICK, WVR, scores
from bench.detection.scoring import Score
from bench.detection.simulator import GRADES, Grade
from bench.detection.tables import KINDS, METHODS, MUST, kind_rows, method_rows
from bench.table import publish

REPORT = 1000
"""Seeds from here on are for the report alone: nothing may be tuned on them."""


def main() -> None:
    wanted = _wanted()
    if wanted.plots:
        from bench.detection.plots import draw  # needs the bench lock

        draw()
        return
    if wanted.real:
        from bench.detection.real import publish_real  # needs the bench lock

        publish_real(QUICK if wanted.quick else WVR, wanted.jobs)
        return
    seeds = range(wanted.seed, wanted.seed + wanted.sites)
    grades: list[Grade] = [wanted.grade] if wanted.grade else list(GRADES)
    own = QUICK if wanted.quick else WVR
    names = [own] if wanted.own else [own, *BASELINES]
    pooled = {(name, grade): Score() for name in names for grade in grades}
    for (name, seed, grade), one in scores(names, seeds, grades, wanted.jobs):
        pooled[name, grade] += one
        print(f"{name}, {grade} site {seed}: {_figures(one)}", file=sys.stderr, flush=True)
    both = " / ".join(grades)
    title = f"Detection on {len(seeds)} simulated site-years of each grade ({both}), seeds {seeds[0]}–{seeds[-1]}"
    rows = method_rows(pooled, grades)
    if len(grades) == len(GRADES):
        rows = [MUST, *rows]
    if wanted.report:
        publish("detection-table", title, _command(), METHODS, rows)
        title = f"What {own} made of each kind of event, same sites"
        publish("detection-kinds", title, _command(), KINDS, kind_rows(pooled, own, grades))
        return
    for header, lines in ((METHODS, rows), (KINDS, kind_rows(pooled, own, grades))):
        print("\n".join(" | ".join(line) for line in (header, *lines)), end="\n\n")


def _wanted() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.detection", description=__doc__)
    parser.add_argument("--sites", type=int, default=10, help="of each grade")
    parser.add_argument("--grade", choices=GRADES)
    parser.add_argument("--seed", type=int, default=0, help="of the first site, for development: 0 to 999")
    parser.add_argument("--report", action="store_true", help=f"seeds from {REPORT} on; writes the tables in docs/")
    parser.add_argument("--quick", action="store_true", help="WVR in one process instead of through ./wvr replay")
    parser.add_argument("--own", action="store_true", help="only WVR, no baselines")
    parser.add_argument("--jobs", type=int, default=2, help="sites at a time")
    parser.add_argument(
        "--real", action="store_true", help="real records instead; writes docs/results/detection-real.md"
    )
    parser.add_argument("--plots", action="store_true", help="only draws docs/results/images/detection-*.png")
    wanted = parser.parse_args()
    if wanted.report:
        wanted.seed = REPORT
    elif not 0 <= wanted.seed <= REPORT - wanted.sites:
        parser.error(f"seeds for development are 0 to {REPORT - 1}")
    return wanted


def _figures(one: Score) -> str:
    found = ", ".join(f"{kind} {one.hits[kind]}/{one.events[kind]}" for kind in ("burst", "leak"))
    return f"{found}, {one.false} false in {one.weeks:.0f} weeks"


def _command() -> str:
    return " ".join(["python -m bench.detection", *sys.argv[1:]])


if __name__ == "__main__":
    main()

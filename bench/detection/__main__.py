"""`python -m bench.detection`: WVR and baseline detectors on simulated and real records; tables and plots in docs/."""

from __future__ import annotations

import argparse
import sys

from bench.detection.baselines import BASELINES
from bench.detection.runner import WVR, WVR_IN_PROCESS, score_cases
from bench.detection.scoring import Score
from bench.detection.simulator import GRADES, Grade
from bench.detection.tables import KIND_HEADER, METHOD_HEADER, REQUIRED, kind_rows, method_rows
from bench.table import publish

REPORT_SEED = 1000
"""First seed of the report; seeds from here on must not be used for tuning."""


def main() -> None:
    arguments = _parse_arguments()
    if arguments.plots:
        from bench.detection.plots import draw  # needs the bench lock

        draw()
        return
    if arguments.real:
        from bench.detection.real import publish_real  # needs the bench lock

        publish_real(WVR_IN_PROCESS if arguments.quick else WVR, arguments.jobs)
        return
    seeds = range(arguments.seed, arguments.seed + arguments.sites)
    grades: list[Grade] = [arguments.grade] if arguments.grade else list(GRADES)
    wvr_name = WVR_IN_PROCESS if arguments.quick else WVR
    names = [wvr_name] if arguments.own else [wvr_name, *BASELINES]
    pooled = {(name, grade): Score() for name in names for grade in grades}
    for (name, seed, grade), site_score in score_cases(names, seeds, grades, arguments.jobs):
        pooled[name, grade] += site_score
        print(f"{name}, {grade} site {seed}: {_summary(site_score)}", file=sys.stderr, flush=True)
    grade_names = " / ".join(grades)
    title = (
        f"Detection on {len(seeds)} simulated site-years of each grade ({grade_names}), seeds {seeds[0]}–{seeds[-1]}"
    )
    rows = method_rows(pooled, grades)
    if len(grades) == len(GRADES):
        rows = [REQUIRED, *rows]
    if arguments.report:
        publish("detection-table", title, _command(), METHOD_HEADER, rows)
        title = f"What {wvr_name} made of each kind of event, same sites"
        publish("detection-kinds", title, _command(), KIND_HEADER, kind_rows(pooled, wvr_name, grades))
        return
    for header, lines in ((METHOD_HEADER, rows), (KIND_HEADER, kind_rows(pooled, wvr_name, grades))):
        print("\n".join(" | ".join(line) for line in (header, *lines)), end="\n\n")


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.detection", description=__doc__)
    parser.add_argument("--sites", type=int, default=10, help="of each grade")
    parser.add_argument("--grade", choices=GRADES)
    parser.add_argument("--seed", type=int, default=0, help="of the first site, for development: 0 to 999")
    parser.add_argument(
        "--report", action="store_true", help=f"seeds from {REPORT_SEED} on; writes the tables in docs/"
    )
    parser.add_argument("--quick", action="store_true", help="WVR in one process instead of through ./wvr replay")
    parser.add_argument("--own", action="store_true", help="only WVR, no baselines")
    parser.add_argument("--jobs", type=int, default=2, help="sites at a time")
    parser.add_argument("--real", action="store_true", help="real records; writes docs/results/detection-real.md")
    parser.add_argument("--plots", action="store_true", help="only draws docs/images/detection-*.png")
    arguments = parser.parse_args()
    if arguments.report:
        arguments.seed = REPORT_SEED
    elif not 0 <= arguments.seed <= REPORT_SEED - arguments.sites:
        parser.error(f"seeds for development are 0 to {REPORT_SEED - 1}")
    return arguments


def _summary(site_score: Score) -> str:
    recalls = ", ".join(f"{kind} {site_score.hits[kind]}/{site_score.events[kind]}" for kind in ("burst", "leak"))
    return f"{recalls}, {site_score.false_alarms} false in {site_score.weeks:.0f} weeks"


def _command() -> str:
    return " ".join(["python -m bench.detection", *sys.argv[1:]])


if __name__ == "__main__":
    main()

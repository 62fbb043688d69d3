"""`python -m bench.forecast`: WVR's forecasts beside others, on real and simulated districts."""

from __future__ import annotations

import argparse
import sys

from bench.forecast import bwdf, real, sites
from bench.table import publish

REPORT_SEED = 1100
"""Seeds from here on are for the report only: nothing may be tuned on them."""


def main() -> None:
    options = _options()
    if options.only in (None, "real"):
        title = "Forecasts of ten real districts at each hour of the battle's four weeks"
        publish("forecast-real", title, _command(), real.HEADER, list(real.rows(options.jobs)))
    if options.only in (None, "battle"):
        title = "Forecasts of the Battle of Water Demand Forecasting: ten real districts, four weeks, errors in l/s"
        table = list(bwdf.rows(not options.quick, options.jobs))
        publish("forecast-battle", title, _command(), bwdf.HEADER, table)
    if options.only in (None, "simulated"):
        _publish_simulated(range(REPORT_SEED, REPORT_SEED + options.sites), options.days, options.judged)


def _publish_simulated(seeds: range, days: int, evaluated_days: int) -> None:
    rows, training = sites.rows(seeds, days, evaluated_days)
    title = (
        f"Forecasts on {len(seeds)} simulated sites, {days - evaluated_days} days learned and {evaluated_days} judged"
    )
    table = [line for channel in rows for line in ((f"**{channel}**", *[""] * 5), *rows[channel])]
    below = f"\n{sites.NOTE}\n"
    if training:
        below += f"A training of both channels, as the trainer's child does it: {training.seconds:.0f} s, "
        below += f"{training.megabytes:.0f} MB.\n"
    publish("forecast", title, _command(), sites.HEADER, table, below)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.forecast", description=__doc__)
    parser.add_argument("--only", choices=("battle", "real", "simulated"))
    parser.add_argument("--quick", action="store_true", help="the battle without the LSTM, trained once for each case")
    parser.add_argument("--jobs", type=int, default=2, help="cases of the battle, or districts, at a time")
    parser.add_argument("--sites", type=int, default=3)
    parser.add_argument("--days", type=int, default=300)
    parser.add_argument("--judged", type=int, default=60, help="days after the training")
    return parser.parse_args()


def _command() -> str:
    return " ".join(["python -m bench.forecast", *sys.argv[1:]])


if __name__ == "__main__":
    main()

"""`./wvr models`: the kept models of each channel; `./wvr models use ID` puts one, or the profile, into use."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from datetime import datetime
from functools import partial

from cli.broker_client import send_command
from services.forecaster.manifest import ModelError
from services.trainer.shelf import Kept, Shelf
from services.trainer.telling import BY_OPERATOR, in_use_now, told
from shared.contract.messages import CHANNELS, PROFILE_MODEL_ID, SCORED_HORIZONS
from shared.runtime.service import Unavailable
from shared.settings import Settings, SettingsError, load_settings
from shared.store.lock import SecondWriter
from shared.store.recorder import Recorder

HEADER = ("sensor", "channel", "id", "trained from", "to", "in use", "of the profile's error at 1, 24, 168 h", "why")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="wvr models", description=__doc__)
    doing = parser.add_subparsers(dest="what", metavar="use")
    use = doing.add_parser("use", help="puts a kept model into use, or `profile`, with the site running or not")
    use.add_argument("id", help="as ./wvr models lists it, or profile")
    use.add_argument("--sensor", default="", help="of this sensor only")
    use.add_argument("--channel", default="", choices=CHANNELS, help="of this channel only")
    wanted = parser.parse_args(arguments)
    try:
        settings = load_settings()
        if wanted.what is None:
            return _list(settings)
        return _use(settings, wanted.id, wanted.sensor, wanted.channel)
    except (SettingsError, ModelError, OSError, Unavailable) as error:
        print(f"wvr models: {error}", file=sys.stderr)
        return 1


def _use(settings: Settings, wanted: str, sensor: str, channel: str) -> int:
    """Asks the running trainer; with nothing running it is done here, under the writer's lock."""
    try:
        recorder = Recorder(settings.database, settings.zone, settings.store.horizons)
    except SecondWriter:
        return send_command(settings, "use", id=wanted, sensor=sensor, channel=channel)
    try:
        now = int(datetime.now(settings.zone).timestamp())
        used = Shelf(settings.data).use(wanted, now, BY_OPERATOR, sensor, channel)
        recorder.write([told(trained, settings.site.name, settings.zone) for trained in used])
    finally:
        recorder.close()
    print(in_use_now(wanted, used))
    return 0


def _list(settings: Settings) -> int:
    rows = [HEADER, *map(partial(_row, settings), Shelf(settings.data).kept())]
    if len(rows) == 1:
        print(f"no models in {settings.models} yet; forecasts follow the week's profile")
        return 0
    widths = [max(len(row[place]) for row in rows) for place in range(len(HEADER) - 1)]
    for row in rows:
        print("  ".join([*(text.ljust(width) for text, width in zip(row, widths, strict=False)), row[-1]]))
    return 0


def _row(settings: Settings, kept: Kept) -> tuple[str, ...]:
    one = kept.trained
    span = [f"{datetime.fromtimestamp(at, settings.zone):%Y-%m-%d}" for at in (one.trained_from, one.trained_to)]
    if one.id == PROFILE_MODEL_ID:
        span = ["", ""]
    used = f"since {datetime.fromtimestamp(one.at, settings.zone):%Y-%m-%d %H:%M}" if kept.used else ""
    return (one.sensor, one.channel, one.id, *span, used, " ".join(_ratios(one.metrics)), one.reason)


def _ratios(metrics: dict[str, float]) -> Iterator[str]:
    """Mean errors as parts of the profile's, on the weeks that were held back when it was trained."""
    for hours in SCORED_HORIZONS:
        own, usual = metrics.get(f"mae_{hours}h"), metrics.get(f"profile_mae_{hours}h")
        yield f"{own / usual:.2f}" if own is not None and usual else "-"

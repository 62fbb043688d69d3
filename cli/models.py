"""`./wvr models`: list the registered models; `./wvr models use ID` activates one of them, or the profile."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from datetime import datetime
from functools import partial

from cli.broker_client import send_command
from shared.contract.messages import CHANNELS, PROFILE_MODEL_ID, SCORED_HORIZONS
from shared.contract.service import Unavailable
from shared.models.manifest import ModelError
from shared.models.model_messages import OPERATOR_REASON, activation_text, to_model_trained
from shared.models.registry import ModelRegistry, RegisteredModel
from shared.settings import Settings, SettingsError, load_settings
from shared.store.recorder import Recorder
from shared.store.writer_lock import WriterLockHeld

HEADER = (
    "sensor",
    "channel",
    "id",
    "trained from",
    "to",
    "active",
    "error as a share of the profile's at 1, 24, 168 h",
    "reason",
)


def parser() -> argparse.ArgumentParser:
    command = argparse.ArgumentParser(prog="./wvr models", description=__doc__)
    actions = command.add_subparsers(dest="what", metavar="use")
    use = actions.add_parser("use", help="activate a registered model, or `profile`")
    use.add_argument("id", help="id from ./wvr models, or profile")
    use.add_argument("--sensor", default="", help="only for this sensor")
    use.add_argument("--channel", default="", choices=CHANNELS, help="only for this channel")
    return command


def main(arguments: list[str]) -> int:
    options = parser().parse_args(arguments)
    try:
        settings = load_settings()
        if options.what is None:
            return _list(settings)
        return _use(settings, options.id, options.sensor, options.channel)
    except (SettingsError, ModelError, OSError, Unavailable) as error:
        print(f"wvr models: {error}", file=sys.stderr)
        return 1


def _use(settings: Settings, model_id: str, sensor: str, channel: str) -> int:
    """Ask the running trainer, or activate the model here under the writer lock if the site is stopped."""
    try:
        recorder = Recorder(settings.database, settings.zone, settings.store.horizons)
    except WriterLockHeld:
        return send_command(settings, "use", id=model_id, sensor=sensor, channel=channel)
    try:
        now = int(datetime.now(settings.zone).timestamp())
        used = ModelRegistry(settings.data).activate(model_id, now, OPERATOR_REASON, sensor, channel)
        recorder.write([to_model_trained(trained, settings.site.name, settings.zone) for trained in used])
    finally:
        recorder.close()
    print(activation_text(model_id, used).en)
    return 0


def _list(settings: Settings) -> int:
    rows = [HEADER, *map(partial(_row, settings), ModelRegistry(settings.data).versions())]
    if len(rows) == 1:
        print(f"no models in {settings.models} yet; the profile forecasts")
        return 0
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER) - 1)]
    for row in rows:
        print("  ".join([*(text.ljust(width) for text, width in zip(row, widths, strict=False)), row[-1]]))
    return 0


def _row(settings: Settings, version: RegisteredModel) -> tuple[str, ...]:
    model = version.result
    span = [f"{datetime.fromtimestamp(at, settings.zone):%Y-%m-%d}" for at in (model.trained_from, model.trained_to)]
    if model.id == PROFILE_MODEL_ID:
        span = ["", ""]
    used = f"since {datetime.fromtimestamp(model.at, settings.zone):%Y-%m-%d %H:%M}" if version.active else ""
    return (model.sensor, model.channel, model.id, *span, used, " ".join(_ratios(model.metrics)), model.reason.en)


def _ratios(metrics: dict[str, float]) -> Iterator[str]:
    """Yield the mean absolute errors on the holdout weeks as shares of the profile's errors."""
    for hours in SCORED_HORIZONS:
        model_mae, profile_mae = metrics.get(f"mae_{hours}h"), metrics.get(f"profile_mae_{hours}h")
        yield f"{model_mae / profile_mae:.2f}" if model_mae is not None and profile_mae else "-"

"""The columns of server.txt, the prediction check and the scores use the same message: the hour's Prediction."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import ClassVar

from services.detector.methods.forecast_deviation import current_hour_quantiles
from services.detector.service import Detector
from services.reporter.history_lookup import NullHistoryLookup
from services.reporter.service import Reporter, outbox_name
from shared.contract.messages import CHANNELS, SCORED_HORIZONS, Message, Prediction, Verdict
from shared.domain.series import HOUR
from shared.runtime.replay import Replay
from shared.settings import Settings
from tests.unit.factories import START, minute_at, reading, tick
from tests.unit.services.detector.fakes import FakeEmptyHistory
from tests.unit.services.forecaster.test_forecaster import NOW, flow, make_forecaster
from tests.unit.services.trainer.test_model_monitor import NullService, RecordingService

ZONE = Settings().zone
HORIZONS = tuple(range(24, 169, 24))
DAYS = 9


class VerdictRecordingService(RecordingService):
    """Records predictions and verdicts."""

    consumes: ClassVar[tuple[type[Message], ...]] = (Prediction, Verdict)


@dataclass
class FakeFolder:
    """Keeps the files of data/sensor/ in a dict."""

    texts: dict[str, str] = field(default_factory=dict)

    def write(self, name: str, text: str) -> None:
        self.texts[name] = text

    def read(self, name: str) -> str:
        return self.texts.get(name, "")

    def prune_outbox(self, before: str, max_newer: int) -> None:
        """Does nothing: all blocks stay."""


def test_report_columns_check_and_scores_use_the_same_prediction() -> None:
    recorder, folder = VerdictRecordingService(), FakeFolder()
    detector = Detector(Settings(), FakeEmptyHistory())
    reporter = Reporter(folder, ZONE, HORIZONS, 30, NullHistoryLookup())
    replay = Replay([make_forecaster(), detector, reporter, recorder], NullService())
    checked = {}
    for minute in range(DAYS * 1440 + 70):
        replay.publish(reading(minute, flow(minute), 4 + 0.01 * (minute % 7)))
        if minute % 60 == 0:
            checked[minute // 60] = detector._queues["001"].monitor.model.forecasts.get(NOW // HOUR + minute // 60)
        replay.publish(tick(minute))
    forecasts = {message.issued_at: message for message in recorder.messages if isinstance(message, Prediction)}
    for hour in range(4, DAYS * 24):
        prediction = forecasts[minute_at(60 * hour)]
        assert checked[hour] == current_hour_quantiles(prediction)
        assert columns(folder, hour) == [f"{p50[k]:.2f}" for p50 in p50_of(prediction) for k in HORIZONS]
    for score in forecasts[minute_at(60 * DAYS * 24)].scores:
        issued = forecasts[score.at - timedelta(hours=score.horizon)]
        forecast = getattr(issued, score.channel)
        actual = forecast.p50[score.horizon] - score.error
        assert score.inside == (forecast.p10[score.horizon] <= round(actual, 4) <= forecast.p90[score.horizon])
    scored = {(score.channel, score.horizon) for score in forecasts[minute_at(60 * DAYS * 24)].scores}
    assert scored == {(channel, horizon) for channel in CHANNELS for horizon in SCORED_HORIZONS}


def p50_of(prediction: Prediction) -> list[list[float]]:
    return [[value or 0.0 for value in forecast.p50] for forecast in (prediction.flow_rate, prediction.pressure)]


def columns(folder: FakeFolder, hour: int) -> list[str]:
    """Return the fourteen forecast columns of a full hour's line, from its block in the outbox."""
    name = outbox_name(f"{START + timedelta(hours=hour):%Y-%m-%dT%H:%M}"[:15])
    return folder.texts[f"outbox/{name}"].splitlines()[0].split()[11:]

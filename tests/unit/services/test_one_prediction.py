"""The seven columns of server.txt, the prediction check and the scores live on one message: the hour's Prediction."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import ClassVar

from services.detector.methods.prediction import first_hours
from services.detector.service import Detector
from services.reporter.history_lookup import NullHistoryLookup
from services.reporter.service import Reporter, outbox_name
from shared.contract.messages import CHANNELS, SCORED_HORIZONS, Message, Prediction, Verdict
from shared.domain.series import HOUR
from shared.runtime.replay import Replay
from shared.settings import Settings
from tests.unit.factories import START, minute_at, reading, tick
from tests.unit.services.detector.fakes import EmptyArchive
from tests.unit.services.forecaster.test_forecaster import NOW, flow, make_forecaster
from tests.unit.services.trainer.test_model_monitor import NullService, RecordingService

ZONE = Settings().zone
HORIZONS = tuple(range(24, 169, 24))
DAYS = 9


class VerdictRecordingService(RecordingService):
    """Hears forecasts and verdicts."""

    consumes: ClassVar[tuple[type[Message], ...]] = (Prediction, Verdict)


@dataclass
class FakeFolder:
    """data/sensor/ as a dict."""

    texts: dict[str, str] = field(default_factory=dict)

    def write(self, name: str, text: str) -> None:
        self.texts[name] = text

    def read(self, name: str) -> str:
        return self.texts.get(name, "")

    def prune_outbox(self, before: str, max_newer: int) -> None:
        """Keeps all."""


def test_the_columns_the_check_and_the_scores_are_of_the_same_prediction() -> None:
    heard, sheets = VerdictRecordingService(), FakeFolder()
    detector = Detector(Settings(), EmptyArchive())
    reporter = Reporter(sheets, ZONE, HORIZONS, 30, NullHistoryLookup())
    stage = Replay([make_forecaster(), detector, reporter, heard], NullService())
    checked = {}
    for minute in range(DAYS * 1440 + 70):
        stage.publish(reading(minute, flow(minute), 4 + 0.01 * (minute % 7)))
        if minute % 60 == 0:
            checked[minute // 60] = detector._posts["001"].watch.station.predictions.get(NOW // HOUR + minute // 60)
        stage.publish(tick(minute))
    predictions = {one.issued_at: one for one in heard.messages if isinstance(one, Prediction)}
    for hour in range(4, DAYS * 24):
        said = predictions[minute_at(60 * hour)]
        assert checked[hour] == first_hours(said)
        assert columns(sheets, hour) == [f"{p50[k]:.2f}" for p50 in middles(said) for k in HORIZONS]
    for score in predictions[minute_at(60 * DAYS * 24)].scores:
        issued = predictions[score.at - timedelta(hours=score.horizon)]
        values = getattr(issued, score.channel)
        came = values.p50[score.horizon] - score.error
        assert score.inside == (values.p10[score.horizon] <= round(came, 4) <= values.p90[score.horizon])
    told = {(score.channel, score.horizon) for score in predictions[minute_at(60 * DAYS * 24)].scores}
    assert told == {(channel, horizon) for channel in CHANNELS for horizon in SCORED_HORIZONS}


def middles(prediction: Prediction) -> list[list[float]]:
    return [[value or 0.0 for value in week.p50] for week in (prediction.flow_rate, prediction.pressure)]


def columns(sheets: FakeFolder, hour: int) -> list[str]:
    """The fourteen columns of the line of a full hour, from its block in the outbox."""
    name = outbox_name(f"{START + timedelta(hours=hour):%Y-%m-%dT%H:%M}"[:15])
    return sheets.texts[f"outbox/{name}"].splitlines()[0].split()[11:]

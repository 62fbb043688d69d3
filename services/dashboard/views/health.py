"""Health of WVR itself: services, broker, storage, models, training, criteria, settings, messages to people."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.dashboard.events import Fragment
from services.dashboard.live_state import SensorView
from services.dashboard.web.page import Page
from shared.contract.messages import (
    CHANNELS,
    PROFILE_MODEL_ID,
    Channel,
    Criteria,
    ModelTrained,
    Notification,
    Prediction,
    Progress,
    Rejected,
    Score,
    SensorState,
    Status,
    StorageState,
    Stored,
)
from shared.contract.status_codes import NO_TEXT, STATUS_CODES
from shared.runtime.health import resident_megabytes
from shared.settings import SettingsError, load_settings
from shared.version import VERSION

SILENT_SERVICE = timedelta(seconds=60)
"""Age of a status from which a service is silent; each service publishes one every ten seconds."""
OLD_BACKUP = timedelta(days=2)
FEW_DAYS = 30
"""Days left on the disk from which it is a warning."""
SHOWN_NOTES = 8


@dataclass(frozen=True)
class ServiceRow:
    """One service."""

    status: Status
    shape: Literal["none", "info", "warning", "critical"]
    word: str
    """Key of its state."""
    action: str
    """What the operator does; empty if nothing is wrong."""


@dataclass(frozen=True)
class ModelRow:
    """The model of one channel, and its newest training."""

    channel: Channel
    model: str
    """Id; empty while the profile forecasts."""
    serving: ModelTrained | None
    last: ModelTrained | None
    scores: list[Score]
    """Of the hour before the newest forecast, by horizon."""


def service_rows(page: Page) -> list[ServiceRow]:
    """Return the services in the order of their names."""
    statuses = page.live.statuses | {"dashboard": _own_status(page)}
    return [_service_row(page, status) for _, status in sorted(statuses.items())]


def _own_status(page: Page) -> Status:
    """Return the state of this process: a service does not receive its own status."""
    return Status(
        site=page.settings.site.name,
        name="dashboard",
        state="online",
        version=VERSION,
        since=page.backend.started_at,
        at=page.now,
        memory_mb=resident_megabytes(),
        lag=0,
        code="ok",
        note=NO_TEXT,
    )


def _service_row(page: Page, status: Status) -> ServiceRow:
    if status.state != "online":
        return ServiceRow(status, "critical", status.state, page.text("health.start_again", name=status.name))
    if status.code not in ("ok", "waiting_for_broker"):
        return ServiceRow(status, "warning", "problem", page.localized(STATUS_CODES[status.code].action))
    if page.live.is_connected and page.now - status.at > SILENT_SERVICE:
        return ServiceRow(status, "warning", "silent", page.text("health.start_again", name=status.name))
    return ServiceRow(status, "none", "online", "")


def model_rows(sensor: SensorView) -> list[ModelRow]:
    """Return the models of a sensor by channel."""
    rows = []
    for channel in CHANNELS:
        used = getattr(sensor.prediction, channel).model if sensor.prediction else PROFILE_MODEL_ID
        serving = sensor.models.get(channel)
        scores = [score for score in sensor.prediction.scores if score.channel == channel] if sensor.prediction else []
        newest = {score.horizon: score for score in sorted(scores, key=lambda score: score.at)}
        is_profile = used == PROFILE_MODEL_ID
        rows.append(
            ModelRow(
                channel,
                "" if is_profile else used,
                serving if serving and serving.id == used else None,
                sensor.last_training.get(channel),
                [newest[horizon] for horizon in sorted(newest)],
            )
        )
    return rows


def services(page: Page, _: str = "") -> str:
    """Return services and broker."""
    return page.render("_health_services.html", rows=service_rows(page))


def storage(page: Page, _: str = "") -> str:
    """Return the state of the database, the disk and the backups."""
    state = page.live.storage
    is_backup_old = state is not None and (state.last_backup_at is None or page.now - state.last_backup_at > OLD_BACKUP)
    is_disk_short = state is not None and state.days_left is not None and state.days_left < FEW_DAYS
    return page.render(
        "_health_storage.html", state=state, stored=page.live.stored, old_backup=is_backup_old, short_disk=is_disk_short
    )


def training(page: Page, _: str = "") -> str:
    """Return the progress of the newest training."""
    progress = page.live.progress.get("training")
    is_running = progress is not None and progress.step < progress.of
    return page.render("_health_training.html", progress=progress, is_running=is_running)


def models(page: Page, _: str = "") -> str:
    """Return models, scores, criteria and what detector and forecaster do, by sensor."""
    rows = [(sensor, model_rows(sensor)) for sensor in page.live.sensors]
    return page.render("_health_models.html", sensors=rows)


def notes(page: Page, _: str = "") -> str:
    """Return the newest messages to people and the newest rejected inputs."""
    notifications, rejected = list(page.live.notifications), list(page.live.rejected)
    return page.render("_health_notes.html", notifications=notifications[:SHOWN_NOTES], rejected=rejected[:SHOWN_NOTES])


def settings_errors(page: Page) -> tuple[list[str], bool]:
    """Return the errors of the present site.toml with file, line and key, and whether it differs from what runs."""
    try:
        present = load_settings()
    except SettingsError as error:
        return str(error).splitlines(), True
    return [], present != page.settings


def show(request: Request) -> Response:
    page = Page.of(request)
    errors, is_changed = settings_errors(page)
    return page.response(
        "health.html",
        view="health",
        errors=errors,
        is_changed=is_changed,
        services=services(page),
        storage=storage(page),
        training=training(page),
        models=models(page),
        notes=notes(page),
    )


async def train(request: Request) -> Response:
    """Ask for a training of all sensors."""
    page = Page.of(request)
    return page.outcome(await page.backend.operator.send("train", page.user_name))


ROUTES = (Route("/health", show), Route("/health/train", train, methods=["POST"]))
FRAGMENTS = (
    Fragment("health-services", (Status, None), services),
    Fragment("health-storage", (StorageState, Stored), storage),
    Fragment("health-training", (Progress,), training),
    Fragment("health-models", (ModelTrained, Prediction, Criteria, SensorState), models),
    Fragment("health-notes", (Notification, Rejected), notes),
)

"""Wire notifier to the broker, its queue on disk, and the contacts of site.toml."""

from datetime import datetime

from services.notifier.contact import contacts_of
from services.notifier.discovery import Discovery
from services.notifier.outbox import ThreadedOutbox
from services.notifier.senders import secret_files, senders_of
from services.notifier.service import Notifier
from services.notifier.state_file import StateFile
from shared.runtime.log import start_logging
from shared.runtime.loop import run
from shared.runtime.mqtt_bus import MqttBus
from shared.settings import Settings, load_settings


def main() -> None:
    settings = load_settings()
    start_logging(settings.zone)
    bus = MqttBus("notifier", settings)
    outbox = make_outbox(settings)
    service = make_notifier(settings, bus, outbox)
    outbox.start()
    run(service, bus, problems=service.problems, flush=service.advance)


def make_outbox(settings: Settings) -> ThreadedOutbox:
    """Return the queue of the site with a sender for each contact."""
    senders = senders_of(settings, secret_files(settings))
    return ThreadedOutbox(settings.data / "notifier", senders, lambda: datetime.now(settings.zone))


def make_notifier(settings: Settings, bus: MqttBus, outbox: ThreadedOutbox) -> Notifier:
    """Return the service."""
    site = settings.site.name
    place = settings.dma.name or site
    return Notifier(
        contacts_of(settings.notify),
        site,
        place,
        StateFile(settings.data / "notifier/state.json"),
        outbox,
        lambda: datetime.now(settings.zone),
        Discovery(site, place, settings.home_assistant.enabled, bus.publish_retained),
    )


if __name__ == "__main__":
    main()

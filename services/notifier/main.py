"""Wire notifier to the broker, its queue on disk, and the contacts of site.toml."""

from datetime import datetime, timedelta

from services.notifier.contact import contacts_of
from services.notifier.discovery import Discovery
from services.notifier.messenger import ThreadedMessenger
from services.notifier.rules import GROUP_WAIT
from services.notifier.senders import secret_files, senders_of
from services.notifier.sending import FIRST_DELAY_SECONDS
from services.notifier.service import Notifier
from services.notifier.state_file import StateFile
from shared.runtime.log import start_logging
from shared.runtime.loop import run
from shared.runtime.mqtt_bus import MqttBus
from shared.settings import Settings, load_settings


def main(group_wait: timedelta = GROUP_WAIT, first_delay: float = FIRST_DELAY_SECONDS) -> None:
    """Run the service; `first_delay` is the wait in seconds after the first failed attempt."""
    settings = load_settings()
    start_logging(settings.zone)
    bus = MqttBus("notifier", settings)
    messenger = make_messenger(settings, first_delay)
    service = make_notifier(settings, bus, messenger, group_wait)
    messenger.start()
    run(service, bus, problems=service.problems, flush=service.advance)


def make_messenger(settings: Settings, first_delay: float) -> ThreadedMessenger:
    """Return the queue of the site with a sender for each contact."""
    senders = senders_of(settings, secret_files(settings))
    return ThreadedMessenger(settings.data / "notifier", senders, lambda: datetime.now(settings.zone), first_delay)


def make_notifier(settings: Settings, bus: MqttBus, messenger: ThreadedMessenger, group_wait: timedelta) -> Notifier:
    """Return the service."""
    site = settings.site.name
    place = settings.dma.name or site
    return Notifier(
        contacts_of(settings.notify),
        site,
        place,
        StateFile(settings.data / "notifier/state.json"),
        messenger,
        lambda: datetime.now(settings.zone),
        Discovery(site, place, settings.home_assistant.enabled, bus.publish_retained),
        group_wait,
    )


if __name__ == "__main__":
    main()

"""Messages that wait in ingest's spool, at db_writer and at the broker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cli.doctor_checks.finding import Finding, note, ok
from services.ingest.spool_segment import latest_seq
from shared.contract.messages import Stored
from shared.settings import Settings
from shared.store.history import History

LONG_QUEUE = 1000
"""Readings or messages: more than one minute of the largest site."""
SYS = "$SYS/broker/"
QUEUE, DROPPED, VERSION = (SYS + end for end in ("store/messages/count", "publish/messages/dropped", "version"))
RETAINED = f"{SYS}retained messages/count"


def check_spool(settings: Settings, running: bool) -> Iterator[Finding]:
    """Count readings that ingest has accepted and db_writer has not stored. Needs no service. Raises Unavailable."""
    last = latest_seq(settings.data / "spool")
    if last is None:
        yield note("ingest's spool is empty", "nothing to do: the first reading creates it")
        return
    boot_id, seq = last
    mark = History(settings.database, settings.zone, settings.site.name).stored_mark()
    waiting = seq - (mark[1] if mark and mark[0] == boot_id else -1)
    if waiting <= 0:
        yield ok("all readings of ingest's spool are stored")
    elif not running:
        yield note(f"{waiting} readings of ingest's spool are not stored yet", "./wvr up stores them")
    elif waiting > LONG_QUEUE:
        advice = "if the backlog does not shrink: ./wvr logs db_writer; never delete data/spool/"
        yield note(f"{waiting} readings of ingest's spool are not stored yet", advice)
    else:
        yield ok(f"{waiting} readings are on their way from ingest's spool to wvr.db")


def check_store(stored: Stored | None) -> Iterator[Finding]:
    """Check db_writer's queue and the readings that it knows of but has not received."""
    if stored is None:
        yield note("db_writer has not reported what it has stored", "if this persists: ./wvr logs db_writer")
    elif stored.seen > stored.seq:
        missing = stored.seen - stored.seq
        advice = "ingest retransmits them; if this persists for ten minutes: ./wvr logs ingest"
        yield note(f"up to {missing} readings are missing between ingest and db_writer", advice)
    else:
        yield ok(f"db_writer has received all readings, {stored.waiting} messages waiting")


def check_broker(statistics: Mapping[str, bytes]) -> Iterator[Finding]:
    """Check the broker's queues for absent or slow clients by its own statistics.

    Mosquitto removes a figure that has not changed for a minute, so a missing figure means no change.
    """
    queued = _number(statistics.get(QUEUE)) - _number(statistics.get(RETAINED))
    dropped = _number(statistics.get(DROPPED))
    if queued > LONG_QUEUE:
        yield note(f"the broker queues {queued} messages", "a service is absent or slow: see below")
    elif QUEUE in statistics:
        yield ok(f"the broker queues {max(0, queued)} messages for services")
    else:
        yield ok("the broker's queues do not grow")
    if dropped:
        advice = "ingest retransmits lost readings; if the number grows: ./wvr status, ./wvr logs broker"
        yield note(f"the broker has dropped {dropped} messages since its start", advice)


def _number(text: bytes | None) -> int:
    return int(text) if text and text.isdigit() else 0

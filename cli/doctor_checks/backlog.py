"""What waits: in ingest's spool, at db_writer, and at the broker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cli.doctor_checks.finding import Finding, note, ok
from services.ingest.spool import newest
from shared.contract.messages import Stored
from shared.settings import Settings
from shared.store.history import History

LONG_QUEUE = 1000
"""Readings or messages: more than a minute's work of the largest site."""
SYS = "$SYS/broker/"
QUEUE, DROPPED, VERSION = (SYS + end for end in ("store/messages/count", "publish/messages/dropped", "version"))
RETAINED = f"{SYS}retained messages/count"


def check_spool(settings: Settings, running: bool) -> Iterator[Finding]:
    """Readings that ingest has accepted and db_writer has not stored; works without any service. Raises Unavailable."""
    last = newest(settings.data / "spool")
    if last is None:
        yield note("ingest's spool is empty", "nothing to do: the first reading begins it")
        return
    boot_id, seq = last
    mark = History(settings.database, settings.zone, settings.site.name).mark()
    waiting = seq - (mark[1] if mark and mark[0] == boot_id else -1)
    if waiting <= 0:
        yield ok("every reading of ingest's spool is stored")
    elif not running:
        yield note(f"{waiting} readings of ingest's spool are not stored yet", "./wvr up stores them")
    elif waiting > LONG_QUEUE:
        advice = "a backlog; if it doesn't get shorter: ./wvr logs db_writer; don't delete data/spool/"
        yield note(f"{waiting} readings of ingest's spool are not stored yet", advice)
    else:
        yield ok(f"{waiting} readings are on their way from ingest's spool to wvr.db")


def check_store(stored: Stored | None) -> Iterator[Finding]:
    """What db_writer says of its own queue, and of readings that it knows of and doesn't have."""
    if stored is None:
        yield note("db_writer has not yet said how far it has stored", "if that stays so: ./wvr logs db_writer")
    elif stored.seen > stored.seq:
        missing = stored.seen - stored.seq
        advice = "ingest sends them again by itself; if it stays for ten minutes: ./wvr logs ingest"
        yield note(f"up to {missing} readings are missing between ingest and db_writer", advice)
    else:
        yield ok(f"db_writer has all that was sent, {stored.waiting} messages waiting")


def check_broker(said: Mapping[str, bytes]) -> Iterator[Finding]:
    """What the broker holds for those who are away or slow, by its own count.

    Mosquitto lets a figure go that has not changed for a minute: one that is there is news.
    """
    held = _number(said.get(QUEUE)) - _number(said.get(RETAINED))
    dropped = _number(said.get(DROPPED))
    if held > LONG_QUEUE:
        yield note(f"the broker holds {held} messages", "a service is away or slow: see which one below")
    elif QUEUE in said:
        yield ok(f"the broker holds {max(0, held)} messages for services")
    else:
        yield ok("the broker's queues don't grow")
    if dropped:
        advice = "readings among them are sent again; if the number grows: ./wvr status, ./wvr logs broker"
        yield note(f"the broker is dropping messages, {dropped} since its start", advice)


def _number(text: bytes | None) -> int:
    return int(text) if text and text.isdigit() else 0

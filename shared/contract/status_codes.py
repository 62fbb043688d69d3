"""Status codes of services: what each means, what to do, and its texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from shared.contract.messages import LocalizedText, StatusCode

NO_TEXT = LocalizedText("", "")
MAX_NOTE_CHARACTERS = 1000


@dataclass(frozen=True, slots=True)
class StatusInfo:
    """Meaning of a status code."""

    meaning: LocalizedText
    action: LocalizedText
    """What the operator does."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem of a service: its code and its text for people."""

    code: StatusCode
    text: LocalizedText


def problem(key: str, **values: Any) -> Problem:
    """Return a problem from a text of STATUS_TEXTS with its values."""
    code, korean, english = STATUS_TEXTS[key]
    return Problem(code, LocalizedText(korean.format(**values)[:4000], english.format(**values)[:4000]))


def summary(problems: Sequence[Problem]) -> tuple[StatusCode, LocalizedText]:
    """Return the code of the first problem and the joined texts of all."""
    if not problems:
        return "ok", NO_TEXT
    korean, english = ("; ".join(getattr(item.text, language) for item in problems) for language in ("ko", "en"))
    return problems[0].code, LocalizedText(korean[:MAX_NOTE_CHARACTERS], english[:MAX_NOTE_CHARACTERS])


STATUS_TEXTS: dict[str, tuple[StatusCode, str, str]] = {
    "waiting_for_broker": ("waiting_for_broker", "브로커 응답을 기다리고 있습니다", "waiting for the broker"),
    "topic_refused": (
        "topic_refused",
        "브로커가 {topic} 토픽을 거부합니다: {reason}",
        "the broker refuses {topic}: {reason}",
    ),
    "busy": ("busy", "{seconds}초째 처리 중입니다", "busy for {seconds} s"),
    "database_locked_by": (
        "database_locked",
        "다른 프로그램이 wvr.db를 잠갔습니다: {holder}. 잠금이 풀릴 때까지 계측값을 보관합니다",
        "wvr.db is locked by another program: {holder}; readings are buffered until it is released",
    ),
    "database_locked": (
        "database_locked",
        "다른 프로그램이 wvr.db를 잠갔습니다. 잠금이 풀릴 때까지 계측값을 보관합니다",
        "wvr.db is locked by another program; readings are buffered until it is released",
    ),
    "disk_full": (
        "database_full",
        "디스크가 가득 찼습니다. 공간이 생길 때까지 계측값을 보관합니다",
        "the disk is full; readings are buffered until there is space",
    ),
    "database_not_writable": (
        "database_not_writable",
        "지금 데이터베이스에 쓸 수 없습니다: {reason}",
        "the database cannot be written now: {reason}",
    ),
    "database_not_openable": (
        "database_not_readable",
        "데이터베이스를 열 수 없습니다: {reason}",
        "the database cannot be opened: {reason}",
    ),
    "database_not_readable": (
        "database_not_readable",
        "지금 데이터베이스를 읽을 수 없습니다: {reason}",
        "the database cannot be read now: {reason}",
    ),
    "database_retried": (
        "database_corrupt",
        "데이터베이스가 손상을 보고하여 다시 시도합니다: {reason}",
        "the database reported corruption and is tried again: {reason}",
    ),
    "database_damaged": (
        "database_corrupt",
        "데이터베이스가 손상되었습니다. db_writer가 복구합니다",
        "the database is damaged; db_writer repairs it",
    ),
    "database_restored": (
        "database_restored",
        "{at}: wvr.db가 손상되어({corruption}) {damaged}(으)로 옮기고 백업 {backup}을(를) 복원했습니다",
        "{at}: wvr.db was damaged ({corruption}) and is now {damaged}; the backup {backup} was restored",
    ),
    "database_created": (
        "database_restored",
        "{at}: wvr.db가 손상되어({corruption}) {damaged}(으)로 옮겼습니다. 유효한 백업이 없어 새로 만들었습니다",
        "{at}: wvr.db was damaged ({corruption}) and is now {damaged}; no valid backup was found, so a new database "
        "was created",
    ),
    "repair_text_not_readable": (
        "database_restored",
        "{file}을(를) 읽을 수 없습니다",
        "{file} cannot be read",
    ),
    "database_not_replaceable": (
        "database_not_replaceable",
        "wvr.db가 손상되었으나({corruption}) 지금 교체할 수 없습니다: {reason}",
        "wvr.db is damaged ({corruption}) and cannot be replaced now: {reason}",
    ),
    "schema_newer": (
        "schema_newer",
        "더 새로운 WVR이 wvr.db를 기록하여(마이그레이션 {migrations}) 이 프로그램에서는 사용할 수 없습니다: "
        "WVR을 업데이트하거나 ./wvr restore로 업데이트 이전의 백업을 복원하세요",
        "wvr.db was written by a newer WVR (migrations {migrations}) and this program cannot use it: update WVR, or "
        "restore a backup from before the update with ./wvr restore",
    ),
    "schema_older": (
        "schema_older",
        "이전 버전의 WVR이 wvr.db를 기록했습니다. db_writer가 시작하면서 변환합니다",
        "wvr.db was written by an older WVR; db_writer migrates it when it starts",
    ),
    "backup_failed": ("backup_failed", "백업에 실패했습니다: {reason}", "the backup failed: {reason}"),
    "history_incomplete": (
        "history_incomplete",
        "저장된 이력에 빠진 계측값이 있습니다. ingest가 다시 전송합니다",
        "readings are missing in stored history; ingest retransmits them",
    ),
    "spool_filling": (
        "spool_filling",
        "스풀 {megabytes} MB가 아직 저장되지 않았습니다. 곧 계측값이 버려집니다",
        "{megabytes} MB of the spool are not stored by db_writer; readings will soon be dropped",
    ),
    "readings_dropped": (
        "readings_dropped",
        "스풀이 가득 차 저장되지 않은 계측값을 {seq}번까지 버렸습니다",
        "the spool was full: unstored readings were dropped up to number {seq}",
    ),
    "spool_not_writable": (
        "spool_not_writable",
        "스풀에 쓸 수 없어 계측값을 기다리게 합니다: {reason}",
        "the spool cannot be written; readings wait: {reason}",
    ),
    "spool_not_flushable": (
        "spool_not_writable",
        "스풀을 디스크에 기록할 수 없어 계측값을 기다리게 합니다: {reason}",
        "the spool cannot be flushed; readings wait: {reason}",
    ),
    "rejected_not_writable": (
        "rejected_not_writable",
        "{file}에 쓸 수 없어 계측값을 기다리게 합니다: {reason}",
        "{file} cannot be written; readings wait: {reason}",
    ),
    "output_not_writable": (
        "output_not_writable",
        "{file}에 쓸 수 없어 출력 줄을 보관합니다: {reason}",
        "{file} cannot be written; lines wait: {reason}",
    ),
    "model_deactivated": (
        "model_deactivated",
        "{sensor} {channel_ko} 예측에 프로파일을 사용합니다: 모델이 2주 동안 프로파일보다 나빴습니다",
        "the forecasts of {sensor} {channel} follow the profile: their model was worse for two weeks",
    ),
    "processor_without_avx": (
        "processor_without_avx",
        "이 장비의 프로세서에는 TensorFlow에 필요한 AVX가 없어 모델을 학습할 수 없습니다. "
        "예측은 기존 모델과 프로파일로 계속합니다",
        "this machine's processor has no AVX, which TensorFlow needs, so no model can be trained here; "
        "forecasts go on with the models that exist and with the profile",
    ),
    "clock_unconfirmed": (
        "clock_unconfirmed",
        "이 장비의 시계가 {span_ko} 앞으로 건너뛰었으나 확인되지 않습니다. 시계와 무관하게 분 단위 처리를 계속합니다. "
        "시계를 맞추세요",
        "this machine's clock jumped {span} ahead and nothing confirms it: ticks continue without it; set the clock",
    ),
    "clock_set_back": (
        "clock_set_back",
        "이 장비의 시계가 뒤로 맞춰졌습니다. {span_ko}을(를) 따라잡을 때까지 절반 속도로 진행합니다",
        "this machine's clock was set back: ticks run at half pace until it has caught up {span}",
    ),
    "clock_behind": (
        "clock_behind",
        "이 장비의 시계가 이전보다 {span_ko} 늦습니다. 시계와 무관하게 분 단위 처리를 계속합니다. 시계를 맞추세요",
        "this machine's clock is {span} behind its earlier time: ticks continue without it; set the clock",
    ),
    "clock_unset": (
        "clock_unset",
        "이 장비의 시계가 {date}입니다. 시계를 맞출 때까지 모의 현장이 기다립니다",
        "this machine's clock says {date}; the simulator waits until it is set",
    ),
    "meter_clock_ahead": (
        "meter_clock_differs",
        "계측기 시계가 이 장비보다 {span_ko} 빠릅니다. 잘못된 시계를 맞추세요",
        "the meter's clock is {span} ahead of this machine's: correct the wrong clock",
    ),
    "meter_clock_behind": (
        "meter_clock_differs",
        "계측기 시계가 이 장비보다 {span_ko} 늦습니다. 잘못된 시계를 맞추세요",
        "the meter's clock is {span} behind this machine's: correct the wrong clock",
    ),
    "notification_failing": (
        "notification_failing",
        "{contact}에 알림을 보내지 못해 다시 시도합니다({attempts}번 시도): {reason}",
        "no message reaches {contact}; it is tried again ({attempts} attempts so far): {reason}",
    ),
    "notification_given_up": (
        "notification_given_up",
        "{contact}에 알림을 24시간 동안 보내지 못해 포기했습니다: {reason}",
        "a message to {contact} was given up after 24 hours: {reason}",
    ),
    "notifications_not_writable": (
        "notifications_not_writable",
        "data/notifier에 쓸 수 없어 알림을 메모리에만 보관합니다: {reason}",
        "data/notifier cannot be written; messages are in memory only: {reason}",
    ),
}
"""Key of a text to its status code, Korean text and English text."""

STATUS_CODES: dict[StatusCode, StatusInfo] = {
    "ok": StatusInfo(LocalizedText("정상", "the service works"), LocalizedText("없음", "nothing")),
    "waiting_for_broker": StatusInfo(
        LocalizedText("브로커가 아직 확인하지 않았습니다", "the broker has not confirmed yet"),
        LocalizedText("계속되면 ./wvr logs broker", "if this persists: ./wvr logs broker"),
    ),
    "topic_refused": StatusInfo(
        LocalizedText(
            "접근 목록에 권한이 없습니다. 잃는 것은 없으며 서비스가 기다립니다",
            "the access list lacks a right; nothing is lost, the service waits",
        ),
        LocalizedText("./wvr down, ./wvr up (목록을 다시 생성)", "./wvr down, ./wvr up writes the access list again"),
    ),
    "busy": StatusInfo(
        LocalizedText(
            "한 작업이 오래 걸립니다(가져오기, 이력이 많은 시작). 10분 동안 진행이 없으면 다시 시작합니다",
            "one task takes long (an import, a start with much history); without progress for ten minutes the service "
            "restarts",
        ),
        LocalizedText("기다립니다. 반복되면 ./wvr logs", "wait; if it repeats: ./wvr logs shows where it stopped"),
    ),
    "database_locked": StatusInfo(
        LocalizedText("편집기가 저장하지 않은 변경을 잡고 있습니다", "an editor holds an uncommitted change of wvr.db"),
        LocalizedText(
            "그 프로그램에서 저장하거나 되돌리거나 닫으세요. 프로그램 이름은 sudo ./wvr doctor",
            "commit or undo the change there, or close it; ./wvr doctor with sudo names the program",
        ),
    ),
    "database_full": StatusInfo(
        LocalizedText("공간이 생길 때까지 저장하지 않습니다", "nothing is stored until there is space"),
        LocalizedText("공간을 확보하세요", "free disk space; WVR continues by itself"),
    ),
    "database_not_writable": StatusInfo(
        LocalizedText("권한, 읽기 전용 디스크 또는 디스크 고장", "permissions, a read-only or failing disk"),
        LocalizedText("./wvr doctor, 이어서 dmesg, smartctl", "./wvr doctor; then dmesg, smartctl"),
    ),
    "database_not_readable": StatusInfo(
        LocalizedText("권한 또는 디스크 고장", "permissions or a failing disk"),
        LocalizedText("./wvr doctor, 이어서 dmesg, smartctl", "./wvr doctor; then dmesg, smartctl"),
    ),
    "database_corrupt": StatusInfo(
        LocalizedText(
            "db_writer가 파일을 검사하고 손상되었으면 교체합니다",
            "db_writer checks the file and replaces it if damaged",
        ),
        LocalizedText("1분 넘게 계속되면 ./wvr down, ./wvr up", "if this persists for a minute: ./wvr down, ./wvr up"),
    ),
    "database_restored": StatusInfo(
        LocalizedText(
            "정전이나 디스크 때문에 파일이 손상되어 db_writer가 교체했습니다",
            "a power cut or the disk damaged the file; db_writer has replaced it",
        ),
        LocalizedText(
            "시각을 기록하고 디스크를 점검한 뒤 data/wvr.db.corrupt-… 파일을 삭제하세요",
            "note the time, check the disk (smartctl), then delete data/wvr.db.corrupt-…; the status ends at the next "
            "start of db_writer",
        ),
    ),
    "database_not_replaceable": StatusInfo(
        LocalizedText(
            "백업을 복사할 공간이 없습니다. 바뀐 것은 없습니다", "no space for a copy of the backup; nothing changed"
        ),
        LocalizedText("공간을 확보하세요", "free disk space"),
    ),
    "schema_newer": StatusInfo(
        LocalizedText("새 버전 위에 이전 버전을 설치했습니다", "an older version was installed over a newer one"),
        LocalizedText("docs/how-to/update-and-roll-back.md", "docs/how-to/update-and-roll-back.md"),
    ),
    "schema_older": StatusInfo(
        LocalizedText("업데이트했거나 이전 백업을 복원했습니다", "WVR was updated, or an older backup restored"),
        LocalizedText(
            "1분 안에 사라집니다. 아니면 ./wvr logs db_writer",
            "nothing, within a minute of ./wvr up; else ./wvr logs db_writer",
        ),
    ),
    "backup_failed": StatusInfo(
        LocalizedText(
            "백업 복사에 실패했습니다. 매시간 다시 시도합니다", "the copy failed or is corrupt; it is retried each hour"
        ),
        LocalizedText("공간과 디스크를 확인하고 ./wvr backup", "free space, check the disk; then ./wvr backup"),
    ),
    "history_incomplete": StatusInfo(
        LocalizedText(
            "전송 중 잃은 계측값을 스풀에서 받습니다", "readings were lost on their way and come from the spool"
        ),
        LocalizedText("10분 넘게 계속되면 ./wvr logs ingest", "if this persists for ten minutes: ./wvr logs ingest"),
    ),
    "spool_filling": StatusInfo(
        LocalizedText("db_writer가 오래 저장하지 못했습니다", "db_writer has not stored for long"),
        LocalizedText(
            "./wvr status, ./wvr logs db_writer. 여유가 필요하면 [ingest] spool_mb",
            "./wvr status, ./wvr logs db_writer; for more room: [ingest] spool_mb",
        ),
    ),
    "readings_dropped": StatusInfo(
        LocalizedText("계측값을 잃었습니다", "readings are lost"),
        LocalizedText("db_writer가 저장하지 못하는 원인을 찾으세요", "find out why db_writer does not store"),
    ),
    "spool_not_writable": StatusInfo(
        LocalizedText("디스크가 가득 찼거나 읽기 전용입니다", "the disk is full or read-only"),
        LocalizedText("공간을 확보하세요", "free disk space; ingest continues by itself"),
    ),
    "rejected_not_writable": StatusInfo(
        LocalizedText("디스크가 가득 찼거나 읽기 전용입니다", "the disk is full or read-only"),
        LocalizedText("공간을 확보하세요", "free disk space; ingest continues by itself"),
    ),
    "output_not_writable": StatusInfo(
        LocalizedText("디스크가 가득 찼거나 읽기 전용입니다", "the disk is full or read-only"),
        LocalizedText("공간을 확보하세요", "free disk space; reporter continues by itself"),
    ),
    "model_deactivated": StatusInfo(
        LocalizedText(
            "트레이너가 모델을 내리고, 더 나은 모델을 찾을 때까지 매주 학습합니다",
            "the trainer deactivated the model; it trains again each week until a better one is found",
        ),
        LocalizedText(
            "./wvr models로 차이를 확인하세요. 계속되면 계측기나 사용량 변화를 점검하세요",
            "./wvr models shows by how much; if this persists, check the meter and lasting changes of demand",
        ),
    ),
    "processor_without_avx": StatusInfo(
        LocalizedText(
            "학습은 AVX가 있는 프로세서에서만 됩니다. 일부 미니 PC(Celeron, Atom)에는 AVX가 없습니다",
            "a training needs a processor with AVX; some mini PCs (Celeron, Atom) have none",
        ),
        LocalizedText(
            "조치하지 않아도 됩니다. site.toml의 training.automatic = false로 이 알림을 끌 수 있습니다",
            "nothing has to be done; training.automatic = false in site.toml ends this message",
        ),
    ),
    "clock_unconfirmed": StatusInfo(
        LocalizedText(
            "시작할 때 연도나 시간대가 잘못되었거나 장비가 꺼져 있었습니다",
            "a wrong year or time zone at boot, or a machine that was off",
        ),
        LocalizedText(
            "시계를 맞추세요(sudo timedatectl set-ntp true). 맞다면 하루마다 10분 또는 다음 계측값까지 기다리세요",
            "set the clock (sudo timedatectl set-ntp true); if it is right, wait ten minutes for each day of the jump, "
            "or for a current reading",
        ),
    ),
    "clock_set_back": StatusInfo(
        LocalizedText("시계가 하루 미만 뒤로 맞춰졌습니다", "the clock was set back by less than a day"),
        LocalizedText("없음", "nothing"),
    ),
    "clock_behind": StatusInfo(
        LocalizedText("시작할 때 1970년 등으로 되돌아갔습니다", "the clock is in 1970 or so after boot"),
        LocalizedText(
            "시계를 맞추고 RTC 배터리를 교체하세요. 지금이 맞다면 ./wvr down, data/spool/tick 삭제, ./wvr up",
            "set it, replace the battery of the clock; if it is right now and was wrong before: ./wvr down, delete "
            "data/spool/tick, ./wvr up",
        ),
    ),
    "clock_unset": StatusInfo(
        LocalizedText("모의 현장의 첫 시작에만 나타납니다", "only at the first start of a simulated site"),
        LocalizedText("시계를 맞추세요", "set the clock"),
    ),
    "meter_clock_differs": StatusInfo(
        LocalizedText("현재 계측값의 시각이 장비와 다릅니다", "live readings have another time than this machine"),
        LocalizedText("잘못된 시계를 맞추세요", "set the wrong clock"),
    ),
    "notification_failing": StatusInfo(
        LocalizedText(
            "알림을 받는 서버가 응답하지 않거나 거부합니다. 24시간 동안 다시 시도합니다",
            "the receiver of messages does not answer or refuses; it is tried for 24 hours",
        ),
        LocalizedText(
            "./wvr notify test로 원인을 확인하고 네트워크, URL, 토큰을 고치세요",
            "./wvr notify test shows the reason; check the network, the URL and the token",
        ),
    ),
    "notification_given_up": StatusInfo(
        LocalizedText("알림이 사람에게 전달되지 않았습니다", "a message has not reached anybody"),
        LocalizedText(
            "./wvr notify test. 다음 알림이 전달되면 사라집니다",
            "./wvr notify test; the status ends with the next message that arrives",
        ),
    ),
    "notifications_not_writable": StatusInfo(
        LocalizedText("디스크가 가득 찼거나 읽기 전용입니다", "the disk is full or read-only"),
        LocalizedText("공간을 확보하세요", "free disk space; notifier continues by itself"),
    ),
}
"""Every status code with its meaning and action."""

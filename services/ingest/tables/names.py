"""Known names of columns, in English and Korean."""

from __future__ import annotations

from shared.contract.messages import Channel

TIME = """timestamp at time datetime 일시 시각 시간 측정일시 계측일시 수집일시 측정시각 측정시간 계측시간
    일자시간 날짜시간""".split()
DATE = """date day 일자 날짜 측정일 측정일자 계측일자""".split()
SENSOR = """sensor site station id point tag meter logger device 센서 센서명 지점 지점명 측정지점
    계측지점 계측기 유량계 관측소 블록 소블록 블록명""".split()
QUALITY = """quality status state flag qc 상태 품질 품질코드 상태코드""".split()
FLOW_RATE = """flow_rate flow flowrate q discharge 유량 순시유량 순간유량 유량순시""".split()
PRESSURE = """pressure press p 수압 압력 관압 관로압력""".split()
TOTAL = """total totalizer totaliser volume counter 적산 적산유량 누적 누적유량 적산값 유량적산""".split()
CHANNEL_NAMES: dict[Channel, list[str]] = {"flow_rate": FLOW_RATE, "pressure": PRESSURE}
OTHER_QUANTITIES = frozenset(
    """max maximum min minimum avg average mean sum total std limit high low hi lo hh ll setpoint set sp alarm velocity
    speed temp temperature status state flag diff delta range 최대 최소 평균 합계
    설정 설정값 상한 하한 유속 온도 경보 차압""".split()
)
"""Words that make another quantity of a flow rate or a pressure, and no sensor."""
KNOWN_NAMES = (
    "time: timestamp, time, datetime, 일시, 시각; date + time: date, 일자, 날짜; sensor: sensor, site, station, 지점, "
    "센서; flow rate: flow_rate, flow, 유량, 순시유량; pressure: pressure, 압력, 수압; quality: quality, status, 상태"
)
"""For error messages."""
GOOD_QUALITY = frozenset("""good ok normal valid true 192 정상 양호""".split())
"""Marks of a good value, in lower case. 192 is the good quality of OPC."""
BAD_QUALITY = frozenset(
    """bad uncertain fault error err invalid suspect false missing 불량 이상 고장 오류 점검 점검중 결측
    통신이상""".split()
)
"""Marks of a bad value, in lower case."""
TOTALS = frozenset(
    """합계 총계 계 소계 평균 최대 최소 최대값 최소값 total sum average avg mean max min maximum minimum""".split()
)
"""First words of a row of totals."""

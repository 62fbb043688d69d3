"""MQTT device discovery of Home Assistant 2024.11 and newer: one retained message describes a sensor with its entities.

https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload
"""

from __future__ import annotations

import json
import re
from typing import Any

from shared.contract.messages import Channel, NightResult, Status, Verdict
from shared.contract.topics import PREFIX, topic_filter
from shared.version import VERSION

CHECKS: dict[Channel, dict[str, str]] = {
    "flow_rate": {
        "system": "Flow meter problem",
        "value": "Flow abnormal",
        "prediction": "Flow off the forecast",
        "night": "Night flow abnormal",
    },
    "pressure": {
        "system": "Pressure gauge problem",
        "value": "Pressure abnormal",
        "prediction": "Pressure off the forecast",
    },
}
"""The seven checks by channel, with their names in Home Assistant, which keeps one name for all languages."""
SOURCES = ("ingest", "detector")
"""Services without which the values are not current."""
FLAG = "{{{{ {{0: 'OFF', 1: 'ON'}}.get(value_json.{channel}.{method}.flag, 'None') }}}}"
"""'None' is unknown in Home Assistant: the check was not evaluated."""
INCIDENT = (
    "{% if value_json is defined %}{{ {'event_type': value_json.state, 'id': value_json.id, 'kind': value_json.kind, "
    "'severity': value_json.severity, 'since': value_json.onset_at, 'excess_m3h': value_json.excess_m3h, "
    "'lost_m3': value_json.lost_m3, 'acknowledged': value_json.acknowledged, 'text': value_json.text.en, "
    "'text_ko': value_json.text.ko} | tojson }}{% endif %}"
)
"""The empty message that removes a retained incident is no event."""
STATES = ("opened", "updated", "cleared")


def device_id(site: str, sensor: str) -> str:
    """Return the id of a sensor in letters that Home Assistant allows in a topic. Two sensors never share one.

    >>> device_id("site1", "수압.1")
    'wvr_site1_xc218-xc555-x2e-1'
    """
    return f"wvr_{_plain(site)}_{_plain(sensor)}"


def device_topic(device: str) -> str:
    """Return the topic of a description."""
    return f"homeassistant/device/{device}/config"


def device_payload(site: str, place: str, sensor: str) -> bytes:
    """Return the description of a sensor: flow, pressure, minimum night flow, seven checks, incidents."""
    device = device_id(site, sensor)
    verdict = topic_filter(Verdict, site, sensor=sensor)
    components: dict[str, dict[str, Any]] = {
        "flow_rate": _measurement("Flow", verdict, "reading.flow_rate", "volume_flow_rate", "m³/h"),
        "pressure": _measurement("Pressure", verdict, "reading.pressure", "pressure", "bar"),
        "night_minimum": _measurement(
            "Minimum night flow",
            topic_filter(NightResult, site, sensor=sensor),
            "minimum_m3h",
            "volume_flow_rate",
            "m³/h",
        ),
    }
    for channel, names in CHECKS.items():
        for method, name in names.items():
            components[f"{channel}_{method}"] = {
                "platform": "binary_sensor",
                "name": name,
                "device_class": "problem",
                "state_topic": verdict,
                "value_template": FLAG.format(channel=channel, method=method),
            }
    components["incident"] = {
        "platform": "event",
        "name": "Incident",
        "event_types": list(STATES),
        "state_topic": f"{PREFIX.format(site=site)}{sensor}/anomaly/+",
        "value_template": INCIDENT,
    }
    for key, component in components.items():
        component["unique_id"] = f"{device}_{key}"
    description = {
        "device": {
            "identifiers": [device],
            "name": f"{place} {sensor}",
            "manufacturer": "WVR",
            "model": "Water meter",
            "sw_version": VERSION,
        },
        "origin": {"name": "WVR", "sw_version": VERSION},
        "availability": [
            {
                "topic": topic_filter(Status, site, name=service),
                "value_template": "{{ 'online' if value_json.state == 'online' else 'offline' }}",
            }
            for service in SOURCES
        ],
        "availability_mode": "all",
        "components": components,
        "qos": 1,
    }
    return json.dumps(description, ensure_ascii=False).encode()


def _measurement(name: str, topic: str, field: str, device_class: str, unit: str) -> dict[str, Any]:
    return {
        "platform": "sensor",
        "name": name,
        "device_class": device_class,
        "state_class": "measurement",
        "unit_of_measurement": unit,
        "state_topic": topic,
        "value_template": f"{{{{ value_json.{field} }}}}",
    }


def _plain(name: str) -> str:
    """Return a name in which each letter other than a to z and digits is `x`, its number in hexadecimal, and `-`."""
    return re.sub("[^a-wyzA-Z0-9]", lambda match: f"x{ord(match[0]):x}-", name)

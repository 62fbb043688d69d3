"""What Home Assistant's MQTT integration makes of messages; runs in its own environment (../test_home_assistant.py).

Reads steps of [topic, payload] from the file in WVR_STEPS; writes states and devices after each step to WVR_RESULT.
"""

# mypy: ignore-errors

import json
import os
from pathlib import Path

import pytest
from homeassistant.const import __version__
from homeassistant.helpers import device_registry, entity_registry
from pytest_homeassistant_custom_component.common import async_fire_mqtt_message


@pytest.fixture
def expected_lingering_timers() -> bool:
    """Home Assistant's MQTT client keeps a timer; that is not the subject here."""
    return True


async def test_entities(hass, mqtt_mock) -> None:
    """Deliver the messages of each step, and record what Home Assistant shows."""
    del mqtt_mock
    steps = json.loads(Path(os.environ["WVR_STEPS"]).read_text(encoding="utf-8"))
    results = []
    for step in steps:
        for topic, payload in step:
            async_fire_mqtt_message(hass, topic, payload)
            await hass.async_block_till_done()
        entities = entity_registry.async_get(hass)
        states = {}
        for entry in entities.entities.values():
            state = hass.states.get(entry.entity_id)
            attributes = dict(state.attributes) if state else {}
            states[entry.unique_id] = {
                "domain": entry.domain,
                "state": state.state if state else None,
                "attributes": json.loads(json.dumps(attributes, default=str)),
            }
        devices = [device.name for device in device_registry.async_get(hass).devices.values()]
        results.append({"states": states, "devices": devices})
    content = {"version": __version__, "results": results}
    Path(os.environ["WVR_RESULT"]).write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")

"""A short seeded campaign: services and broker are killed, stopped and locked out while two weeks of readings drain."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bench.faults.campaign import Campaign
from bench.speed.live import following_site

FAULTS = int(os.environ.get("WVR_FAULTS", "0"))
SECONDS = 720

pytestmark = pytest.mark.skipif(not FAULTS, reason="takes minutes: WVR_FAULTS=8 ./wvr test tests/faults")


@pytest.mark.parametrize("seed", [1])
def test_every_reading_is_stored_once_and_has_one_verdict(seed: int, tmp_path: Path) -> None:
    with following_site(tmp_path / "s") as site:
        campaign = Campaign(site, seed, 1200 * FAULTS, FAULTS)
        campaign.run(2.0)
        campaign.wait(SECONDS)
    calm, found = campaign.verdicts(campaign.replay(tmp_path) / "wvr.db"), campaign.verdicts()
    assert found.keys() == calm.keys()

"""A short seeded campaign: harm is done to a running site while days of readings drain; nothing may differ."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bench.faults.campaign import Campaign
from bench.faults.site import faultable_site

FAULTS = int(os.environ.get("WVR_FAULTS", "12"))
SECONDS = 420


@pytest.mark.parametrize("seed", [1])
def test_faults_lose_and_duplicate_nothing(seed: int, tmp_path: Path) -> None:
    with faultable_site(tmp_path) as frail:
        campaign = Campaign(frail, seed, 300 * FAULTS, FAULTS)
        campaign.run(2.0)
        campaign.wait(SECONDS)
        assert [one for one in campaign.outcome(tmp_path) if not one.equal] == []

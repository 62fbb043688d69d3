"""A short seeded campaign: faults are injected while a site processes days of readings; the output must not differ."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bench.faults.campaign import Campaign
from bench.faults.site import faultable_site

FAULTS = int(os.environ.get("WVR_FAULTS", "12"))
LONG_CAMPAIGN_FAULTS = 60
MAX_CATCH_UP_SECONDS = 420


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("seed", "faults"), [(1, FAULTS), pytest.param(7, LONG_CAMPAIGN_FAULTS, marks=pytest.mark.full)]
)
def test_faults_lose_and_duplicate_nothing(seed: int, faults: int, tmp_path: Path) -> None:
    """Takes minutes: services, broker and disk fail in turn, and each failure must be over before the next."""
    with faultable_site(tmp_path) as site:
        campaign = Campaign(site, seed, 300 * faults, faults)
        campaign.run(2.0)
        campaign.wait(MAX_CATCH_UP_SECONDS)
        assert [table for table in campaign.outcome(tmp_path) if not table.is_equal] == []

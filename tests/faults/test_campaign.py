"""A short seeded campaign: faults are injected while a site processes days of readings; the output must not differ."""

from __future__ import annotations

import os

import pytest

from bench.faults.campaign import Campaign
from bench.faults.site import faultable_site

FAULTS = int(os.environ.get("WVR_FAULTS", "12"))
LONG_CAMPAIGN_FAULTS = 60
MAX_CATCH_UP_SECONDS = 420


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("seed", "faults", "form"),
    [
        (1, FAULTS, "table"),
        pytest.param(7, LONG_CAMPAIGN_FAULTS, "documented", marks=pytest.mark.full),
        pytest.param(8, LONG_CAMPAIGN_FAULTS, "table", marks=pytest.mark.full),
    ],
)
def test_faults_lose_and_duplicate_nothing(
    seed: int, faults: int, form: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Takes minutes: services, broker and disk fail in turn, and each failure must be over before the next."""
    folder = tmp_path_factory.mktemp("faults")  # a short path: a Unix socket's is limited to 100 bytes
    with faultable_site(folder) as site:
        campaign = Campaign(site, seed, 300 * faults, faults, form)
        campaign.run(2.0)
        campaign.wait(MAX_CATCH_UP_SECONDS)
        assert [table for table in campaign.outcome(folder) if not table.is_equal] == []

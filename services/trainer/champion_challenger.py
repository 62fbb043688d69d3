"""Champion and challenger: whether a candidate is better than the active forecasts, on holdout weeks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.trainer.diebold_mariano import diebold_mariano_p_value
from shared.contract.messages import SCORED_HORIZONS, LocalizedText
from shared.contract.texts import localized
from shared.domain.series import Floats, Ints
from shared.models.model_messages import join_texts

QUANTILE_LEVELS = np.array([0.1, 0.5, 0.9])
SIGNIFICANCE, LIKELY_LEVEL = 0.05, 0.25
"""p-values below which a difference is significant, or likely."""
MIN_GAIN = 0.01
"""Overall gain that a candidate needs: the active model is known from its scores, a candidate is not."""

PROFILE_NAME = LocalizedText("프로파일", "the profile")


@dataclass(frozen=True)
class Decision:
    """The outcome of champion against challenger."""

    promoted: bool
    reason: LocalizedText
    metrics: dict[str, float]


@dataclass(frozen=True)
class Comparison:
    """A candidate against one rival, by horizon in hours; horizons without data are left out."""

    loss_ratios: dict[int, float]
    """The candidate's pinball loss over the rival's."""
    p_values: dict[int, float]
    """Near 0 the candidate is better, near 1 it is worse."""

    def is_better(self, level: float) -> bool:
        """Return whether the candidate is better at one horizon at least, at a level corrected by Bonferroni."""
        return any(p_value < level / len(self.p_values) for p_value in self.p_values.values())

    @property
    def worse_horizons(self) -> list[int]:
        """Horizons at which the candidate is significantly worse, each tested by itself."""
        return [horizon for horizon, p_value in self.p_values.items() if p_value > 1 - SIGNIFICANCE]


def error_metrics(actuals: Floats, quantiles: Floats) -> dict[str, float]:
    """Return the errors of forecasts (n, 169, 3) against actuals (n, 169, NaN: unknown), in the channel's unit."""
    absolute_errors = np.abs(actuals - quantiles[..., 1])
    is_inside = (quantiles[..., 0] <= actuals) & (actuals <= quantiles[..., 2])
    by_horizon = {
        f"mae_{horizon}h": float(np.nanmean(absolute_errors[:, horizon]))
        for horizon in _scored_horizons(absolute_errors)
    }
    return {
        "mae": float(np.nanmean(absolute_errors)),
        **by_horizon,
        "pinball": float(np.nanmean(_pinball_loss(actuals, quantiles))),
        "coverage": float(is_inside[~np.isnan(actuals)].mean()),
    }


def compare(actuals: Floats, candidate: Floats, rival: Floats, days: Ints) -> Comparison:
    """Compare the pinball losses of two sets of forecasts (n, 169, 3), issued on the same `days` (n)."""
    own, other = _pinball_loss(actuals, candidate), _pinball_loss(actuals, rival)
    ratios, p_values = {}, {}
    for horizon in _scored_horizons(own + other):
        difference = own[:, horizon] - other[:, horizon]
        is_known = ~np.isnan(own[:, horizon] + other[:, horizon])
        ratios[horizon] = float(own[is_known, horizon].mean() / max(other[is_known, horizon].mean(), 1e-12))
        p_values[horizon] = diebold_mariano_p_value(difference, days, horizon)
    return Comparison(ratios, p_values)


def decide(
    actuals: Floats,
    candidate: Floats,
    champion: Floats,
    champion_name: LocalizedText,
    days: Ints,
    profile: Floats | None = None,
) -> Decision:
    """Decide whether a candidate replaces the champion; `profile`: the profile's forecasts, where it is no champion.

    The candidate needs an overall gain of MIN_GAIN (pinball loss and mean error together) and a significant gain at one
    horizon, so that a few lucky days do not change the model. At no horizon may it be significantly worse, neither
    than the champion nor than the profile. Against the profile a likely gain is enough, since the daily scores put
    the profile back if the model is worse. A refused candidate is followed by another one a week later.
    """
    own, other = error_metrics(actuals, candidate), error_metrics(actuals, champion)
    ratios = [own[metric] / max(other[metric], 1e-12) for metric in ("pinball", "mae")]
    comparisons = {champion_name: compare(actuals, candidate, champion, days)}
    if profile is not None:
        comparisons[PROFILE_NAME] = compare(actuals, candidate, profile, days)
    gain = 1.0 - sum(ratios) / len(ratios)
    refusals = [
        _worse_text(rival, comparison.worse_horizons)
        for rival, comparison in comparisons.items()
        if comparison.worse_horizons
    ]
    if gain < MIN_GAIN:
        refusals.insert(0, _gain_text(gain))
    elif not comparisons[champion_name].is_better(SIGNIFICANCE if profile is not None else LIKELY_LEVEL):
        refusals.append(LocalizedText("개선이 우연일 수 있습니다", "the gain is not significant"))
    result = _result_text(not refusals, champion_name, len(actuals), ratios)
    reason = join_texts("; ", [result, _ratios_text(comparisons[champion_name]), *refusals])
    metrics = {**own, **_prefixed("used", other, comparisons[champion_name])}
    if profile is not None:
        metrics |= _prefixed("profile", error_metrics(actuals, profile), comparisons[PROFILE_NAME])
    else:
        metrics |= _prefixed("profile", other, comparisons[champion_name])
    return Decision(not refusals, reason, metrics)


def _pinball_loss(actuals: Floats, quantiles: Floats) -> Floats:
    """Return the mean loss (n, 169) of p10, p50 and p90 (Koenker and Bassett, 1978); NaN where unknown."""
    difference = actuals[..., None] - quantiles
    loss: Floats = np.maximum(QUANTILE_LEVELS * difference, (QUANTILE_LEVELS - 1) * difference).mean(axis=-1)
    return loss


def _scored_horizons(errors: Floats) -> list[int]:
    """Return the scored horizons at which any of the errors (n, 169) is known."""
    return [horizon for horizon in SCORED_HORIZONS if not np.isnan(errors[:, horizon]).all()]


def _result_text(is_better: bool, rival: LocalizedText, hours: int, ratios: list[float]) -> LocalizedText:
    return localized(
        "평가 기간 {hours}시간에서 {rival_ko}보다 {result_ko}: 핀볼 손실 {pinball:.3f}배, 평균 오차 {error:.3f}배",
        "{result} than {rival} on {hours} holdout hours: pinball loss x {pinball:.3f}, mean error x {error:.3f}",
        result_ko="낫습니다" if is_better else "낫지 않습니다",
        result="better" if is_better else "not better",
        rival_ko=rival.ko,
        rival=rival.en,
        hours=hours,
        pinball=ratios[0],
        error=ratios[1],
    )


def _ratios_text(comparison: Comparison) -> LocalizedText:
    parts = [
        localized(
            "{horizon}시간 앞 {ratio:.3f}배(p값 {p_value:.3f})",
            "at {horizon} h x {ratio:.3f} (p = {p_value:.3f})",
            horizon=horizon,
            ratio=ratio,
            p_value=comparison.p_values[horizon],
        )
        for horizon, ratio in comparison.loss_ratios.items()
    ]
    joined = join_texts(", ", parts)
    return LocalizedText(f"핀볼 손실 {joined.ko}", f"pinball loss {joined.en}")


def _worse_text(rival: LocalizedText, horizons: list[int]) -> LocalizedText:
    return localized(
        "{horizons_ko} 앞 예측은 {rival_ko}보다 유의하게 나쁩니다",
        "significantly worse than {rival} at {horizons}",
        rival_ko=rival.ko,
        rival=rival.en,
        horizons_ko=", ".join(f"{horizon}시간" for horizon in horizons),
        horizons=", ".join(f"{horizon} h" for horizon in horizons),
    )


def _gain_text(gain: float) -> LocalizedText:
    if gain > 0:
        return localized(
            "전체 개선이 {percent:.0f} % 미만입니다",
            "the overall gain is below {percent:.0f} %",
            percent=100 * MIN_GAIN,
        )
    return LocalizedText("전체 오차가 줄지 않았습니다", "no overall gain")


def _prefixed(prefix: str, metrics: dict[str, float], comparison: Comparison) -> dict[str, float]:
    """Return metrics and p-values under the names that the manifest and ModelTrained use."""
    p_values = {f"{prefix}_chance_{horizon}h": value for horizon, value in comparison.p_values.items()}
    return {**{f"{prefix}_{metric}": value for metric, value in metrics.items()}, **p_values}

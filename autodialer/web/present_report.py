"""The JSON of a report."""

from collections.abc import Mapping

from autodialer.model import Campaign
from autodialer.store import CampaignReport, Counts, Figures, HourReport, KeyFigures, TrunkReport
from autodialer.web.campaign_keys import present_key_figures
from autodialer.web.present import Json, counts, identifier, time


def present_report(
    campaign: Campaign, subscribers: Counts, report: CampaignReport, keys: Mapping[str, KeyFigures]
) -> Json:
    """What became of a campaign."""
    return {
        "campaign_id": str(campaign.id),
        "name": campaign.name,
        "state": campaign.state.value,
        "started_at": time(campaign.started_at),
        "finished_at": time(campaign.finished_at),
        "counts": counts(subscribers),
        **_figures(report),
        "pdd_s": dict(report.pdd_s),
        "attempts_to_reach": {str(attempts): reached for attempts, reached in report.attempts_to_reach.items()},
        "listened": list(report.listened),
        "digits": dict(report.digits),
        "keys": present_key_figures(keys),
        "by_hour": [_hour(item) for item in report.by_hour],
        "by_trunk": [_trunk(item) for item in report.by_trunk],
        "cost": report.cost,
    }


def _figures(value: Figures) -> Json:
    return {
        "calls": value.calls,
        "answered": value.answered,
        "asr": value.asr,
        "acd_s": value.acd_s,
        "billsec_s": value.billsec_s,
        "played_share_mean": value.played_share_mean,
        "dispositions": dict(value.dispositions),
    }


def _hour(value: HourReport) -> Json:
    return {"hour_at": time(value.hour_at), **_figures(value)}


def _trunk(value: TrunkReport) -> Json:
    return {
        "trunk_id": identifier(value.trunk_id),
        "name": value.name,
        **_figures(value),
        "price_per_min": value.price_per_min,
        "cost": value.cost,
    }

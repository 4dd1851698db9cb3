"""Where the running campaigns may call: the rules of their trunks, as they stand now."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from autodialer.campaign.destinations import explain_refusal, refusal, rules_of_trunk
from autodialer.campaign.numbers import destination_of
from autodialer.model import Campaign, ClaimRequest, Trunk
from autodialer.model.destinations import DialRules
from autodialer.store import Store

MOST_REGIONS = 10_000
"""Kept of callbases; each sample call has one of its own."""


class Destinations:
    """The rules by campaign."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._rules: dict[int, tuple[DialRules, ...]] = {}
        self._regions: dict[int, str] = {}
        """Of callbases, whose region never changes; also of campaigns that were paused while their calls are up."""

    def look(self, campaigns: Sequence[Campaign], trunks: Mapping[int, Trunk]) -> None:
        """Take over what the trunks say now."""
        if len(self._regions) > MOST_REGIONS:
            self._regions.clear()
        self._rules = {campaign.key: self._rules_of(campaign, trunks) for campaign in campaigns}

    def _rules_of(self, campaign: Campaign, trunks: Mapping[int, Trunk]) -> tuple[DialRules, ...]:
        region = self._region(campaign)
        return tuple(rules_of_trunk(trunks[key], region) for key in campaign.trunk_keys if key in trunks)

    def _region(self, campaign: Campaign) -> str:
        key = campaign.callbase_key
        if key not in self._regions:
            self._regions[key] = self._store.callbases.by_key(key).region
        return self._regions[key]

    def within(self, requests: Iterable[ClaimRequest]) -> list[ClaimRequest]:
        """The same requests, for numbers only that the campaign's trunks may call."""
        return [replace(each, dial_rules=self._rules.get(each.campaign_key, ())) for each in requests]

    def refusal(self, campaign: Campaign, trunk: Trunk, number: str) -> str | None:
        """Why a call that this trunk carries is not transferred to this number, a sentence; None: it may be."""
        rules, where = [rules_of_trunk(trunk, self._region(campaign))], destination_of(number)
        reason = refusal(where, rules, number)
        return explain_refusal(where, reason, rules, number) if reason is not None else None

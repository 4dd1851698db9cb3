"""Campaigns: what they are told, how they run, what becomes of them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import cast
from uuid import UUID

from pydantic import Field

from autodialer import report
from autodialer.api.calling_hours import (
    EndsAt,
    Holidays,
    StartsAt,
    Window,
    check_hours,
    moment_of,
    present_hours,
    preview,
)
from autodialer.api.context import Context, owned
from autodialer.api.filters import ObjectFilter
from autodialer.api.present import Json, identifier, page, time, values_of
from autodialer.api.sounds import SoundFiles
from autodialer.campaign.checks import NO_REGION, transfer_number
from autodialer.campaign.estimate import estimate_eta_s
from autodialer.campaign.keys import check_change, check_keys
from autodialer.campaign.numbers import check_region
from autodialer.errors import Conflict, Invalid
from autodialer.model import DEFAULT_RETRY, Callbase, Campaign, RetryRule
from autodialer.report import Reason
from autodialer.store import (
    CampaignProgress,
    CampaignReport,
    CampaignRules,
    Figures,
    HourReport,
    KeyFigures,
    TrunkReport,
)
from autodialer.web.caller import Caller
from autodialer.web.fields import Fields
from autodialer.web.request import PageWanted

HOURS = frozenset({"window", "holidays", "starts_at", "ends_at"})
COUNTS = ("total", "pending", "in_progress", "reached", "exhausted", "excluded")


class Caps(Fields):
    """Most calls to one number; None: no such limit."""

    day: int | None = None
    week: int | None = None


class CampaignChange(Fields):
    """What is changed of a campaign's rules; the meanings are those of autodialer.model.Campaign.

    The defaults stand for `not sent` only: the store has those of a new campaign.
    """

    caller_id: str | None = None
    max_channels: int | None = None
    cps: float | None = None
    ring_timeout_s: float = 0.0
    max_call_s: float = 0.0
    lead_in_ms: int | None = None
    max_attempts: int = 0
    min_played_s: float | None = None
    caps: Caps = Caps()
    dial_doubtful: bool = False
    retry: Mapping[str, RetryRule] = Field(default_factory=dict)
    keys: Mapping[str, str] = Field(default_factory=dict)
    transfer_to: str | None = None
    after_failed_transfer: str = ""
    key_wait_s: float | None = None
    window: Window = None
    holidays: Holidays = ()
    starts_at: StartsAt = None
    ends_at: EndsAt = None

    def rules(self, present: Campaign | None = None) -> CampaignRules:
        """The given ones as they are stored; `present` is the campaign that is changed.

        Raises Invalid, and Conflict for another meaning of a key once the campaign has begun.
        """
        known = CampaignChange.model_fields
        values = {name: value for name, value in self.given.items() if name in known and name != "caps"}
        values |= {f"cap_{span}": cap for span, cap in self.caps.given.items()}
        if self.transfer_to:
            values["transfer_to"] = transfer_number(self.transfer_to)
        if "keys" in values or "transfer_to" in values:
            wanted = self.keys if "keys" in values else present.keys if present else {}
            transfer_to = values.get("transfer_to", present.transfer_to if present else None)
            values["keys"] = check_keys(wanted, transfer_to)
            if present is not None:
                check_change(present.state, present.keys, values["keys"])
        return cast(CampaignRules, values)


class NewCampaign(CampaignChange):
    """A campaign to be made."""

    name: str
    trunk_ids: Sequence[UUID]
    sound_id: UUID
    callbase_id: UUID | None = None
    """None: a callbase of its own is made, for numbers that come by the API."""
    region: str | None = None
    """Country of numbers written without one in a callbase of its own."""


class Stop(Fields):
    """How a campaign is stopped."""

    hangup: bool = False
    """Whether calls under way end at once."""


class Clone(Fields):
    """Which subscribers a clone calls."""

    only: str = "all"
    """all or unreached."""


class CallableAt(Fields):
    """When it is asked for."""

    at: str | None = None
    """A time with its offset; None: now."""


class Campaigns:
    """The operations on campaigns."""

    def __init__(self, context: Context, sound_files: SoundFiles) -> None:
        self._context = context
        self._store = context.store
        self._clock = context.clock
        self._sound_files = sound_files

    def list(self, caller: Caller, fields: ObjectFilter, wanted: PageWanted) -> Json:
        """The campaigns of the caller."""
        found = self._store.campaigns.page(caller.owner_key, fields.narrowed(), limit=wanted.limit, after=wanted.after)
        progress = self._store.campaigns.progress_of_all([campaign.key for campaign in found[0]])
        return page(found, lambda campaign: self._present(campaign, progress[campaign.key]))

    def create(self, caller: Caller, fields: NewCampaign, once: str | None) -> Json:
        """A draft. Raises Invalid that names the field whose object there is not."""
        with self._context.once.attempt(caller, "create_campaign", once, fields.asked()) as attempt:
            if attempt.object_id is None:
                rules = fields.rules()
                trunks = [owned(self._store.trunks.get, one, caller, "trunk_ids") for one in fields.trunk_ids]
                callbase = self._callbase_of(caller, fields)
                region = _own_region(fields) if callbase is None else ""
                sound = owned(self._store.sounds.get, fields.sound_id, caller, "sound_id")
                check_hours(rules, callbase.timezone if callbase else None)
                with self._store.transaction():
                    if callbase is None:
                        callbase = self._own_callbase(caller, fields.name.strip(), region)
                    campaign = self._store.campaigns.create(
                        caller.user.key,
                        name=fields.name.strip(),
                        trunk_keys=[trunk.key for trunk in trunks],
                        sound_key=sound.key,
                        callbase_key=callbase.key,
                        **rules,
                    )
                    self._context.record(caller, "campaigns.create", campaign.id, name=campaign.name)
                    attempt.remember(campaign.id)
            return self.read(caller, attempt.made)

    def read(self, caller: Caller, campaign_id: UUID) -> Json:
        """One campaign."""
        campaign = self._store.campaigns.get(campaign_id, caller.owner_key)
        return self._present(campaign, self._store.campaigns.progress(campaign.key))

    def change(self, caller: Caller, campaign_id: UUID, fields: CampaignChange) -> Json:
        """Change the rules. Raises Conflict once it has ended, or when a key would change its meaning."""
        campaign = self._store.campaigns.get(campaign_id, caller.owner_key)
        rules = fields.rules(campaign)
        if HOURS & rules.keys():
            callbase = self._store.callbases.by_key(campaign.callbase_key)
            check_hours({**vars(campaign), **rules}, callbase.timezone)
        said = fields.model_dump(mode="json", exclude_unset=True)
        with self._store.transaction():
            self._store.campaigns.update(campaign_id, caller.owner_key, **rules)
            self._context.record(caller, "campaigns.change", campaign_id, **said)
        return self.read(caller, campaign_id)

    def start(self, caller: Caller, campaign_id: UUID) -> Json:
        """Raises Conflict unless it is a draft whose callbase can be dialled."""
        campaign = self._store.campaigns.get(campaign_id, caller.owner_key)
        callbase = self._store.callbases.by_key(campaign.callbase_key)
        if callbase.state == "failed":
            raise Conflict(f"The import of its callbase failed: {callbase.error}", field="callbase_id")
        if callbase.state == "ready" and not callbase.imported:
            raise Conflict(
                "The campaign has no subscribers and would end at once; add numbers with"
                f" POST /srv1/campaigns/{campaign_id}/subscribers first.",
                field="callbase_id",
            )
        with self._store.transaction():
            self._store.campaigns.start(campaign_id, caller.owner_key, by=caller.user.login)
            self._context.record(caller, "campaigns.start", campaign_id)
        return self.read(caller, campaign_id)

    def pause(self, caller: Caller, campaign_id: UUID) -> Json:
        """Raises Conflict unless it runs."""
        with self._store.transaction():
            self._store.campaigns.pause(campaign_id, caller.owner_key, by=caller.user.login)
            self._context.record(caller, "campaigns.pause", campaign_id)
        return self.read(caller, campaign_id)

    def resume(self, caller: Caller, campaign_id: UUID) -> Json:
        """Raises Conflict unless it is paused."""
        with self._store.transaction():
            self._store.campaigns.resume(campaign_id, caller.owner_key, by=caller.user.login)
            self._context.record(caller, "campaigns.resume", campaign_id)
        return self.read(caller, campaign_id)

    def stop(self, caller: Caller, campaign_id: UUID, fields: Stop) -> Json:
        """Raises Conflict unless it runs or is paused."""
        self._store.campaigns.stop(
            campaign_id,
            caller.owner_key,
            hangup=fields.hangup,
            by=caller.user.login,
            record=lambda: self._context.record(caller, "campaigns.stop", campaign_id, hangup=fields.hangup),
        )
        return self.read(caller, campaign_id)

    def clone(self, caller: Caller, campaign_id: UUID, fields: Clone, once: str | None) -> Json:
        """A draft of the same rules. Raises Conflict when its unreached are wanted before it has ended."""
        asked = f"{campaign_id} {fields.only}"
        with self._context.once.attempt(caller, "clone_campaign", once, asked) as attempt:
            if attempt.object_id is None:
                with self._store.transaction():
                    made = self._store.campaigns.clone(
                        campaign_id, caller.owner_key, only_unreached=fields.only == "unreached"
                    )
                    self._context.record(caller, "campaigns.clone", made.id, of=str(campaign_id), only=fields.only)
                    attempt.remember(made.id)
            return self.read(caller, attempt.made)

    def read_callable(self, caller: Caller, campaign_id: UUID, fields: CallableAt) -> Json:
        """Of how many subscribers the hours let calls be placed at a time, by time zone. Raises Invalid."""
        campaign = self._store.campaigns.get(campaign_id, caller.owner_key)
        moment = self._clock.utcnow() if fields.at is None else moment_of(fields.at, "at")
        zones = preview(self._store, campaign, moment)
        return {
            "at": time(moment),
            "callable": sum(zone.subscribers for zone in zones if zone.open),
            "subscribers": sum(zone.subscribers for zone in zones),
            "zones": [{**asdict(zone), "opens_at": time(zone.opens_at)} for zone in zones],
        }

    def read_why(self, caller: Caller, campaign_id: UUID) -> Json:
        """Whether it dials, and why not."""
        campaign = self._store.campaigns.get(campaign_id, caller.owner_key)
        there = self._sound_files.are_there(campaign.sound_key)
        why = report.explain(self._store, campaign, self._clock.utcnow(), sound_there=there)
        return present_why(dialing=why.dialing, reasons=why.reasons)

    def read_report(self, caller: Caller, campaign_id: UUID) -> Json:
        """The results of a campaign so far."""
        campaign = self._store.campaigns.get(campaign_id, caller.owner_key)
        progress = self._store.campaigns.progress(campaign.key)
        figures = self._store.calls.report(campaign.key)
        return present_report(campaign, progress, figures, self._store.calls.keys(campaign.key))

    def _own_callbase(self, caller: Caller, name: str, region: str) -> Callbase:
        made = self._store.callbases.create(caller.user.key, name=name, region=region)
        return self._store.callbases.finish(made.key, rows=0)

    def _callbase_of(self, caller: Caller, fields: NewCampaign) -> Callbase | None:
        if fields.callbase_id is None:
            return None
        if fields.region is not None:
            raise Invalid("region is the callbase's; leave it out where callbase_id is named.", field="region")
        callbase = owned(self._store.callbases.get, fields.callbase_id, caller, "callbase_id")
        if callbase.state == "failed":
            raise Invalid(f"callbase_id: the import of {callbase.name} failed: {callbase.error}", field="callbase_id")
        return callbase

    def _present(self, campaign: Campaign, progress: CampaignProgress) -> Json:
        return present_campaign(campaign, progress, estimate_eta_s(campaign, progress, self._clock.utcnow()))


def _own_region(fields: NewCampaign) -> str:
    return NO_REGION if fields.region is None else check_region(fields.region)


def present_retry(rules: Mapping[str, RetryRule]) -> Json:
    """The rules as they hold, defaults filled in."""
    merged = {**DEFAULT_RETRY, **rules}
    return {name: {"after_s": rule.after_s, "times": rule.times} for name, rule in merged.items()}


def present_campaign(value: Campaign, progress: CampaignProgress, eta_s: float | None) -> Json:
    """A campaign with its counts."""
    names = ("name", "caller_id", "max_channels", "cps", "ring_timeout_s", "max_call_s", "lead_in_ms", "max_attempts")
    return {
        "id": str(value.id),
        **values_of(value, names),
        "min_played_s": value.min_played_s,
        "caps": {"day": value.cap_day, "week": value.cap_week},
        "dial_doubtful": value.dial_doubtful,
        "state": value.state.value,
        "trunk_ids": [str(trunk_id) for trunk_id in value.trunk_ids],
        "sound_id": str(value.sound_id),
        "callbase_id": str(value.callbase_id),
        "retry": present_retry(value.retry),
        **present_keys(value),
        **present_hours(value),
        "created_at": time(value.created_at),
        "started_at": time(value.started_at),
        "finished_at": time(value.finished_at),
        "counts": present_counts(progress),
        "dispositions": dict(progress.dispositions),
        "active_calls": progress.active_calls,
        "eta_s": eta_s,
    }


def present_counts(value: CampaignProgress) -> Json:
    """Subscribers by state; those in progress are told apart."""
    return {**values_of(value.counts, COUNTS), "calling": value.calling, "waiting": value.waiting}


def present_why(*, dialing: bool, reasons: Sequence[Reason]) -> Json:
    """Whether a campaign dials, and why not."""
    return {
        "dialing": dialing,
        "reasons": [{"code": item.code, "message": item.message, "until": time(item.until)} for item in reasons],
    }


def present_keys(campaign: Campaign) -> Json:
    """What the keys of a campaign do."""
    return {
        "keys": {digit: action.value for digit, action in sorted(campaign.keys.items())},
        "transfer_to": campaign.transfer_to,
        "after_failed_transfer": campaign.after_failed_transfer,
        "key_wait_s": campaign.waits_for_key_s,
    }


def present_report(
    campaign: Campaign, subscribers: CampaignProgress, report: CampaignReport, keys: Mapping[str, KeyFigures]
) -> Json:
    """The results of a campaign so far."""
    return {
        "campaign_id": str(campaign.id),
        "name": campaign.name,
        "state": campaign.state.value,
        "started_at": time(campaign.started_at),
        "finished_at": time(campaign.finished_at),
        "counts": present_counts(subscribers),
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


def present_key_figures(figures: Mapping[str, KeyFigures]) -> Json:
    """What keys did in a campaign."""
    return {
        digit: {
            "action": key.action.value,
            "calls": key.calls,
            "effects": {effect.value: calls for effect, calls in key.effects.items()},
        }
        for digit, key in figures.items()
    }

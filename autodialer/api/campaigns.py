"""Campaigns: what they are told, how they run, what becomes of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import cast
from uuid import UUID

from pydantic import Field

from autodialer import report
from autodialer.api.caller_ids import warnings_of_campaigns
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
from autodialer.api.destinations import check_destination, present_refused, rules_of
from autodialer.api.diary import present_line
from autodialer.api.filters import ObjectFilter
from autodialer.api.outside import check_webhook_url
from autodialer.api.present import Json, identifier, page, time, values_of
from autodialer.api.reports import report_beside
from autodialer.api.slices import BUSY, AnyOnly, LargeSlices
from autodialer.api.sounds import SoundFiles
from autodialer.api.webhooks import put_short
from autodialer.campaign.checks import transfer_number
from autodialer.campaign.estimate import estimate_eta_s
from autodialer.campaign.keys import check_change, check_keys
from autodialer.campaign.numbers import NO_REGION, check_region
from autodialer.errors import Conflict, Invalid, TooManyRequests
from autodialer.model import DEFAULT_RETRY, Callbase, Campaign, Drawn, People, RetryRule, Trunk
from autodialer.model.slices import only_as_json
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
from autodialer.webhooks.signing import shown_secret
from autodialer.webhooks.urls import host_of

HOURS = frozenset({"window", "holidays", "starts_at", "ends_at"})
DRAWN_WITHIN_S = 5.0
"""How long a request waits for the people of a slice; the housekeeping finds the rest of a very large slice."""
BESIDE_RULES = frozenset({"caps", "webhook_url"})
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
    webhook_url: str | None = None
    pause_after: int | None = None

    def rules(self, present: Campaign | None = None) -> CampaignRules:
        """The given ones as they are stored; `present` is the campaign that is changed.

        Raises Invalid, and Conflict for another meaning of a key once the campaign has begun.
        """
        known = CampaignChange.model_fields
        values = {name: value for name, value in self.given.items() if name in known and name not in BESIDE_RULES}
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
    """A campaign to be made: on a callbase, or for people of an ended campaign."""

    name: str
    trunk_ids: Sequence[UUID]
    sound_id: UUID
    callbase_id: UUID | None = None
    """None: a callbase of its own is made, for numbers that come by the API."""
    region: str | None = None
    """Country of numbers written without one in a callbase of its own."""
    from_campaign_id: UUID | None = None
    only: AnyOnly = People.ALL


class CampaignFilter(ObjectFilter):
    """Which campaigns a list holds."""

    archived: bool = False
    """Those that are archived too."""


class Resume(Fields):
    """How a campaign goes on."""

    pause_after: int | None = None
    """It pauses again once so many people have been called, all counted; None: it goes on with all the rest."""


class Stop(Fields):
    """How a campaign is stopped."""

    hangup: bool = False
    """Whether calls under way end at once."""


class Clone(Fields):
    """Which people of a campaign a clone calls."""

    only: AnyOnly = People.ALL


class SliceWanted(Fields):
    """Which people of a campaign are counted."""

    only: AnyOnly


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
        self._large_slices = LargeSlices()

    def list(self, caller: Caller, fields: CampaignFilter, wanted: PageWanted) -> Json:
        """The campaigns of the caller."""
        found = self._store.campaigns.page(
            caller.owner_key, fields.narrowed(), archived=fields.archived, limit=wanted.limit, after=wanted.after
        )
        progress = self._store.campaigns.progress_of_all([campaign.key for campaign in found[0]])
        warnings = warnings_of_campaigns(self._store, found[0])
        return page(
            found, lambda campaign: self._present(campaign, progress[campaign.key], warnings.get(campaign.key, []))
        )

    def create(self, caller: Caller, fields: NewCampaign, once: str | None) -> Json:
        """A draft. Raises Invalid that names the field whose object there is not."""
        with self._context.once.attempt(caller, "create_campaign", once, fields.asked()) as attempt:
            if attempt.object_id is None:
                rules = fields.rules()
                trunks = [owned(self._store.trunks.get, one, caller, "trunk_ids") for one in fields.trunk_ids]
                follows = self._origin_of(caller, fields)
                callbase = self._callbase_of(caller, fields, follows)
                region = callbase.region if callbase else _own_region(fields)
                sound = owned(self._store.sounds.get, fields.sound_id, caller, "sound_id")
                check_hours(rules, callbase.timezone if callbase else None)
                url = self._webhook_url(fields)
                check_transfer(rules, trunks, region)
                with self._store.transaction():
                    if callbase is None:
                        callbase = self._own_callbase(caller, fields.name.strip(), region)
                    campaign = self._store.campaigns.create(
                        caller.user.key,
                        name=fields.name.strip(),
                        trunk_keys=[trunk.key for trunk in trunks],
                        sound_key=sound.key,
                        callbase_key=callbase.key,
                        follows=follows,
                        only=fields.only,
                        by=caller.user.login,
                        **rules,
                    )
                    put_short(self._store, campaign, url)
                    self._context.record(caller, "campaigns.create", campaign.id, name=campaign.name)
                    attempt.remember(campaign.id)
                self._draw(campaign)
            return self._read(caller, attempt.made, with_secret=True)

    def read(self, caller: Caller, campaign_id: UUID) -> Json:
        """One campaign."""
        return self._read(caller, campaign_id)

    def change(self, caller: Caller, campaign_id: UUID, fields: CampaignChange) -> Json:
        """Change the rules. Raises Conflict once it has ended, or when a key would change its meaning."""
        campaign = self._store.campaigns.get(campaign_id, caller.owner_key)
        rules = fields.rules(campaign)
        if HOURS & rules.keys():
            callbase = self._store.callbases.by_key(campaign.callbase_key)
            check_hours({**vars(campaign), **rules}, callbase.timezone)
        # A URL may hold a token of its receiver.
        said = fields.model_dump(mode="json", exclude_unset=True, exclude={"webhook_url"})
        url = self._webhook_url(fields)
        makes_webhook = url is not None and campaign.webhook_url is None
        trunks = self._store.trunks.by_keys(campaign.trunk_keys).values()
        check_transfer(rules, trunks, self._store.callbases.by_key(campaign.callbase_key).region)
        with self._store.transaction():
            changed = self._store.campaigns.update(campaign_id, caller.owner_key, by=caller.user.login, **rules)
            if "webhook_url" in fields.given:
                said["webhook_url"] = url and host_of(url)
                put_short(self._store, changed, url)
            self._context.record(caller, "campaigns.change", campaign_id, **said)
        return self._read(caller, campaign_id, with_secret=makes_webhook)

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

    def resume(self, caller: Caller, campaign_id: UUID, fields: Resume) -> Json:
        """Raises Conflict unless it is paused, and for a `pause_after` that it has passed."""
        with self._store.transaction():
            if fields.given:
                # Cleared first, so that the number which it has reached is refused and not taken for unchanged.
                self._store.campaigns.update(campaign_id, caller.owner_key, pause_after=None)
                by, pause_after = caller.user.login, fields.pause_after
                self._store.campaigns.update(campaign_id, caller.owner_key, by=by, pause_after=pause_after)
            self._store.campaigns.resume(campaign_id, caller.owner_key, by=caller.user.login)
            self._context.record(caller, "campaigns.resume", campaign_id, **fields.given)
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

    def archive(self, caller: Caller, campaign_id: UUID) -> Json:
        """Raises Conflict while it runs or is paused."""
        with self._store.transaction():
            self._store.campaigns.archive(campaign_id, caller.owner_key, by=caller.user.login)
            self._context.record(caller, "campaigns.archive", campaign_id)
        return self.read(caller, campaign_id)

    def unarchive(self, caller: Caller, campaign_id: UUID) -> Json:
        """Lists show it again."""
        with self._store.transaction():
            self._store.campaigns.unarchive(campaign_id, caller.owner_key, by=caller.user.login)
            self._context.record(caller, "campaigns.unarchive", campaign_id)
        return self.read(caller, campaign_id)

    def delete(self, caller: Caller, campaign_id: UUID) -> None:
        """With its calls and figures. Raises Conflict while it runs or is paused or has calls under way."""
        with self._store.transaction():
            gone = self._store.campaigns.delete(campaign_id, caller.owner_key)
            self._context.record(caller, "campaigns.delete", campaign_id, name=gone.name)

    def clone(self, caller: Caller, campaign_id: UUID, fields: Clone, once: str | None) -> Json:
        """A draft of the same rules. Raises Conflict when some of its people are wanted before it has ended."""
        asked = f"{campaign_id} {only_as_json(fields.only)}"
        with self._context.once.attempt(caller, "clone_campaign", once, asked) as attempt:
            if attempt.object_id is None:
                with self._store.transaction():
                    made = self._store.campaigns.clone(
                        campaign_id, caller.owner_key, only=fields.only, by=caller.user.login
                    )
                    put_short(self._store, made, self._store.campaigns.get(campaign_id, None).webhook_url)
                    wanted = only_as_json(fields.only)
                    self._context.record(caller, "campaigns.clone", made.id, of=str(campaign_id), only=wanted)
                    attempt.remember(made.id)
                self._draw(made)
            return self._read(caller, attempt.made, with_secret=True)

    def count_slice(self, caller: Caller, campaign_id: UUID, fields: SliceWanted) -> Json:
        """How many people a clone with the same `only` would call.

        Raises Conflict as the clone would, TooManyRequests while another large campaign is looked through.
        """
        campaign = self._store.campaigns.get(campaign_id, caller.owner_key)
        total = self._store.campaigns.progress(campaign.key).counts.total
        with self._large_slices.look(total) as has_turn:
            if not has_turn:
                raise TooManyRequests(BUSY)
            people = self._store.slices.count(campaign, fields.only, campaign.owner_key)
        return {"only": only_as_json(fields.only), "people": people, "total": total}

    def read_callable(self, caller: Caller, campaign_id: UUID, fields: CallableAt) -> Json:
        """Of how many subscribers the hours let calls be placed at a time, by time zone. Raises Invalid."""
        campaign = self._store.campaigns.get(campaign_id, caller.owner_key)
        moment = self._clock.utcnow() if fields.at is None else moment_of(fields.at, "at")
        zones = preview(self._store, campaign, moment)
        return {
            "at": time(moment),
            "callable": sum(zone.subscribers for zone in zones if zone.open),
            "subscribers": sum(zone.subscribers for zone in zones),
            "refused": present_refused(report.refused_of(self._store, campaign)),
            "zones": [{**asdict(zone), "opens_at": time(zone.opens_at)} for zone in zones],
        }

    def read_why(self, caller: Caller, campaign_id: UUID) -> Json:
        """Whether it dials, and why not."""
        campaign = self._store.campaigns.get(campaign_id, caller.owner_key)
        there = self._sound_files.are_there(campaign.sound_key)
        why = report.explain(self._store, campaign, self._clock.utcnow(), sound_there=there)
        return present_why(dialing=why.dialing, reasons=why.reasons)

    def list_diary(self, caller: Caller, campaign_id: UUID, wanted: PageWanted) -> Json:
        """What happened to a campaign, in order."""
        campaign = self._store.campaigns.get(campaign_id, caller.owner_key)
        return page(self._store.diary.page(campaign.key, limit=wanted.limit, after=wanted.after), present_line)

    def read_report(self, caller: Caller, campaign_id: UUID) -> Json:
        """The results of a campaign so far."""
        campaign = self._store.campaigns.get(campaign_id, caller.owner_key)
        progress = self._store.campaigns.progress(campaign.key)
        figures = self._store.calls.report(campaign.key)
        return {
            **present_report(campaign, progress, figures, self._store.calls.keys(campaign.key)),
            **report_beside(self._store, campaign),
        }

    def _own_callbase(self, caller: Caller, name: str, region: str) -> Callbase:
        made = self._store.callbases.create(caller.user.key, name=name, region=region)
        return self._store.callbases.finish(made.key, rows=0)

    def _draw(self, made: Campaign) -> None:
        """Find the people of a new campaign; the housekeeping finds the rest."""
        if made.drawn is None:
            return
        total = self._store.callbases.by_key(made.callbase_key).imported
        with self._large_slices.look(total) as has_turn:
            self._store.slices.draw(made.key, within_s=DRAWN_WITHIN_S if has_turn else 0.0)

    def _origin_of(self, caller: Caller, fields: NewCampaign) -> Campaign | None:
        if fields.from_campaign_id is not None:
            return owned(self._store.campaigns.get, fields.from_campaign_id, caller, "from_campaign_id")
        if "only" in fields.given:
            raise Invalid("only needs from_campaign_id, the campaign whose people are meant.", field="only")
        return None

    def _callbase_of(self, caller: Caller, fields: NewCampaign, follows: Campaign | None) -> Callbase | None:
        callbase_id = fields.callbase_id
        if follows is not None:
            if callbase_id not in (None, follows.callbase_id):
                message = "callbase_id: leave it out; with from_campaign_id it is that campaign's callbase."
                raise Invalid(message, field="callbase_id")
            callbase_id = follows.callbase_id
        if callbase_id is None:
            return None
        if fields.region is not None:
            message = "region is the callbase's; leave it out with callbase_id and from_campaign_id."
            raise Invalid(message, field="region")
        callbase = owned(self._store.callbases.get, callbase_id, caller, "callbase_id")
        if callbase.state == "failed":
            raise Invalid(f"callbase_id: the import of {callbase.name} failed: {callbase.error}", field="callbase_id")
        return callbase

    def _read(self, caller: Caller, campaign_id: UUID, *, with_secret: bool = False) -> Json:
        """`with_secret` in the answer to the request that made its webhook. No other answer shows the secret."""
        campaign = self._store.campaigns.get(campaign_id, caller.owner_key)
        warnings = warnings_of_campaigns(self._store, [campaign]).get(campaign.key, [])
        shown = self._present(campaign, self._store.campaigns.progress(campaign.key), warnings)
        webhook = self._store.webhooks.short_of(campaign.key) if with_secret and campaign.webhook_url else None
        if webhook is not None and webhook.secret is not None:
            shown["webhook_secret"] = shown_secret(webhook.secret)
        return shown

    def _webhook_url(self, fields: CampaignChange) -> str | None:
        """Raises Invalid, AddressRefused, HostUnresolved."""
        return check_webhook_url(self._context, fields.webhook_url, "webhook_url") if fields.webhook_url else None

    def _present(self, campaign: Campaign, progress: CampaignProgress, warnings: Sequence[Json]) -> Json:
        eta_s = estimate_eta_s(campaign, progress, self._clock.utcnow())
        return {**present_campaign(campaign, progress, eta_s), "warnings": list(warnings)}


def check_transfer(rules: CampaignRules, trunks: Iterable[Trunk], region: str) -> None:
    """Raises Invalid when the trunks may not call the number that a key transfers to: the call is on their account."""
    number = rules.get("transfer_to")
    if number:
        check_destination(number, rules_of(trunks, region), "transfer_to")


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
        "pause_after": value.pause_after,
        "people_called": value.people_called,
        "created_at": time(value.created_at),
        "started_at": time(value.started_at),
        "finished_at": time(value.finished_at),
        "archived_at": time(value.archived_at),
        "slice": present_drawn(value.drawn),
        "counts": present_counts(progress),
        "dispositions": dict(progress.dispositions),
        "active_calls": progress.active_calls,
        "eta_s": eta_s,
        "webhook_url": value.webhook_url,
        "webhook_secret": None,
    }


def present_drawn(drawn: Drawn | None) -> Json | None:
    """The people of a campaign that is not for its whole callbase."""
    if drawn is None:
        return None
    return {
        "from_campaign_id": str(drawn.from_campaign_id),
        "only": only_as_json(drawn.only),
        "people": drawn.people,
        "complete": drawn.is_complete,
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

"""Campaigns: what they are told, how they run, what becomes of them."""

from dataclasses import asdict
from uuid import UUID

from autodialer import report
from autodialer.api.callable import preview
from autodialer.api.operations.base import Json, Operations
from autodialer.api.operations.campaign_keys import key_fields
from autodialer.campaign.estimate import estimate_eta_s
from autodialer.errors import Conflict
from autodialer.model import Campaign
from autodialer.store import CampaignProgress
from autodialer.web import present
from autodialer.web.caller import Caller
from autodialer.web.calling_window import HOURS, check_hours, moment_of
from autodialer.web.fields import campaign_fields, campaign_rules
from autodialer.web.present_report import present_report


class CampaignOperations(Operations):
    """One method an operation."""

    def list_campaigns(self, caller: Caller, limit: int, after: str | None) -> Json:
        """The campaigns of the caller."""
        found = self._store.campaigns.page(caller.owner_key, limit=limit, after=after)
        progress = self._store.campaigns.progress_of_all([campaign.key for campaign in found[0]])
        return present.page(found, lambda campaign: self._present_campaign(campaign, progress[campaign.key]))

    def create_campaign(self, caller: Caller, fields: Json, once: str | None) -> Json:
        """A draft. Raises Invalid that names the field whose object there is not."""

        def create() -> UUID:
            values = campaign_fields(self._store, caller, key_fields(fields))
            campaign = self._store.campaigns.create(caller.user.key, **values)
            self._audit(caller, "campaigns.create", campaign.id, name=campaign.name)
            return campaign.id

        return self.read_campaign(caller, self._once(caller, "create_campaign", once, fields, create))

    def read_campaign(self, caller: Caller, campaign_id: UUID) -> Json:
        """One campaign."""
        campaign = self._store.campaigns.get(campaign_id, caller.owner_key)
        return self._present_campaign(campaign, self._store.campaigns.progress(campaign.key))

    def change_campaign(self, caller: Caller, campaign_id: UUID, fields: Json) -> Json:
        """Change the rules. Raises Conflict once it has ended, or when a key would change its meaning."""
        campaign = self._store.campaigns.get(campaign_id, caller.owner_key)
        rules = campaign_rules(key_fields(fields, campaign))
        if HOURS & rules.keys():
            callbase = self._store.callbases.by_key(campaign.callbase_key)
            check_hours({**vars(campaign), **rules}, callbase.timezone)
        self._store.campaigns.update(campaign_id, caller.owner_key, **rules)
        return self._changed_campaign(caller, campaign_id, "campaigns.change", **fields)

    def start_campaign(self, caller: Caller, campaign_id: UUID) -> Json:
        """Raises Conflict unless it is a draft whose callbase can be dialled."""
        campaign = self._store.campaigns.get(campaign_id, caller.owner_key)
        callbase = self._store.callbases.by_key(campaign.callbase_key)
        if callbase.state == "failed":
            raise Conflict(f"The import of its callbase failed: {callbase.error}", field="callbase_id")
        self._store.campaigns.start(campaign_id, caller.owner_key, by=caller.user.login)
        return self._changed_campaign(caller, campaign_id, "campaigns.start")

    def pause_campaign(self, caller: Caller, campaign_id: UUID) -> Json:
        """Raises Conflict unless it runs."""
        self._store.campaigns.pause(campaign_id, caller.owner_key, by=caller.user.login)
        return self._changed_campaign(caller, campaign_id, "campaigns.pause")

    def resume_campaign(self, caller: Caller, campaign_id: UUID) -> Json:
        """Raises Conflict unless it is paused."""
        self._store.campaigns.resume(campaign_id, caller.owner_key, by=caller.user.login)
        return self._changed_campaign(caller, campaign_id, "campaigns.resume")

    def stop_campaign(self, caller: Caller, campaign_id: UUID, *, hangup: bool) -> Json:
        """Raises Conflict unless it runs or is paused."""
        self._store.campaigns.stop(campaign_id, caller.owner_key, hangup=hangup, by=caller.user.login)
        return self._changed_campaign(caller, campaign_id, "campaigns.stop", hangup=hangup)

    def clone_campaign(self, caller: Caller, campaign_id: UUID, only: str, once: str | None) -> Json:
        """A draft of the same rules. Raises Conflict when its unreached are wanted before it has ended."""

        def make() -> UUID:
            made = self._store.campaigns.clone(campaign_id, caller.owner_key, only_unreached=only == "unreached")
            self._audit(caller, "campaigns.clone", made.id, of=str(campaign_id), only=only)
            return made.id

        asked = {"campaign_id": str(campaign_id), "only": only}
        return self.read_campaign(caller, self._once(caller, "clone_campaign", once, asked, make))

    def read_callable(self, caller: Caller, campaign_id: UUID, at: str | None) -> Json:
        """Of how many subscribers the hours let calls be placed at a time, by time zone. Raises Invalid."""
        campaign = self._store.campaigns.get(campaign_id, caller.owner_key)
        moment = self._clock.utcnow() if at is None else moment_of(at, "at")
        zones = preview(self._store, campaign, moment)
        return {
            "at": present.time(moment),
            "callable": sum(zone.subscribers for zone in zones if zone.open),
            "subscribers": sum(zone.subscribers for zone in zones),
            "zones": [{**asdict(zone), "opens_at": present.time(zone.opens_at)} for zone in zones],
        }

    def read_why(self, caller: Caller, campaign_id: UUID) -> Json:
        """Whether it dials, and why not."""
        campaign = self._store.campaigns.get(campaign_id, caller.owner_key)
        there = self._sound_files.are_there(campaign.sound_key)
        why = report.explain(self._store, campaign, self._clock.utcnow(), sound_there=there)
        return present.why(dialing=why.dialing, reasons=why.reasons)

    def list_calls(
        self, caller: Caller, campaign_id: UUID, disposition: str | None, limit: int, after: str | None
    ) -> Json:
        """The finished calls of a campaign."""
        campaign = self._store.campaigns.get(campaign_id, caller.owner_key)
        found = self._store.calls.page(campaign.key, disposition=disposition, limit=limit, after=after)
        return present.page(found, present.call)

    def read_report(self, caller: Caller, campaign_id: UUID) -> Json:
        """What became of a campaign."""
        campaign = self._store.campaigns.get(campaign_id, caller.owner_key)
        counts = self._store.campaigns.progress(campaign.key).counts
        figures = self._store.calls.report(campaign.key)
        return present_report(campaign, counts, figures, self._store.calls.keys(campaign.key))

    # -- parts of the above

    def _changed_campaign(self, caller: Caller, campaign_id: UUID, action: str, **details: object) -> Json:
        self._audit(caller, action, campaign_id, **details)
        return self.read_campaign(caller, campaign_id)

    def _present_campaign(self, campaign: Campaign, progress: CampaignProgress) -> Json:
        return present.campaign(campaign, progress, estimate_eta_s(campaign, progress, self._clock.utcnow()))

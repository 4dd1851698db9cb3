"""Campaigns: what they are told, their states, their counts."""

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, TypedDict, Unpack
from uuid import UUID

from sqlalchemy import Connection, Table, bindparam, delete, func, insert, select, update

from autodialer.clock import Clock
from autodialer.errors import Conflict, Invalid, NotFound, Unavailable
from autodialer.model import (
    CallingWindow,
    Campaign,
    CampaignState,
    JobState,
    KeyAction,
    Only,
    People,
    RetryRule,
)
from autodialer.model.diary import DiaryEvent
from autodialer.model.slices import only_as_json
from autodialer.store.campaigns.changes import changes_between
from autodialer.store.campaigns.cloning import check_may_follow, clone, follow
from autodialer.store.campaigns.diary import write_line
from autodialer.store.campaigns.own_numbers import add_subscribers
from autodialer.store.campaigns.progress import CampaignProgress, progress_by_key, total_of
from autodialer.store.campaigns.rows import (
    add_trunks,
    campaigns_from,
    holidays_to,
    retry_to,
    select_campaigns,
    window_to,
)
from autodialer.store.campaigns.sample_call import create_sample_call, trunk_of_call
from autodialer.store.campaigns.stopping import cancel_queued
from autodialer.store.campaigns.tables import campaigns
from autodialer.store.live.tables import commands
from autodialer.store.queue.tables import call_jobs
from autodialer.store.setup.callbases import NewSubscriber
from autodialer.store.setup.tables import callbases, sounds, trunks
from autodialer.store.sql.column_types import new_id
from autodialer.store.sql.engine import AnyRow, Database
from autodialer.store.sql.filtering import ALL, Narrowed, narrow
from autodialer.store.sql.owned import has_owner, not_deleted, owned_by
from autodialer.store.sql.paging import DEFAULT_LIMIT, Page, fetch_page
from autodialer.store.sql.transitions import is_one_of
from autodialer.store.webhooks.tables import webhooks

logger = logging.getLogger(__name__)

NAME_LENGTH = 200
ENDED_STATES = (CampaignState.FINISHED, CampaignState.STOPPED)
GO_ON = "Clone it to call again: POST .../clone, with only unreached for the people it did not reach."
"""The way out of an ended campaign."""
_SUFFIXES = {People.ALL: "copy", People.UNREACHED: "unreached"}
"""Behind the name of a clone."""


class CampaignRules(TypedDict, total=False):
    """What a user may say of a campaign; the meanings are those of autodialer.model.Campaign."""

    caller_id: str | None
    max_channels: int | None
    cps: float | None
    ring_timeout_s: float
    max_call_s: float
    lead_in_ms: int | None
    max_attempts: int
    min_played_s: float | None
    cap_day: int | None
    cap_week: int | None
    dial_doubtful: bool
    retry: Mapping[str, RetryRule]
    keys: Mapping[str, KeyAction]
    transfer_to: str | None
    after_failed_transfer: str
    key_wait_s: float | None
    window: CallingWindow | None
    holidays: Sequence[date]
    starts_at: datetime | None
    ends_at: datetime | None
    pause_after: int | None


DEFAULTS: CampaignRules = {
    "caller_id": None,
    "max_channels": None,
    "cps": None,
    "ring_timeout_s": 40.0,
    "max_call_s": 600.0,
    "lead_in_ms": None,
    "max_attempts": 3,
    "min_played_s": None,
    "cap_day": None,
    "cap_week": None,
    "dial_doubtful": False,
    "retry": {},
    "keys": {},
    "transfer_to": None,
    "after_failed_transfer": "continue",
    "key_wait_s": None,
    "window": None,
    "holidays": (),
    "starts_at": None,
    "ends_at": None,
    "pause_after": None,
}


class Campaigns:
    """The campaigns."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def create(
        self,
        owner_key: int,
        *,
        name: str,
        trunk_keys: Sequence[int],
        sound_key: int,
        callbase_key: int,
        follows: Campaign | None = None,
        only: Only = People.ALL,
        by: str | None = None,
        **rules: Unpack[CampaignRules],
    ) -> Campaign:
        """A new campaign in state `draft`; with `follows` only for those of that campaign's people, on its callbase.

        `by` is the login of who wants it, here and below, for the diary.

        Raises Invalid when what it needs has been deleted, Conflict as `clone`.
        """
        values: dict[str, Any] = _stored({**DEFAULTS, **rules})
        values |= {"id": new_id(), "owner_key": owner_key, "created_at": self._clock.utcnow()}
        values |= {"name": name, "sound_key": sound_key, "callbase_key": callbase_key}
        with self._database.write() as connection:
            missing = _what_is_missing(connection, trunk_keys, sound_key, callbase_key)
            if missing is not None:
                raise Invalid("There is no such object any more.", field=missing)
            key = connection.execute(insert(campaigns).values(values).returning(campaigns.c.key)).scalar_one()
            add_trunks(connection, key, trunk_keys)
            if follows is not None:
                origin = _fetch_by_key(connection, follows.key)
                check_may_follow(origin, only)
                follow(connection, key, origin, only)
            self._tell_made(connection, key, by, follows, only)
            return _fetch_by_key(connection, key)

    def add_subscribers(self, campaign_id: UUID, owner_key: int | None, rows: Sequence[NewSubscriber]) -> int:
        """Add at most 500 to its callbase; how many were new. A running campaign calls them.

        Raises NotFound, Conflict.
        """
        with self._database.write() as connection:
            return add_subscribers(connection, _fetch(connection, campaign_id, owner_key), rows)

    def create_sample_call(
        self,
        owner_key: int,
        *,
        trunk_key: int,
        sound_key: int,
        number: str,
        name: str | None = None,
        caller_id: str | None = None,
        ring_timeout_s: float = 40.0,
        max_call_s: float = 600.0,
    ) -> UUID:
        """Queue one call to `number`, dialled as written, at once; returns the public id of the call."""
        return create_sample_call(
            self._database,
            self._clock,
            owner_key,
            trunk_key=trunk_key,
            sound_key=sound_key,
            number=number,
            name=name,
            caller_id=caller_id,
            ring_timeout_s=ring_timeout_s,
            max_call_s=max_call_s,
        )

    def trunk_of_call(self, call_id: UUID) -> UUID | None:
        """The trunk of a call that `create_sample_call` has made; None: it is not kept any more."""
        with self._database.read() as connection:
            return trunk_of_call(connection, call_id)

    def get(self, campaign_id: UUID, owner_key: int | None) -> Campaign:
        """Raises NotFound."""
        with self._database.read() as connection:
            return _fetch(connection, campaign_id, owner_key)

    def by_key(self, key: int) -> Campaign:
        """Raises NotFound."""
        with self._database.read() as connection:
            return _fetch_by_key(connection, key)

    def page(
        self,
        owner_key: int | None,
        wanted: Narrowed = ALL,
        *,
        archived: bool = False,
        limit: int = DEFAULT_LIMIT,
        after: str | None = None,
    ) -> Page[Campaign]:
        """The campaigns a user sees; with `archived` those that are archived too."""
        query = owned_by(select_campaigns().where(~campaigns.c.hidden, not_deleted(campaigns)), campaigns, owner_key)
        query = narrow(query, campaigns, wanted)
        if not archived:
            query = query.where(campaigns.c.archived_at.is_(None))
        with self._database.read() as connection:
            rows, cursor = fetch_page(connection, query, campaigns.c.key, lambda row: row, limit=limit, after=after)
            return campaigns_from(connection, rows), cursor

    def update(
        self, campaign_id: UUID, owner_key: int | None, *, by: str | None = None, **rules: Unpack[CampaignRules]
    ) -> Campaign:
        """Change the rules; a running campaign goes by them at once, calls under way by those of their start.

        Raises NotFound, Conflict once it has ended: past its `ends_at` its queue is gone, though calls may be up.
        """
        values = _stored(rules)
        with self._database.write() as connection:
            campaign = _fetch(connection, campaign_id, owner_key)
            if campaign.state in ENDED_STATES:
                raise Conflict(f"{told_ended(campaign)}; its rules cannot be changed. {GO_ON}")
            if campaign.state is CampaignState.RUNNING and _is_over(campaign, self._clock.utcnow()):
                raise Conflict("The campaign has come to its end, its last calls are under way; clone it to go on.")
            _check_pause_ahead(campaign, rules.get("pause_after"))
            if values:
                connection.execute(update(campaigns).where(campaigns.c.key == campaign.key).values(values))
            changed = _fetch_by_key(connection, campaign.key)
            if changes := changes_between(campaign, changed, list(rules)):
                self._tell(connection, campaign.key, DiaryEvent.CHANGED, by, changes=changes)
            return changed

    def start(self, campaign_id: UUID, owner_key: int | None, *, by: str | None = None) -> Campaign:
        """From draft to running; `by` is the login of who wants it, as below. Raises NotFound, Conflict."""
        with self._database.write() as connection:
            campaign = _fetch(connection, campaign_id, owner_key)
            _check_state(campaign, "started", CampaignState.DRAFT)
            _check_all_there(connection, campaign)
            now = self._clock.utcnow()
            _check_not_over(campaign, now)
            self._tell(connection, campaign.key, DiaryEvent.STARTED, by)
            return self._move(connection, campaign, CampaignState.RUNNING, by, started_at=now)

    def pause(self, campaign_id: UUID, owner_key: int | None, *, by: str | None = None) -> Campaign:
        """No new calls; live ones end by themselves. Raises NotFound, Conflict."""
        with self._database.write() as connection:
            campaign = _fetch(connection, campaign_id, owner_key)
            _check_state(campaign, "paused", CampaignState.RUNNING)
            self._tell(connection, campaign.key, DiaryEvent.PAUSED, by)
            return self._move(connection, campaign, CampaignState.PAUSED, by)

    def resume(self, campaign_id: UUID, owner_key: int | None, *, by: str | None = None) -> Campaign:
        """From paused to running; where it has come to its `pause_after`, with all the rest.

        Raises NotFound, Conflict.
        """
        with self._database.write() as connection:
            campaign = _fetch(connection, campaign_id, owner_key)
            _check_state(campaign, "resumed", CampaignState.PAUSED)
            self._tell(connection, campaign.key, DiaryEvent.RESUMED, by)
            passed = {"pause_after": None} if campaign.has_come_to_pause else {}
            return self._move(connection, campaign, CampaignState.RUNNING, by, **passed)

    def stop(
        self,
        campaign_id: UUID,
        owner_key: int | None,
        *,
        hangup: bool,
        by: str | None = None,
        record: Callable[[], object] = lambda: None,
    ) -> Campaign:
        """For good: what is queued is cancelled. Live calls end by themselves, or at once with `hangup`.

        `record` writes the audit, in the transaction that stops. Raises NotFound, Conflict.
        """
        now = self._clock.utcnow()
        with self._database.write() as connection:
            campaign = _fetch(connection, campaign_id, owner_key)
            _check_state(campaign, "stopped", CampaignState.RUNNING, CampaignState.PAUSED)
            self._tell(connection, campaign.key, DiaryEvent.STOPPED, by, hangup=hangup)
            stopped = self._move(
                connection,
                campaign,
                CampaignState.STOPPED,
                by,
                finished_at=now,
                final_total=total_of(connection, campaign.key),
            )
            if hangup:
                command = {"kind": "hangup_campaign", "campaign_key": campaign.key, "created_at": now}
                connection.execute(insert(commands).values(command))
            record()
        try:
            # Nothing of a stopped campaign is claimed, so the jobs need not go in the same transaction.
            cancel_queued(self._database, campaign.key)
        except Unavailable as exc:
            # It is stopped anyway; the dialer cancels what a stopped campaign still has in the queue.
            logger.warning("campaign %s is stopped, the dialer will cancel its queue: %s", campaign.id, exc)
        return stopped

    def clone(
        self, campaign_id: UUID, owner_key: int | None, *, only: Only = People.ALL, by: str | None = None
    ) -> Campaign:
        """A draft of the same rules for everybody or for some of its people; `Slices` has to find those of a slice.

        Raises NotFound; Conflict while a campaign of which only some are wanted has not ended, and when what it needs
        has been deleted.
        """
        with self._database.write() as connection:
            campaign = _fetch(connection, campaign_id, owner_key)
            check_may_follow(campaign, only)
            _check_all_there(connection, campaign)
            name = f"{campaign.name} ({_SUFFIXES[only] if isinstance(only, People) else 'follow-up'})"
            now = self._clock.utcnow()
            key = clone(connection, campaign, name=name[:NAME_LENGTH], only=only, now=now)
            self._tell_made(connection, key, by, campaign, only)
            return _fetch_by_key(connection, key)

    def archive(self, campaign_id: UUID, owner_key: int | None, *, by: str | None = None) -> Campaign:
        """Lists leave it out unless they are asked for it. Raises NotFound, Conflict while it runs or is paused."""
        with self._database.write() as connection:
            campaign = _fetch(connection, campaign_id, owner_key)
            _check_not_under_way(connection, campaign, "archived")
            return self._archived(connection, campaign, campaign.archived_at or self._clock.utcnow(), by)

    def unarchive(self, campaign_id: UUID, owner_key: int | None, *, by: str | None = None) -> Campaign:
        """Lists show it again. Raises NotFound."""
        with self._database.write() as connection:
            return self._archived(connection, _fetch(connection, campaign_id, owner_key), None, by)

    def delete(self, campaign_id: UUID, owner_key: int | None) -> Campaign:
        """It disappears with its calls, their traces and its figures; returns what it was.

        This only marks it, which hides all of it at once; `Clearing` then takes a million rows away bit by bit. What
        limits calls to people stays: the DNC list knows no campaign, and calls that a cap may still count are cleared
        when it does not any more. Raises NotFound, Conflict while it runs or is paused or has calls under way.
        """
        with self._database.write() as connection:
            campaign = _fetch(connection, campaign_id, owner_key)
            _check_not_under_way(connection, campaign, "deleted")
            gone = update(campaigns).where(campaigns.c.key == campaign.key).values(deleted_at=self._clock.utcnow())
            connection.execute(gone)
            connection.execute(delete(webhooks).where(webhooks.c.campaign_key == campaign.key))
            return campaign

    def progress(self, campaign_key: int) -> CampaignProgress:
        """How far it is. Raises NotFound."""
        found = self.progress_of_all([campaign_key])
        if campaign_key not in found:
            raise NotFound
        return found[campaign_key]

    def progress_of_all(self, campaign_keys: Sequence[int]) -> dict[int, CampaignProgress]:
        """How far each of them is, by its key."""
        with self._database.read() as connection:
            return progress_by_key(connection, campaign_keys)

    def _tell(self, connection: Connection, key: int, event: DiaryEvent, by: str | None, **details: Any) -> None:
        write_line(connection, key, event, self._clock.utcnow(), by=by, **details)

    def _tell_made(self, connection: Connection, key: int, by: str | None, origin: Campaign | None, only: Only) -> None:
        details = {"of": str(origin.id), "only": only_as_json(only)} if origin else {}
        self._tell(connection, key, DiaryEvent.CREATED, by, **details)

    def _archived(self, connection: Connection, campaign: Campaign, since: datetime | None, by: str | None) -> Campaign:
        if since != campaign.archived_at:
            self._tell(connection, campaign.key, DiaryEvent.ARCHIVED if since else DiaryEvent.UNARCHIVED, by)
        connection.execute(update(campaigns).where(campaigns.c.key == campaign.key).values(archived_at=since))
        return _fetch_by_key(connection, campaign.key)

    def _move(
        self, connection: Connection, campaign: Campaign, state: CampaignState, by: str | None, **values: Any
    ) -> Campaign:
        values |= {"state": state.value, "moved_at": self._clock.utcnow(), "moved_by": by}
        change = update(campaigns).where(campaigns.c.key == campaign.key).values(values)
        connection.execute(change)
        return _fetch_by_key(connection, campaign.key)


def _stored(rules: Mapping[str, Any]) -> dict[str, Any]:
    """Rules as the columns keep them."""
    values = dict(rules)
    for name, column, turn in (
        ("retry", "retry", retry_to),
        ("window", "calling_window", window_to),
        ("holidays", "holidays", holidays_to),
    ):
        if name in values:
            values[column] = turn(values.pop(name))
    return values


_THERE = select_campaigns().where(campaigns.c.id == bindparam("wanted"), not_deleted(campaigns))
_BY_ID = _THERE.where(has_owner(campaigns))
_BY_ID_OF_OWNER = _THERE.where(campaigns.c.owner_key == bindparam("owner_key"))
_BY_KEY = select_campaigns().where(campaigns.c.key == bindparam("wanted"))


def _fetch(connection: Connection, campaign_id: UUID, owner_key: int | None) -> Campaign:
    query = _BY_ID if owner_key is None else _BY_ID_OF_OWNER
    return _only(connection, connection.execute(query, {"wanted": campaign_id, "owner_key": owner_key}).all())


def _fetch_by_key(connection: Connection, key: int) -> Campaign:
    return _only(connection, connection.execute(_BY_KEY, {"wanted": key}).all())


def _only(connection: Connection, rows: Sequence[AnyRow]) -> Campaign:
    if not rows:
        raise NotFound
    return campaigns_from(connection, rows)[0]


def _check_state(campaign: Campaign, deed: str, *allowed: CampaignState) -> None:
    if campaign.state in allowed:
        return
    if campaign.state in ENDED_STATES:
        raise Conflict(f"{told_ended(campaign)}; it cannot be {deed}. {GO_ON}")
    words = " or ".join(allowed)
    raise Conflict(f"The campaign is {campaign.state}; only a {words} campaign can be {deed}.")


def told_ended(campaign: Campaign) -> str:
    """What an ended campaign is and since when, and which user stopped it."""
    when = f" at {campaign.finished_at:%Y-%m-%d %H:%M:%S} UTC" if campaign.finished_at else ""
    if campaign.state is CampaignState.STOPPED:
        by = f" by {campaign.moved_by}" if campaign.moved_by else ""
        return f"The campaign was stopped for good{by}{when}"
    return f"The campaign finished{when}"


def _check_not_under_way(connection: Connection, campaign: Campaign, deed: str) -> None:
    if campaign.state in (CampaignState.RUNNING, CampaignState.PAUSED):
        raise Conflict(f"The campaign is {campaign.state} and cannot be {deed}; stop it first: POST .../stop.")
    dialing = is_one_of(call_jobs.c.state, JobState.DIALING)
    query = select(func.count()).where(call_jobs.c.campaign_key == campaign.key, dialing)
    if count := connection.execute(query).scalar_one():
        raise Conflict(
            f"Calls of the campaign are still under way ({count}) and it cannot be {deed}; let them end, or end them: "
            "POST /srv1/calls/{id}/hangup."
        )


def _check_all_there(connection: Connection, campaign: Campaign) -> None:
    missing = _what_is_missing(connection, campaign.trunk_keys, campaign.sound_key, campaign.callbase_key)
    if missing is not None:
        raise Conflict("What it needs has been deleted; make a new campaign.", field=missing)


def _check_pause_ahead(campaign: Campaign, pause_after: int | None) -> None:
    """The number counts from the campaign's first person on, so a number that is behind cannot be meant.

    The number that has just been come to may be said again, by a client that sends all it has read.
    """
    if pause_after is None or pause_after > campaign.people_called or pause_after == campaign.pause_after:
        return
    raise Conflict(
        f"{campaign.people_called} people have been called already, so it cannot pause after {pause_after}. "
        f"pause_after counts all of them: say more than {campaign.people_called}, or null for no pause.",
        field="pause_after",
    )


def _is_over(campaign: Campaign, now: datetime) -> bool:
    return campaign.ends_at is not None and campaign.ends_at <= now


def _check_not_over(campaign: Campaign, now: datetime) -> None:
    """It would end without a call. Such a draft comes of cloning, or of waiting too long."""
    if _is_over(campaign, now):
        message = f"Its end has passed ({campaign.ends_at:%Y-%m-%d %H:%M:%S} UTC); set another ends_at, or null, first."
        raise Conflict(message, field="ends_at")


def _what_is_missing(
    connection: Connection, trunk_keys: Sequence[int], sound_key: int, callbase_key: int
) -> str | None:
    """The API's name of the field whose object does not exist (or no longer); None when all objects exist."""
    needed: list[tuple[str, Table, Sequence[int]]] = [
        ("trunk_ids", trunks, trunk_keys),
        ("sound_id", sounds, [sound_key]),
        ("callbase_id", callbases, [callbase_key]),
    ]
    for field, table, keys in needed:
        there = select(func.count()).where(table.c.key.in_(list(keys)), table.c.deleted_at.is_(None))
        if not keys or connection.execute(there).scalar_one() != len(set(keys)):
            return field
    return None

"""Campaigns: what they are told, their states, their counts."""

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, TypedDict, Unpack
from uuid import UUID

from sqlalchemy import Connection, Table, bindparam, func, insert, select, update

from autodialer.clock import Clock
from autodialer.errors import Conflict, Invalid, NotFound, Unavailable
from autodialer.model import (
    CAMPAIGN_TRANSITIONS,
    CallingWindow,
    Campaign,
    CampaignState,
    KeyAction,
    RetryRule,
)
from autodialer.store.campaigns.cloning import clone
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
from autodialer.store.setup.callbases import NewSubscriber
from autodialer.store.setup.tables import callbases, sounds, trunks
from autodialer.store.sql.column_types import new_id
from autodialer.store.sql.engine import AnyRow, Database
from autodialer.store.sql.filtering import ALL, Narrowed, narrow
from autodialer.store.sql.owned import owned_by
from autodialer.store.sql.paging import DEFAULT_LIMIT, Page, fetch_page

logger = logging.getLogger(__name__)

NAME_LENGTH = 200
ENDED_STATES = (CampaignState.FINISHED, CampaignState.STOPPED)


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
        **rules: Unpack[CampaignRules],
    ) -> Campaign:
        """A new campaign in state `draft`. Raises Invalid when what it needs has been deleted."""
        values: dict[str, Any] = _stored({**DEFAULTS, **rules})
        values |= {"id": new_id(), "owner_key": owner_key, "created_at": self._clock.utcnow()}
        values |= {"name": name, "sound_key": sound_key, "callbase_key": callbase_key}
        with self._database.write() as connection:
            missing = _what_is_missing(connection, trunk_keys, sound_key, callbase_key)
            if missing is not None:
                raise Invalid("There is no such object any more.", field=missing)
            key = connection.execute(insert(campaigns).values(values).returning(campaigns.c.key)).scalar_one()
            add_trunks(connection, key, trunk_keys)
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
        self, owner_key: int | None, wanted: Narrowed = ALL, *, limit: int = DEFAULT_LIMIT, after: str | None = None
    ) -> Page[Campaign]:
        """The campaigns a user sees."""
        query = owned_by(select_campaigns().where(~campaigns.c.hidden), campaigns, owner_key)
        query = narrow(query, campaigns, wanted)
        with self._database.read() as connection:
            rows, cursor = fetch_page(connection, query, campaigns.c.key, lambda row: row, limit=limit, after=after)
            return campaigns_from(connection, rows), cursor

    def update(self, campaign_id: UUID, owner_key: int | None, **rules: Unpack[CampaignRules]) -> Campaign:
        """Change the rules; a running campaign goes by them at once, calls under way by those of their start.

        Raises NotFound, Conflict once it has ended: past its `ends_at` its queue is gone, though calls may be up.
        """
        values = _stored(rules)
        with self._database.write() as connection:
            campaign = _fetch(connection, campaign_id, owner_key)
            if campaign.state in ENDED_STATES:
                raise Conflict(f"The campaign is {campaign.state} and cannot be changed.")
            if campaign.state is CampaignState.RUNNING and _is_over(campaign, self._clock.utcnow()):
                raise Conflict("The campaign has come to its end, its last calls are under way; clone it to go on.")
            if values:
                connection.execute(update(campaigns).where(campaigns.c.key == campaign.key).values(values))
            return _fetch_by_key(connection, campaign.key)

    def start(self, campaign_id: UUID, owner_key: int | None, *, by: str | None = None) -> Campaign:
        """From draft to running; `by` is the login of who wants it, as below. Raises NotFound, Conflict."""
        with self._database.write() as connection:
            campaign = _fetch(connection, campaign_id, owner_key)
            _check_state(campaign, "started", CampaignState.DRAFT)
            _check_all_there(connection, campaign)
            now = self._clock.utcnow()
            _check_not_over(campaign, now)
            return self._move(connection, campaign, CampaignState.RUNNING, by, started_at=now)

    def pause(self, campaign_id: UUID, owner_key: int | None, *, by: str | None = None) -> Campaign:
        """No new calls; live ones end by themselves. Raises NotFound, Conflict."""
        with self._database.write() as connection:
            campaign = _fetch(connection, campaign_id, owner_key)
            _check_state(campaign, "paused", CampaignState.RUNNING)
            return self._move(connection, campaign, CampaignState.PAUSED, by)

    def resume(self, campaign_id: UUID, owner_key: int | None, *, by: str | None = None) -> Campaign:
        """From paused to running. Raises NotFound, Conflict."""
        with self._database.write() as connection:
            campaign = _fetch(connection, campaign_id, owner_key)
            _check_state(campaign, "resumed", CampaignState.PAUSED)
            return self._move(connection, campaign, CampaignState.RUNNING, by)

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

    def clone(self, campaign_id: UUID, owner_key: int | None, *, only_unreached: bool) -> Campaign:
        """A draft of the same rules for everybody, or for those that neither the campaign nor its origins reached.

        Raises NotFound; Conflict while a campaign whose unreached subscribers are wanted has not ended, and when what
        it needs has been deleted.
        """
        with self._database.write() as connection:
            campaign = _fetch(connection, campaign_id, owner_key)
            if only_unreached and campaign.state not in ENDED_STATES:
                raise Conflict(
                    f"The campaign is {campaign.state}; the subscribers it did not reach are known once it has ended."
                )
            _check_all_there(connection, campaign)
            name = f"{campaign.name} (unreached)" if only_unreached else f"{campaign.name} (copy)"
            now = self._clock.utcnow()
            key = clone(connection, campaign, name=name[:NAME_LENGTH], only_unreached=only_unreached, now=now)
            return _fetch_by_key(connection, key)

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


_BY_ID = select_campaigns().where(campaigns.c.id == bindparam("wanted"))
_BY_ID_OF_OWNER = _BY_ID.where(campaigns.c.owner_key == bindparam("owner_key"))
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
    if campaign.state not in allowed:
        words = " or ".join(allowed)
        hint = "" if CAMPAIGN_TRANSITIONS[campaign.state] else "; make a new one"
        raise Conflict(f"The campaign is {campaign.state}; only a {words} campaign can be {deed}{hint}.")


def _check_all_there(connection: Connection, campaign: Campaign) -> None:
    missing = _what_is_missing(connection, campaign.trunk_keys, campaign.sound_key, campaign.callbase_key)
    if missing is not None:
        raise Conflict("What it needs has been deleted; make a new campaign.", field=missing)


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

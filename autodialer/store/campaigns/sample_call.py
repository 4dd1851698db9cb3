"""A sample call: a hidden campaign of one subscriber, so that it takes the same way as every other call."""

from typing import Any
from uuid import UUID

from sqlalchemy import Connection, insert, select

from autodialer.clock import Clock
from autodialer.model import CampaignState
from autodialer.store.campaigns.rows import add_trunks
from autodialer.store.campaigns.tables import campaign_subscribers, campaign_trunks, campaigns
from autodialer.store.queue.tables import call_jobs
from autodialer.store.setup.callbases import NewSubscriber, insert_subscribers
from autodialer.store.setup.tables import callbases, subscribers, trunks
from autodialer.store.sql.column_types import new_id
from autodialer.store.sql.engine import Database
from autodialer.store.sql.transitions import CallbaseState

NAME = "sample call"
ONE_CALL = {
    "name": NAME,
    "state": CampaignState.RUNNING.value,
    "max_channels": 1,
    "cps": 1.0,
    "lead_in_ms": None,
    "max_attempts": 1,
    "hidden": True,
}
"""What every such campaign has."""


def create_sample_call(
    database: Database,
    clock: Clock,
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
    """Queue one call to `number`, of the person `name`, at once; returns the public id of the call."""
    now = clock.utcnow()
    call_id = new_id()
    values: dict[str, Any] = {
        "owner_key": owner_key,
        "sound_key": sound_key,
        "caller_id": caller_id,
        "ring_timeout_s": ring_timeout_s,
        "max_call_s": max_call_s,
        "created_at": now,
        "started_at": now,
    }
    with database.write() as connection:
        callbase_key, subscriber_key = _hidden_callbase(
            connection, owner_key, NewSubscriber(number=number, name=name), clock
        )
        values |= {"id": new_id(), "callbase_key": callbase_key, "next_subscriber_key": subscriber_key}
        insert_it = insert(campaigns).values({**ONE_CALL, **values}).returning(campaigns.c.key)
        campaign_key = connection.execute(insert_it).scalar_one()
        add_trunks(connection, campaign_key, [trunk_key])
        both = {"campaign_key": campaign_key, "subscriber_key": subscriber_key}
        connection.execute(insert(campaign_subscribers).values(both))
        connection.execute(insert(call_jobs).values(**both, call_id=call_id, not_before=now))
    return call_id


def _hidden_callbase(connection: Connection, owner_key: int, person: NewSubscriber, clock: Clock) -> tuple[int, int]:
    values = {
        "id": new_id(),
        "owner_key": owner_key,
        "name": NAME,
        "region": "raw",
        "state": CallbaseState.READY.value,
        "rows": 1,
        "rows_done": 1,
        "imported": 1,
        "hidden": True,
        "created_at": clock.utcnow(),
    }
    callbase_key: int = connection.execute(insert(callbases).values(values).returning(callbases.c.key)).scalar_one()
    insert_subscribers(connection, callbase_key, [person])
    query = select(subscribers.c.key).where(subscribers.c.callbase_key == callbase_key)
    return callbase_key, connection.execute(query).scalar_one()


def trunk_of_call(connection: Connection, call_id: UUID) -> UUID | None:
    """The trunk that such a call is placed over; None: its campaign is not kept any more."""
    query = (
        select(trunks.c.id)
        .join(campaign_trunks, campaign_trunks.c.trunk_key == trunks.c.key)
        .join(call_jobs, call_jobs.c.campaign_key == campaign_trunks.c.campaign_key)
        .where(call_jobs.c.call_id == call_id)
    )
    return connection.execute(query.limit(1)).scalar_one_or_none()

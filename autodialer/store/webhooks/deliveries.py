"""Deliveries: made from events, sent in the order of their lane, kept for a while."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, Select, and_, bindparam, delete, func, insert, literal_column, or_, select, update

from autodialer.errors import Conflict, NotFound
from autodialer.model.webhooks import WEBHOOK_TEST, Delivery, DeliveryState, Webhook
from autodialer.store.sql.batches import BATCH_ROWS, PAUSE_S
from autodialer.store.sql.column_types import new_id
from autodialer.store.sql.engine import AnyRow, Database, insert_into
from autodialer.store.sql.owned import owned_by
from autodialer.store.sql.paging import DEFAULT_LIMIT, Page, fetch_page
from autodialer.store.sql.transitions import is_one_of
from autodialer.store.webhooks.tables import TESTS, webhook_deliveries, webhook_lanes, webhooks

_STATE = webhook_deliveries.c.state
_WAITING = is_one_of(_STATE, DeliveryState.WAITING)


@dataclass(frozen=True, kw_only=True)
class NewDelivery:
    """An event that a webhook is to be told of."""

    webhook_key: int
    owner_key: int
    campaign_key: int
    kind: str
    object_key: int
    payload: Mapping[str, Any]
    at: datetime


class Lane(NamedTuple):
    """Deliveries of one webhook and campaign that wait: the first is sent, and then the next."""

    webhook_key: int
    campaign_key: int


@dataclass(frozen=True, kw_only=True)
class Tried:
    """The outcome of an attempt at a delivery."""

    delivery: Delivery
    state: DeliveryState
    """`waiting`: it is tried again at `retry_at`."""
    at: datetime
    status_code: int | None = None
    error: str | None = None
    retry_at: datetime | None = None


class Deliveries:
    """Those of all webhooks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, new: Sequence[NewDelivery], now: datetime) -> list[UUID]:
        """They wait from now on, behind those that wait already; returns their ids."""
        if not new:
            return []
        values = [{**vars(each), "id": new_id(), "state": DeliveryState.WAITING.value} for each in new]
        with self._database.write(durable=False) as connection:
            connection.execute(insert(webhook_deliveries), values)
            self._open(connection, {Lane(each.webhook_key, each.campaign_key) for each in new}, now)
        return [row["id"] for row in values]

    def add_test(self, webhook: Webhook, payload: Mapping[str, Any], now: datetime) -> UUID:
        """A sample for one webhook, whether it is active or not."""
        sample = NewDelivery(
            webhook_key=webhook.key,
            owner_key=webhook.owner_key,
            campaign_key=TESTS,
            kind=WEBHOOK_TEST,
            object_key=0,
            payload=payload,
            at=now,
        )
        return self.add([sample], now)[0]

    def due(self, now: datetime, limit: int, *, without: Sequence[int] = ()) -> list[Lane]:
        """Lanes of active webhooks, and of tests, whose turn has come; those that wait longest first.

        `without` are keys of webhooks that are not to be sent more just now.
        """
        sent = or_(webhooks.c.active, webhook_lanes.c.campaign_key == TESTS)
        query = (
            select(webhook_lanes.c.webhook_key, webhook_lanes.c.campaign_key)
            .join(webhooks, webhooks.c.key == webhook_lanes.c.webhook_key)
            .where(webhook_lanes.c.next_at <= now, sent, webhook_lanes.c.webhook_key.not_in(list(without)))
            .order_by(webhook_lanes.c.next_at)
            .limit(limit)
        )
        with self._database.read() as connection:
            return [Lane(*row) for row in connection.execute(query)]

    def waiting(self, lane: Lane, limit: int) -> list[Delivery]:
        """The first ones of a lane, in their order."""
        query = _SELECT.where(_of_lane(lane), _WAITING).order_by(webhook_deliveries.c.key).limit(limit)
        with self._database.read() as connection:
            return [_delivery_from(row) for row in connection.execute(query)]

    def record(self, lane: Lane, tried: Sequence[Tried], now: datetime) -> None:
        """Keep the outcomes, and when the lane's turn comes again."""
        next_at = tried[-1].retry_at if tried else None
        values = [
            {
                "of": each.delivery.key,
                "state": each.state.value,
                "first_at": each.delivery.first_at or each.at,
                "last_at": each.at,
                "retry_at": each.retry_at,
                "status_code": each.status_code,
                "error": each.error,
            }
            for each in tried
        ]
        with self._database.write(durable=False) as connection:
            if values:
                connection.execute(_RECORD, values)
            if next_at is None and not self._is_waiting(connection, lane):
                connection.execute(delete(webhook_lanes).where(_is_lane(lane)))
            else:
                connection.execute(update(webhook_lanes).where(_is_lane(lane)).values(next_at=next_at or now))

    def redeliver(self, delivery_id: UUID, owner_key: int | None, now: datetime) -> Delivery:
        """Send it once more, under the same id. Raises NotFound, Conflict while its webhook is off."""
        with self._database.write() as connection:
            row = _fetch(connection, delivery_id, owner_key)
            lane = Lane(row.webhook_key, row.campaign_key)
            if not row.active and row.campaign_key != TESTS:
                raise Conflict("Its webhook is switched off; switch it on first (active: true).")
            afresh = {"state": DeliveryState.WAITING.value, "attempts": 0, "first_at": None, "retry_at": None}
            connection.execute(update(webhook_deliveries).where(webhook_deliveries.c.key == row.key).values(afresh))
            self._open(connection, {lane}, now)
            connection.execute(update(webhook_lanes).where(_is_lane(lane)).values(next_at=now))
            return _delivery_from(_fetch(connection, delivery_id, owner_key))

    def get(self, delivery_id: UUID, owner_key: int | None) -> Delivery:
        """Raises NotFound."""
        with self._database.read() as connection:
            return _delivery_from(_fetch(connection, delivery_id, owner_key))

    def page(
        self,
        owner_key: int | None,
        *,
        webhook_key: int | None = None,
        state: DeliveryState | None = None,
        limit: int = DEFAULT_LIMIT,
        after: str | None = None,
    ) -> Page[Delivery]:
        """Those that a user sees, newest first; of one webhook or in one state only."""
        query = owned_by(_SELECT, webhook_deliveries, owner_key)
        if webhook_key is not None:
            query = query.where(webhook_deliveries.c.webhook_key == webhook_key)
        if state is not None:
            query = query.where(is_one_of(_STATE, state))
        if state not in (None, DeliveryState.DELIVERED):
            # In so many words, for the index that leaves out the many that were delivered.
            query = query.where(literal_column("'delivered'") != _STATE)
        with self._database.read() as connection:
            return fetch_page(
                connection, query, webhook_deliveries.c.key, _delivery_from, limit=limit, after=after, newest_first=True
            )

    def count_waiting(self) -> int:
        """How many wait, of all webhooks."""
        with self._database.read() as connection:
            return connection.execute(select(func.count()).select_from(webhook_deliveries).where(_WAITING)).scalar_one()

    def forget(self, before: datetime) -> int:
        """Delete those of what happened before then, and those whose webhook is gone; returns how many."""
        return self._forget_old(before) + self._forget_orphans()

    def _forget_old(self, before: datetime) -> int:
        deleted = 0
        while True:
            with self._database.read() as connection:
                rows = connection.execute(_OLDEST).all()
            # They are written in the order in which things happened, but for the seconds that an event may wait.
            old = [row.key for row in rows if row.at < before]
            if not old:
                return deleted
            deleted += self._delete(old)

    def _forget_orphans(self) -> int:
        deleted, webhook_key = 0, -1
        while True:
            with self._database.read() as connection:
                found = connection.execute(_NEXT_WEBHOOK, {"after": webhook_key}).scalar_one_or_none()
                if found is None:
                    return deleted
                gone = connection.execute(select(webhooks.c.key).where(webhooks.c.key == found)).first() is None
            webhook_key = found
            while gone:
                with self._database.read() as connection:
                    keys = connection.execute(_SOME_OF, {"of": webhook_key}).scalars().all()
                if not keys:
                    break
                deleted += self._delete(keys)

    def _delete(self, keys: Sequence[int]) -> int:
        with self._database.write(durable=False) as connection:
            connection.execute(delete(webhook_deliveries).where(webhook_deliveries.c.key.in_(keys)))
        time.sleep(PAUSE_S)
        return len(keys)

    def _open(self, connection: Connection, lanes: set[Lane], now: datetime) -> None:
        """A lane that is there keeps its turn: it may wait for its receiver."""
        values = [{**lane._asdict(), "next_at": now} for lane in lanes]
        statement = insert_into(self._database.dialect, webhook_lanes).values(values)
        connection.execute(statement.on_conflict_do_nothing())

    def _is_waiting(self, connection: Connection, lane: Lane) -> bool:
        query = select(webhook_deliveries.c.key).where(_of_lane(lane), _WAITING).limit(1)
        return connection.execute(query).first() is not None


_SELECT: Select[Any] = select(
    webhook_deliveries, webhooks.c.id.label("webhook_id"), webhooks.c.active.label("active")
).join(webhooks, webhooks.c.key == webhook_deliveries.c.webhook_key)
_RECORD = (
    update(webhook_deliveries)
    .where(webhook_deliveries.c.key == bindparam("of"))
    .values(
        state=bindparam("state"),
        attempts=webhook_deliveries.c.attempts + 1,
        first_at=bindparam("first_at"),
        last_at=bindparam("last_at"),
        retry_at=bindparam("retry_at"),
        status_code=bindparam("status_code"),
        error=bindparam("error"),
    )
)
_OLDEST = select(webhook_deliveries.c.key, webhook_deliveries.c.at).order_by(webhook_deliveries.c.key).limit(BATCH_ROWS)
_NEXT_WEBHOOK = (
    select(webhook_deliveries.c.webhook_key)
    .where(webhook_deliveries.c.webhook_key > bindparam("after"))
    .order_by(webhook_deliveries.c.webhook_key)
    .limit(1)
)
_SOME_OF = select(webhook_deliveries.c.key).where(webhook_deliveries.c.webhook_key == bindparam("of")).limit(BATCH_ROWS)


def _of_lane(lane: Lane) -> Any:
    return and_(
        webhook_deliveries.c.webhook_key == lane.webhook_key, webhook_deliveries.c.campaign_key == lane.campaign_key
    )


def _is_lane(lane: Lane) -> Any:
    return and_(webhook_lanes.c.webhook_key == lane.webhook_key, webhook_lanes.c.campaign_key == lane.campaign_key)


def _fetch(connection: Connection, delivery_id: UUID, owner_key: int | None) -> AnyRow:
    query = owned_by(_SELECT.where(webhook_deliveries.c.id == delivery_id), webhook_deliveries, owner_key)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFound
    return row


def _delivery_from(row: AnyRow) -> Delivery:
    return Delivery(
        key=row.key,
        id=row.id,
        webhook_key=row.webhook_key,
        webhook_id=row.webhook_id,
        kind=row.kind,
        campaign_key=row.campaign_key,
        object_key=row.object_key,
        payload=row.payload,
        at=row.at,
        state=DeliveryState(row.state),
        attempts=row.attempts,
        first_at=row.first_at,
        last_at=row.last_at,
        retry_at=row.retry_at,
        status_code=row.status_code,
        error=row.error,
    )

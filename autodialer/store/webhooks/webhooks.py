"""Webhooks; the keys of their signatures are encrypted at rest."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Select, and_, bindparam, delete, func, insert, literal, or_, select, update

from autodialer.clock import Clock
from autodialer.errors import Conflict, NotFound, SettingsError
from autodialer.model.webhooks import DeliveryState, EventKind, Webhook
from autodialer.store.campaigns.tables import campaigns
from autodialer.store.sql.column_types import UtcTime, new_id
from autodialer.store.sql.engine import AnyRow, Database
from autodialer.store.sql.owned import owned_by
from autodialer.store.sql.paging import DEFAULT_LIMIT, Page, fetch_page
from autodialer.store.sql.secrets import Secrets
from autodialer.store.sql.transitions import is_one_of
from autodialer.store.webhooks.tables import webhook_deliveries, webhook_lanes, webhooks

MOST_OF_AN_OWNER = 100
"""Each call looks through them; those of single campaigns do not count."""

_SELECT = select(webhooks, campaigns.c.id.label("campaign_id")).outerjoin(
    campaigns, campaigns.c.key == webhooks.c.campaign_key
)
_OF_NO_SINGLE_CALL = or_(campaigns.c.key.is_(None), ~campaigns.c.hidden)


@dataclass(frozen=True, kw_only=True)
class WebhookSettings:
    """What a user says of a webhook; the meanings are those of autodialer.model.webhooks.Webhook."""

    url: str
    events: Sequence[EventKind]
    format: str = "json"
    fields: dict[str, str] = field(default_factory=dict)
    active: bool = True


class Webhooks:
    """The webhooks."""

    def __init__(self, database: Database, secrets: Secrets, clock: Clock) -> None:
        self._database = database
        self._secrets = secrets
        self._clock = clock

    def create(
        self,
        owner_key: int,
        settings: WebhookSettings,
        *,
        secret: bytes,
        campaign_key: int | None = None,
        short: bool = False,
    ) -> Webhook:
        """A new one. Raises Conflict when the owner has enough."""
        webhook_id = new_id()
        values = _columns(settings) | {
            "id": webhook_id,
            "owner_key": owner_key,
            "campaign_key": campaign_key,
            "secret": self._secrets.encrypt(secret.hex(), context=webhook_id.bytes),
            "short": short,
            "created_at": self._clock.utcnow(),
        }
        of_all = (webhooks.c.owner_key == owner_key) & webhooks.c.campaign_key.is_(None)
        with self._database.write() as connection:
            if campaign_key is None:
                count = connection.execute(select(func.count()).select_from(webhooks).where(of_all)).scalar_one()
                if count >= MOST_OF_AN_OWNER:
                    raise Conflict(f"There are {count} webhooks already; delete one first.")
            connection.execute(insert(webhooks).values(values))
            return self._webhook_from(_fetch(connection, webhook_id, None))

    def get(self, webhook_id: UUID, owner_key: int | None) -> Webhook:
        """Raises NotFound."""
        with self._database.read() as connection:
            return self._webhook_from(_fetch(connection, webhook_id, owner_key))

    def by_key(self, key: int) -> Webhook | None:
        """None: it has been deleted."""
        with self._database.read() as connection:
            row = connection.execute(_SELECT.where(webhooks.c.key == key)).one_or_none()
        return None if row is None else self._webhook_from(row)

    def short_of(self, campaign_key: int) -> Webhook | None:
        """The `webhook_url` of a campaign; None without."""
        mine = (webhooks.c.campaign_key == campaign_key) & webhooks.c.short
        with self._database.read() as connection:
            row = connection.execute(_SELECT.where(mine).limit(1)).one_or_none()
        return None if row is None else self._webhook_from(row)

    def page(
        self,
        owner_key: int | None,
        *,
        campaign_key: int | None = None,
        limit: int = DEFAULT_LIMIT,
        after: str | None = None,
    ) -> Page[Webhook]:
        """Those that a user sees, or of these the ones of a campaign. Those of single calls are in no list."""
        query = owned_by(_SELECT, webhooks, owner_key).where(_OF_NO_SINGLE_CALL)
        if campaign_key is not None:
            query = query.where(webhooks.c.campaign_key == campaign_key)
        with self._database.read() as connection:
            return fetch_page(connection, query, webhooks.c.key, self._webhook_from, limit=limit, after=after)

    def update(self, webhook_id: UUID, owner_key: int | None, settings: WebhookSettings) -> Webhook:
        """Take over these settings. Switched on again it starts afresh, with what still waits. Raises NotFound."""
        with self._database.write() as connection:
            before = _fetch(connection, webhook_id, owner_key)
            values = _columns(settings)
            if settings.active and (not before.active or before.url != settings.url):
                values |= {"note": None, "failing_since": None}
                now = self._clock.utcnow()
                waiting = webhook_lanes.c.webhook_key == before.key
                connection.execute(update(webhook_lanes).where(waiting).values(next_at=now))
                # Of each lane only the first has been tried, while a million may wait behind it.
                firsts = select(_FIRST_WAITING).where(waiting)
                afresh = {"attempts": 0, "first_at": None, "retry_at": None}
                connection.execute(
                    update(webhook_deliveries).where(webhook_deliveries.c.key.in_(firsts)).values(afresh)
                )
            connection.execute(update(webhooks).where(webhooks.c.key == before.key).values(values))
            return self._webhook_from(_fetch(connection, webhook_id, owner_key))

    def delete(self, webhook_id: UUID, owner_key: int | None) -> None:
        """It is told nothing more; its deliveries are cleared away later. Raises NotFound."""
        with self._database.write() as connection:
            row = _fetch(connection, webhook_id, owner_key)
            connection.execute(delete(webhooks).where(webhooks.c.key == row.key))

    def wanting(self, kind: EventKind, owner_key: int, campaign_keys: Sequence[int]) -> list[AnyRow]:
        """Keys of the active ones that want such an event, of all that this owner has or of one of these campaigns."""
        with self._database.read() as connection:
            rows = connection.execute(_WANTING, {"owner": owner_key, "campaign_keys": list(campaign_keys)}).all()
        return [row for row in rows if kind in row.events.split()]

    def arrived(self, key: int) -> None:
        """A delivery has arrived."""
        failing = (webhooks.c.key == key) & webhooks.c.failing_since.is_not(None)
        with self._database.write(durable=False) as connection:
            connection.execute(update(webhooks).where(failing).values(failing_since=None, note=None))

    def failed(self, key: int, at: datetime, *, note: str, off: bool) -> None:
        """A delivery has failed at that time, for the reason in `note`; with `off` none is sent any more."""
        values: dict[str, Any] = {
            "note": note,
            "failing_since": func.coalesce(webhooks.c.failing_since, literal(at, UtcTime())),
        }
        if off:
            values["active"] = False
        with self._database.write(durable=False) as connection:
            connection.execute(update(webhooks).where(webhooks.c.key == key).values(values))

    def _webhook_from(self, row: AnyRow) -> Webhook:
        return Webhook(
            key=row.key,
            id=row.id,
            owner_key=row.owner_key,
            campaign_key=row.campaign_key,
            campaign_id=row.campaign_id,
            url=row.url,
            events=tuple(EventKind(word) for word in row.events.split()),
            secret=self._secret(row),
            format=row.format,
            fields=row.fields,
            active=row.active,
            short=row.short,
            note=row.note,
            failing_since=row.failing_since,
            created_at=row.created_at,
        )

    def _secret(self, row: AnyRow) -> bytes | None:
        try:
            return bytes.fromhex(self._secrets.decrypt(row.secret, context=row.id.bytes))
        except SettingsError:
            return None


def _columns(settings: WebhookSettings) -> dict[str, Any]:
    return {
        "url": settings.url,
        "events": " ".join(settings.events),
        "format": settings.format,
        "fields": settings.fields,
        "active": settings.active,
    }


def _fetch(connection: Connection, webhook_id: UUID, owner_key: int | None) -> AnyRow:
    query: Select[Any] = owned_by(_SELECT.where(webhooks.c.id == webhook_id), webhooks, owner_key)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFound
    return row


_FIRST_WAITING = (
    select(webhook_deliveries.c.key)
    .where(
        webhook_deliveries.c.webhook_key == webhook_lanes.c.webhook_key,
        webhook_deliveries.c.campaign_key == webhook_lanes.c.campaign_key,
        is_one_of(webhook_deliveries.c.state, DeliveryState.WAITING),
    )
    .order_by(webhook_deliveries.c.key)
    .limit(1)
    .correlate(webhook_lanes)
    .scalar_subquery()
)
_WANTING = select(webhooks.c.key, webhooks.c.owner_key, webhooks.c.campaign_key, webhooks.c.events).where(
    webhooks.c.active,
    or_(
        and_(webhooks.c.owner_key == bindparam("owner"), webhooks.c.campaign_key.is_(None)),
        webhooks.c.campaign_key.in_(bindparam("campaign_keys", expanding=True)),
    ),
)

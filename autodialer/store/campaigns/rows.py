"""From rows of campaigns to values of the model, and back."""

from collections.abc import Mapping, Sequence
from datetime import date, time
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Select, bindparam, insert, select

from autodialer.model import (
    CallingWindow,
    Campaign,
    CampaignState,
    KeyAction,
    RetryRule,
)
from autodialer.model.slices import Drawn, Only, only_as_json, only_from_json
from autodialer.store.campaigns.tables import campaign_trunks, campaigns
from autodialer.store.setup.tables import callbases, sounds, trunks
from autodialer.store.sql.engine import AnyRow
from autodialer.store.webhooks.tables import webhooks

# One among the columns, rather than a query more for every page of a list.
_WEBHOOK_URL = (
    select(webhooks.c.url)
    .where(webhooks.c.campaign_key == campaigns.c.key, webhooks.c.short)
    .limit(1)
    .correlate(campaigns)
    .scalar_subquery()
    .label("webhook_url")
)


def select_campaigns() -> Select[Any]:
    """The rows that `campaigns_from` takes."""
    return (
        select(
            campaigns,
            _WEBHOOK_URL,
            sounds.c.id.label("sound_id"),
            sounds.c.path.label("sound_path"),
            callbases.c.id.label("callbase_id"),
        )
        .join(sounds, sounds.c.key == campaigns.c.sound_key)
        .join(callbases, callbases.c.key == campaigns.c.callbase_key)
    )


def campaigns_from(connection: Connection, rows: Sequence[AnyRow]) -> list[Campaign]:
    """The values of rows of `select_campaigns`, in their order; one more query brings the trunks of all."""
    trunks_of = _trunks_of(connection, [row.key for row in rows])
    return [_campaign_from(row, trunks_of.get(row.key, [])) for row in rows]


_TRUNKS_OF = (
    select(campaign_trunks.c.campaign_key, trunks.c.key, trunks.c.id)
    .join(trunks, trunks.c.key == campaign_trunks.c.trunk_key)
    .where(campaign_trunks.c.campaign_key.in_(bindparam("campaign_keys", expanding=True)))
    .order_by(campaign_trunks.c.campaign_key, campaign_trunks.c.position)
)


def _trunks_of(connection: Connection, campaign_keys: Sequence[int]) -> dict[int, list[AnyRow]]:
    found: dict[int, list[AnyRow]] = {}
    for row in connection.execute(_TRUNKS_OF, {"campaign_keys": campaign_keys}):
        found.setdefault(row.campaign_key, []).append(row)
    return found


def _campaign_from(row: AnyRow, in_order: Sequence[AnyRow]) -> Campaign:
    return Campaign(
        key=row.key,
        id=row.id,
        owner_key=row.owner_key,
        name=row.name,
        state=CampaignState(row.state),
        trunk_keys=tuple(trunk.key for trunk in in_order),
        trunk_ids=tuple(trunk.id for trunk in in_order),
        sound_key=row.sound_key,
        sound_id=row.sound_id,
        sound_path=row.sound_path,
        callbase_key=row.callbase_key,
        callbase_id=row.callbase_id,
        caller_id=row.caller_id,
        max_channels=row.max_channels,
        cps=row.cps,
        ring_timeout_s=row.ring_timeout_s,
        max_call_s=row.max_call_s,
        lead_in_ms=row.lead_in_ms,
        max_attempts=row.max_attempts,
        min_played_s=row.min_played_s,
        cap_day=row.cap_day,
        cap_week=row.cap_week,
        dial_doubtful=row.dial_doubtful,
        retry=retry_from(row.retry),
        keys={digit: KeyAction(action) for digit, action in row.keys.items()},
        transfer_to=row.transfer_to,
        after_failed_transfer=row.after_failed_transfer,
        key_wait_s=row.key_wait_s,
        hidden=row.hidden,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        window=window_from(row.calling_window),
        holidays=holidays_from(row.holidays),
        starts_at=row.starts_at,
        ends_at=row.ends_at,
        moved_at=row.moved_at,
        moved_by=row.moved_by,
        archived_at=row.archived_at,
        pause_after=row.pause_after,
        people_called=row.people_called,
        drawn=_drawn_from(row),
        webhook_url=row.webhook_url,
    )


def _drawn_from(row: AnyRow) -> Drawn | None:
    if row.drawn_people is None:
        return None
    return Drawn(
        from_campaign_id=UUID(row.drawn_by["from_campaign_id"]),
        only=only_from_json(row.drawn_by["only"]),
        people=row.drawn_people,
        is_complete=row.drawn_up_to is None,
    )


def drawn_to(origin: Campaign, only: Only) -> dict[str, Any]:
    """The columns of a campaign whose people are still to be drawn."""
    said = {"from_campaign_id": str(origin.id), "only": only_as_json(only)}
    return {"drawn_from": origin.key, "drawn_by": said, "drawn_up_to": 0, "drawn_people": 0}


def retry_from(stored: Mapping[str, Any]) -> dict[str, RetryRule]:
    """Retry rules as the column `campaigns.retry` keeps them."""
    return {name: RetryRule(after_s=rule["after_s"], times=rule["times"]) for name, rule in stored.items()}


def retry_to(retry: Mapping[str, RetryRule]) -> dict[str, Any]:
    """The other way round."""
    return {name: {"after_s": rule.after_s, "times": rule.times} for name, rule in retry.items()}


def window_from(stored: Mapping[str, Any]) -> CallingWindow | None:
    """A calling window as the column `campaigns.calling_window` keeps it."""
    if not stored:
        return None
    return CallingWindow(
        start=time.fromisoformat(stored["start"]),
        end=time.fromisoformat(stored["end"]),
        days=tuple(stored["days"]),
        timezone=stored["timezone"],
        fallback_timezone=stored["fallback_timezone"],
    )


def window_to(window: CallingWindow | None) -> dict[str, Any]:
    """The other way round."""
    if window is None:
        return {}
    hours = {name: f"{getattr(window, name):%H:%M}" for name in ("start", "end")}
    zones = {"timezone": window.timezone, "fallback_timezone": window.fallback_timezone}
    return {**hours, "days": list(window.days), **zones}


def holidays_from(stored: Mapping[str, Any]) -> tuple[date, ...]:
    """Holidays as the column `campaigns.holidays` keeps them."""
    return tuple(date.fromisoformat(day) for day in stored.get("days", ()))


def holidays_to(holidays: Sequence[date]) -> dict[str, Any]:
    """The other way round."""
    return {"days": [day.isoformat() for day in holidays]} if holidays else {}


def add_trunks(connection: Connection, campaign_key: int, trunk_keys: Sequence[int]) -> None:
    """The trunks of a campaign, in order of preference."""
    values = [
        {"campaign_key": campaign_key, "position": position, "trunk_key": trunk_key}
        for position, trunk_key in enumerate(dict.fromkeys(trunk_keys))
    ]
    connection.execute(insert(campaign_trunks), values)

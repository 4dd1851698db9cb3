"""What receivers are told: the JSON of each event, and the names that a form may use of it."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from autodialer.model.webhooks import EventKind
from autodialer.store import AnyRow, CampaignProgress

Json = dict[str, Any]

_CALL_TIMES = ("invited_at", "ringing_at", "answered_at", "ended_at")
_CALL_VALUES = (
    "number",
    "attempt",
    "disposition",
    "cause",
    "sip_code",
    "sip_reason",
    "q850_cause",
    "message",
    "pdd_s",
    "duration_s",
    "billsec_s",
    "played_s",
    "played_share",
    "digits",
    "ended_by",
)
_CALL_NAMES = (
    "id",
    "campaign_id",
    "campaign",
    "subscriber_id",
    "name",
    "comment",
    "extra",
    "trunk_id",
    *_CALL_VALUES,
    *_CALL_TIMES,
    "next_at",
    "next_rule",
)
_IMPORT_COUNTS = ("rows", "imported", "duplicates", "rejected")
NAMES: Mapping[EventKind, Sequence[str]] = {
    EventKind.CALL_ENDED: _CALL_NAMES,
    EventKind.CAMPAIGN_STATE: ("id", "campaign", "state", "before", "by", "counts", "dispositions"),
    EventKind.TRUNK_STATE: ("id", "trunk", "state", "cause", "until"),
    EventKind.IMPORT_ENDED: ("id", "into", "name", "state", "error", *_IMPORT_COUNTS),
    EventKind.OPT_OUT: ("number", "call_id", "campaign_id", "campaign"),
    EventKind.CEILING_REACHED: ("id", "of", "name", "ceiling", "calls"),
}
"""Event -> the names of its data. A form may use them, and `type`, `timestamp` and `webhook_id` beside them."""


def envelope(kind: str, at: datetime, data: Mapping[str, Any]) -> Json:
    """The body of a delivery, before it is written as JSON or as a form."""
    return {"type": str(kind), "timestamp": moment(at), "data": dict(data)}


def moment(at: datetime | None) -> str | None:
    """RFC 3339 in UTC with milliseconds, as everywhere in the API."""
    if at is None:
        return None
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def call_data(row: AnyRow) -> Json:
    """A call that has ended, with its subscriber's name, comment and extra columns."""
    return {
        "id": str(row.id),
        "campaign_id": str(row.campaign_id),
        "campaign": row.campaign_name,
        "subscriber_id": _text(row.subscriber_id),
        "name": row.subscriber_name,
        "comment": row.subscriber_comment,
        "extra": dict(row.subscriber_extra or {}),
        "trunk_id": _text(row.trunk_id),
        **{name: getattr(row, name) for name in _CALL_VALUES},
        **{name: moment(getattr(row, name)) for name in _CALL_TIMES},
        "next_at": moment(row.next_at),
        "next_rule": row.next_rule,
    }


def campaign_data(row: AnyRow, progress: CampaignProgress, details: Mapping[str, Any]) -> Json:
    """A campaign that has come to another state."""
    return {
        "id": str(row.id),
        "campaign": row.name,
        "state": details["state"],
        "before": details["before"],
        "by": details.get("by"),
        "counts": dict(vars(progress.counts)),
        "dispositions": dict(progress.dispositions),
    }


def trunk_data(row: AnyRow, details: Mapping[str, Any]) -> Json:
    """A trunk that works no more, or again."""
    until = details.get("until")
    return {
        "id": str(row.id),
        "trunk": row.name,
        "state": details["state"],
        "cause": None if details["state"] == "working" else details.get("cause"),
        "until": moment(datetime.fromtimestamp(until / 1000, UTC)) if until else None,
    }


def import_data(row: AnyRow, details: Mapping[str, Any]) -> Json:
    """A table that has been read into a callbase or a stop list."""
    return {
        "id": str(row.id),
        "into": details["into"],
        "name": row.file if details["into"] == "dnc" else row.name,
        "state": row.state,
        "error": row.error,
        **{name: getattr(row, name) for name in _IMPORT_COUNTS},
    }


def ceiling_data(row: AnyRow) -> Json:
    """A user or trunk that calls nobody more on this day; from the audit's entry."""
    return {
        "id": str(row.object_id),
        "of": row.object_kind.removesuffix("s"),
        "name": row.details["name"],
        "ceiling": row.details["ceiling"],
        "calls": row.details["calls"],
    }


def opt_out_data(number: str, call_id: UUID, campaign: AnyRow | None) -> Json:
    """A person who asked during a call not to be called again."""
    return {
        "number": number,
        "call_id": str(call_id),
        "campaign_id": str(campaign.id) if campaign is not None else None,
        "campaign": campaign.name if campaign is not None else None,
    }


def _text(value: UUID | None) -> str | None:
    return None if value is None else str(value)


SAMPLE_DATA: Mapping[str, Any] = {
    "message": "This is a test; nothing happened.",
    "number": "+442079460123",
    "name": "Alice Sample",
    "disposition": "answered",
    "duration_s": 24.5,
    "played_s": 20.0,
    "campaign": "A test",
}
"""Of a test. The number is of a range that Ofcom keeps for drama: it belongs to nobody."""

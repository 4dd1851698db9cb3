"""The JSON of the API: one function a kind of object."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar
from uuid import UUID

from autodialer.model import (
    DEFAULT_RETRY,
    Callbase,
    CallOutcome,
    CallRecord,
    Campaign,
    RetryRule,
    RtpStats,
    Sound,
    Subscriber,
    Trunk,
    TrunkStatus,
    User,
)
from autodialer.store import AuditEntry, CampaignProgress, Counts, RejectedRow
from autodialer.web.calling_window import present_hours
from autodialer.web.campaign_keys import present_key_results, present_keys

Json = dict[str, Any]
T = TypeVar("T")


class Reason(Protocol):
    """Why a campaign does not dial."""

    @property
    def code(self) -> str:
        """A word for programs."""

    @property
    def message(self) -> str:
        """A sentence for people."""

    @property
    def until(self) -> datetime | None:
        """When it ends by itself; None where it does not, or nobody knows."""


COUNTS = ("total", "pending", "in_progress", "reached", "exhausted", "excluded")


def time(moment: datetime | None) -> str | None:
    """RFC 3339 in UTC with milliseconds."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def identifier(value: UUID | None) -> str | None:
    """A public id."""
    return str(value) if value is not None else None


def page(items_and_next: tuple[list[T], str | None], present: Callable[[T], Json]) -> Json:
    """A part of a list."""
    items, cursor = items_and_next
    return {"items": [present(item) for item in items], "next": cursor}


def user(value: User) -> Json:
    """A user, without his password."""
    return {
        "id": str(value.id),
        "login": value.login,
        "name": value.name,
        "role": value.role.value,
        "comment": value.comment,
        "can_log_in": value.can_log_in,
        "created_at": time(value.created_at),
    }


def audit_entry(value: AuditEntry) -> Json:
    """Something that was done."""
    return {
        "at": time(value.at),
        "user_id": identifier(value.user_id),
        "login": value.login,
        "action": value.action,
        "object_kind": value.object_kind,
        "object_id": identifier(value.object_id),
        "details": dict(value.details) if value.details else None,
        "address": value.address,
    }


def trunk(value: Trunk, status: TrunkStatus | None) -> Json:
    """A trunk, without its password, with what the dialer says of it (None: no dialer does)."""
    status = status or TrunkStatus(trunk_key=value.key, breaker_state="closed")
    return {
        "id": str(value.id),
        **value.shown(),
        "created_at": time(value.created_at),
        "active_calls": status.active_calls,
        "registration": {
            "state": status.registration_state,
            "since": time(status.registration_since),
            "error": status.registration_error,
        },
        "breaker": {
            "state": status.breaker_state,
            "until": time(status.breaker_until),
            "cause": status.breaker_cause,
        },
    }


def sound(value: Sound) -> Json:
    """A sound; its audio has a path of its own."""
    names = ("name", "duration_s", "peak_dbfs", "loudness_lufs", "gain_db", "sample_rate", "channels")
    return {"id": str(value.id), **_fields(value, names), "created_at": time(value.created_at)}


def callbase(value: Callbase) -> Json:
    """A callbase with the counts of its import."""
    names = ("name", "region", "timezone", "state", "rows", "rows_done", "imported", "duplicates", "rejected", "error")
    return {"id": str(value.id), **_fields(value, names), "created_at": time(value.created_at)}


def subscriber(value: Subscriber) -> Json:
    """A subscriber."""
    names = ("number", "second_number", "name", "comment", "timezone")
    return {"id": str(value.id), **_fields(value, names), "extra": dict(value.extra)}


def rejected_row(value: RejectedRow) -> Json:
    """A row that was not imported."""
    return _fields(value, ("row", "value", "reason"))


def retry(rules: Mapping[str, RetryRule]) -> Json:
    """The rules as they hold, defaults filled in."""
    merged = {**DEFAULT_RETRY, **rules}
    return {name: {"after_s": rule.after_s, "times": rule.times} for name, rule in merged.items()}


def campaign(value: Campaign, progress: CampaignProgress, eta_s: float | None) -> Json:
    """A campaign with its counts."""
    names = ("name", "caller_id", "max_channels", "cps", "ring_timeout_s", "max_call_s", "lead_in_ms", "max_attempts")
    return {
        "id": str(value.id),
        **_fields(value, names),
        "min_played_s": value.min_played_s,
        "caps": {"day": value.cap_day, "week": value.cap_week},
        "state": value.state.value,
        "trunk_ids": [str(trunk_id) for trunk_id in value.trunk_ids],
        "sound_id": str(value.sound_id),
        "callbase_id": str(value.callbase_id),
        "retry": retry(value.retry),
        **present_keys(value),
        **present_hours(value),
        "created_at": time(value.created_at),
        "started_at": time(value.started_at),
        "finished_at": time(value.finished_at),
        "counts": counts(progress.counts),
        "dispositions": dict(progress.dispositions),
        "active_calls": progress.active_calls,
        "eta_s": eta_s,
    }


def counts(value: Counts) -> Json:
    """Subscribers by what became of them."""
    return _fields(value, COUNTS)


def why(*, dialing: bool, reasons: Sequence[Reason]) -> Json:
    """Whether a campaign dials, and why not."""
    return {
        "dialing": dialing,
        "reasons": [{"code": item.code, "message": item.message, "until": time(item.until)} for item in reasons],
    }


def call(value: CallRecord) -> Json:
    """A call; of one under way most is not known yet."""
    return {
        "id": str(value.id),
        "campaign_id": str(value.campaign_id),
        "subscriber_id": str(value.subscriber_id),
        "number": value.number,
        "attempt": value.attempt,
        "state": value.state.value,
        "trunk_id": identifier(value.trunk_id),
        **_outcome(value.outcome),
        "key_results": present_key_results(value.key_results),
        "next_attempt": {"at": time(value.next_at), "rule": value.next_rule},
    }


OUTCOME_WORDS = ("disposition", "cause", "ended_by")
OUTCOME_TIMES = ("invited_at", "ringing_at", "answered_at", "ended_at")
OUTCOME_VALUES = (
    "message",
    "sip_code",
    "sip_reason",
    "q850_cause",
    "pdd_s",
    "duration_s",
    "billsec_s",
    "played_s",
    "played_share",
    "digits",
)


def _outcome(value: CallOutcome | None) -> Json:
    if value is None:
        return dict.fromkeys((*OUTCOME_WORDS, *OUTCOME_TIMES, *OUTCOME_VALUES, "digit_times", "rtp"))
    words = {name: str(word) if (word := getattr(value, name)) is not None else None for name in OUTCOME_WORDS}
    times = {name: time(getattr(value, name)) for name in OUTCOME_TIMES}
    pressed = [{"digit": press.digit, "at_s": press.at_s, "via": press.via.value} for press in value.digit_times]
    return {**words, **times, **_fields(value, OUTCOME_VALUES), "digit_times": pressed, "rtp": _rtp(value.rtp)}


def _rtp(value: RtpStats | None) -> Json | None:
    names = ("sent", "received", "lost", "jitter_ms", "one_way_audio", "remote_lost", "round_trip_ms")
    return _fields(value, names) if value else None


def _fields(value: object, names: tuple[str, ...]) -> Json:
    return {name: getattr(value, name) for name in names}

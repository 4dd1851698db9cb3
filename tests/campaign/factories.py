"""Campaigns, jobs and outcomes with sensible values, for tests that care for one of them."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from autodialer.model import DEFAULT_RETRY, CallOutcome, Campaign, CampaignState, ClaimedJob, Disposition

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def campaign(**changes: Any) -> Campaign:
    values: dict[str, Any] = {
        "key": 1,
        "id": UUID(int=1),
        "owner_key": 1,
        "name": "snow day",
        "state": CampaignState.RUNNING,
        "trunk_keys": (1,),
        "trunk_ids": (UUID(int=1),),
        "sound_key": 1,
        "sound_id": UUID(int=2),
        "callbase_key": 1,
        "callbase_id": UUID(int=3),
        "caller_id": None,
        "max_channels": 10,
        "cps": 1.0,
        "ring_timeout_s": 40.0,
        "max_call_s": 600.0,
        "lead_in_ms": 0,
        "max_attempts": 3,
        "min_played_s": None,
        "retry": DEFAULT_RETRY,
        "hidden": False,
        "created_at": NOW,
        "started_at": NOW,
        "finished_at": None,
    }
    return Campaign(**(values | changes))


def job(**changes: Any) -> ClaimedJob:
    values: dict[str, Any] = {
        "key": 1,
        "call_id": UUID(int=9),
        "campaign_key": 1,
        "trunk_key": 1,
        "subscriber_key": 1,
        "number": "+70000000001",
        "attempt": 1,
        "retries_used": {},
        "claimed_at": NOW,
    }
    return ClaimedJob(**(values | changes))


def outcome(disposition: Disposition, **changes: Any) -> CallOutcome:
    values: dict[str, Any] = {"disposition": disposition, "invited_at": NOW, "ended_at": NOW + timedelta(seconds=5)}
    return CallOutcome(**(values | changes))

"""The words of the product as values: states, dispositions, and what passes between the store, the phones and the API.

Every word here is in docs/glossary.md. Times (`..._at`) are aware UTC, spans (`..._s`) are seconds.
Ids (`id`) are the public, time-ordered UUIDs; keys (`key`) are the database's integers and never leave the service.
"""

from autodialer.model.calls import (
    CallOutcome,
    CallRecord,
    CampaignStatus,
    CheckResult,
    CheckStage,
    ClaimedJob,
    ClaimRequest,
    Command,
    DigitTime,
    DigitVia,
    JobResult,
    NextStep,
    RtpStats,
    TrunkStatus,
)
from autodialer.model.keys import KEY_WAIT_S, KEYS, KeyAction, KeyEffect, KeyResult
from autodialer.model.objects import DEFAULT_RETRY, Callbase, Campaign, RetryRule, Sound, Subscriber, Trunk, User
from autodialer.model.states import (
    CAMPAIGN_TRANSITIONS,
    JOB_TRANSITIONS,
    SUBSCRIBER_TRANSITIONS,
    CampaignLimit,
    CampaignState,
    Cause,
    Disposition,
    EndedBy,
    JobState,
    Role,
    SubscriberState,
)

__all__ = [
    "CAMPAIGN_TRANSITIONS",
    "DEFAULT_RETRY",
    "JOB_TRANSITIONS",
    "KEYS",
    "KEY_WAIT_S",
    "SUBSCRIBER_TRANSITIONS",
    "CallOutcome",
    "CallRecord",
    "Callbase",
    "Campaign",
    "CampaignLimit",
    "CampaignState",
    "CampaignStatus",
    "Cause",
    "CheckResult",
    "CheckStage",
    "ClaimRequest",
    "ClaimedJob",
    "Command",
    "DigitTime",
    "DigitVia",
    "Disposition",
    "EndedBy",
    "JobResult",
    "JobState",
    "KeyAction",
    "KeyEffect",
    "KeyResult",
    "NextStep",
    "RetryRule",
    "Role",
    "RtpStats",
    "Sound",
    "Subscriber",
    "SubscriberState",
    "Trunk",
    "TrunkStatus",
    "User",
]

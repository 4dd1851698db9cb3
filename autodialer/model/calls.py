"""What happens: claims, calls and their outcomes, commands, live state."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from autodialer.model.destinations import DialRules
from autodialer.model.keys import KeyResult
from autodialer.model.states import CampaignLimit, Cause, Disposition, EndedBy, JobState, SubscriberState


@dataclass(frozen=True, kw_only=True)
class RtpStats:
    """What one call's RTP session saw."""

    sent: int = 0
    """Packets that left."""
    received: int = 0
    lost: int | None = None
    """Packets that the callee's side sent and we never saw; None where it cannot be told."""
    jitter_ms: float | None = None
    """RFC 3550 section 6.4.1 interarrival jitter; None with fewer than two packets."""
    one_way_audio: bool = False
    """The call was answered and no RTP came back."""
    strangers: int | None = 0
    """RTP and RTCP packets from elsewhere than the callee, or of another stream; they have no effect. None: the call
    was recorded before they were counted."""
    remote_lost: int | None = None
    """Packets of ours that the callee's side missed, by its RTCP reports; None without any."""
    round_trip_ms: float | None = None
    """There and back, by the same reports."""
    encryption: str | None = None
    """How RTP and RTCP were encrypted when the call ended, a suite of RFC 4568 or RFC 7714; None: they were plain."""
    reports: int | None = 0
    """RTCP reports that the callee's side sent, of whichever stream. None: recorded before they were counted."""


class DigitVia(StrEnum):
    """How a press was told."""

    RTP = "rtp"
    """As telephone-events (RFC 4733)."""
    INFO = "info"
    """In a SIP INFO request."""


@dataclass(frozen=True, kw_only=True)
class DigitTime:
    """One press of a key."""

    digit: str
    at_s: float
    """Seconds after the answer."""
    via: DigitVia
    """The way that told it first."""


@dataclass(frozen=True, kw_only=True)
class CallOutcome:
    """What a phone reports of one finished call. The disposition says why it ended, not only with which code."""

    disposition: Disposition
    cause: Cause | None = None
    sip_code: int | None = None
    """Final code of the INVITE; None when none came."""
    sip_reason: str | None = None
    q850_cause: int | None = None
    """From the Reason header (RFC 3326) of the final response or the BYE."""
    retry_after_s: float | None = None
    """Retry-After of a 503."""
    refusal_headers: tuple[str, ...] = ()
    """Lines `Name: value` of a refusal that say more on its cause: Reason, Call-Info, Warning, a provider's own."""
    invited_at: datetime
    ringing_at: datetime | None = None
    """First 18x."""
    answered_at: datetime | None = None
    ended_at: datetime
    pdd_s: float | None = None
    duration_s: float = 0.0
    billsec_s: float = 0.0
    played_s: float = 0.0
    played_share: float = 0.0
    """played_s over the sound's length, 0 to 1."""
    digits: str = ""
    digit_times: tuple[DigitTime, ...] = ()
    """The same presses with their times."""
    ended_by: EndedBy | None = None
    """None unless the call was answered."""
    rtp: RtpStats | None = None
    """None when there was no RTP session."""
    message: str | None = None
    """One sentence for a person where the code does not explain itself."""

    @property
    def summary(self) -> str:
        """The outcome in the words of a log line."""
        code = f" ({self.sip_code} {self.sip_reason or ''})".rstrip() if self.sip_code else ""
        cause = f", {self.cause}" if self.cause else ""
        return f"{self.disposition}{cause}{code}, {self.billsec_s:.1f} s, played {self.played_s:.2f} s"


@dataclass(frozen=True, kw_only=True)
class ClaimRequest:
    """How many jobs of one campaign may start now on one trunk."""

    campaign_key: int
    trunk_key: int
    limit: int
    open_zones: frozenset[str] | None = None
    """Time zones whose subscribers may be called now, "" for subscribers without a known zone; None: all."""
    zones_open_at: Mapping[str, datetime | None] = field(default_factory=dict)
    """The others -> when they may be; None: never within the campaign."""
    dial_rules: tuple[DialRules, ...] = ()
    """Where the campaign's trunks may call; empty: anywhere."""


@dataclass(frozen=True, kw_only=True)
class ClaimedJob:
    """A call job that is ours: its claim is committed, so its INVITE may leave."""

    key: int
    call_id: UUID
    """Public id of the call that this claim makes."""
    campaign_key: int
    trunk_key: int
    subscriber_key: int
    number: str
    attempt: int
    """1 for the first call of this subscriber in this campaign."""
    retries_used: Mapping[str, int]
    """Retry rule name -> how often it was used for this subscriber in this campaign."""
    claimed_at: datetime
    second_number: str | None = None
    """To call once the attempts at `number` are used up; None: no second number, or `number` already is the second."""


@dataclass(frozen=True, kw_only=True)
class NextStep:
    """What happens to the job and the subscriber after a call."""

    job_state: JobState
    """queued, done or cancelled."""
    subscriber_state: SubscriberState
    not_before: datetime | None = None
    """When the next attempt may start; None: there will be no other."""
    rule: str
    """The retry rule that made the next attempt or ended them: `busy`, `max_attempts`, `reached`, ..."""
    counts_as_attempt: bool = True
    """False: the call is recorded and `max_attempts` has not come nearer (`cancelled`, the trunk's fault)."""
    uses_budget: bool = True
    """Whether the next attempt uses up one of those that `rule` allows."""


@dataclass(frozen=True, kw_only=True)
class JobResult:
    """One finished call with the decision that follows from it, recorded in one transaction."""

    job: ClaimedJob
    outcome: CallOutcome
    next_step: NextStep
    key_results: tuple[KeyResult, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CallRecord:
    """The CDR: one finished call, or a call under way (then without a `disposition`)."""

    id: UUID
    campaign_id: UUID
    subscriber_id: UUID
    trunk_id: UUID | None
    number: str
    attempt: int
    state: JobState
    """queued or dialing while the call is under way, done afterwards."""
    outcome: CallOutcome | None
    next_at: datetime | None
    next_rule: str | None
    consent_source: str | None = None
    """As the subscriber had it when the call ended; the two below are the same."""
    consent_at: str | None = None
    consent_text: str | None = None
    key_results: tuple[KeyResult, ...] = ()
    """Presses of keys that mean something in the campaign, in order."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """Something the API asks of the dialer."""

    key: int
    kind: str
    """hangup_campaign, hangup_call, trace_call, send_digits, wake_trunk (end the rest of the trunk `trunk_key`) or
    check_trunk (then `call_id` is the check's id)."""
    campaign_key: int | None = None
    trunk_key: int | None = None
    call_id: UUID | None = None
    digits: str | None = None
    """To be sent."""


class CheckStage(StrEnum):
    """How far a check of a trunk got."""

    DNS = "dns"
    CONNECT = "connect"
    """A packet or a connection to the provider's server."""
    OPTIONS = "options"
    REGISTER = "register"
    CALL = "call"


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """What a check of a trunk found."""

    ok: bool
    """Everything that was tried works."""
    stage: CheckStage
    """The stage that failed, or the last stage."""
    sip_code: int | None
    """Of the answer that settled it, None without one."""
    reason: str | None
    verdict: str
    """What it means and what to do, for a person."""
    public_address: str | None
    """host:port under which the provider sees us; None: the provider does not say."""
    rtt_ms: float | None
    """Round trip of the first question that was answered."""


@dataclass(frozen=True, kw_only=True)
class CampaignStatus:
    """Live state of a running campaign, written by the dialer at most once a second."""

    campaign_key: int
    limited_by: CampaignLimit | None = None
    """What it mostly met in the last second; None: nothing was due, or nothing is in its way."""
    until: datetime | None = None
    """When a slow rate lets the next call start; None where that is soon, or not a question of time."""


@dataclass(frozen=True, kw_only=True)
class TrunkStatus:
    """Live state of a trunk, written by the dialer at most once a second."""

    trunk_key: int
    breaker_state: str
    """closed, resting or probing."""
    breaker_until: datetime | None = None
    breaker_cause: str | None = None
    """Why the trunk rests, a sentence for a person."""
    registration_state: str = "off"
    """off: the trunk does not ask for registration."""
    registration_since: datetime | None = None
    registration_error: str | None = None
    active_calls: int = 0

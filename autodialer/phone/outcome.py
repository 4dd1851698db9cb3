"""From what a call met to its outcome: the one place that decides what the record says."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from autodialer.media.shell import SessionStats
from autodialer.model import CallOutcome, Cause, Disposition, EndedBy, RtpStats
from autodialer.phone.disposition import disposition_of, explain
from autodialer.phone.foreign_caller import ForeignCaller
from autodialer.phone.keys import PressedKeys
from autodialer.q850 import Q850
from autodialer.sip.auth import REFUSED
from autodialer.sip.events import CallAnswered, CallEnded, CallFailed, FailureKind
from autodialer.sip.sdp import UnusableAnswer

NO_CHANNEL = (Q850.NO_CIRCUIT_AVAILABLE, Q850.CHANNEL_NOT_AVAILABLE)
"""Causes of a gateway whose channels are all taken."""
FRAME_S = 0.02
"""One RTP packet of G.711 at a ptime of 20 ms."""


BROKEN = "An error in the dialer itself ended this call; the log of the dialer has it under this call's id."
"""The message of cause `internal_error`."""


@dataclass(kw_only=True)
class CallTimes:
    """Monotonic seconds of what happened; `invited_at` ties them to the wall clock."""

    invited: float
    invited_at: datetime
    rang: float | None = None
    answered: float | None = None

    def wall(self, at: float) -> datetime:
        """The wall time of a monotonic one, however the machine's clock was set meanwhile."""
        return self.invited_at + timedelta(seconds=at - self.invited)


def make_outcome(
    *,
    event: CallFailed | CallEnded,
    times: CallTimes,
    answer: CallAnswered | None,
    unusable: UnusableAnswer | None,
    stats: SessionStats | None,
    sound_s: float,
    keys: PressedKeys,
    media_died: bool,
    broken: bool,
    foreign_caller: ForeignCaller | None = None,
) -> CallOutcome:
    """The record of one call whose last event of the SIP core is `event`.

    `stats`: None without an RTP session, or where its figures are lost. `broken`: an error of ours ended the call.
    `foreign_caller`: the caller ID may be why credentials were refused.
    """
    disposition, cause, message = _judge(event, unusable, media_died=media_died, broken=broken)
    if cause is Cause.AUTH_FAILED and message == REFUSED and foreign_caller is not None:
        message = foreign_caller.explain()
    # What a user can mend by ordering channels, told apart from a network that is down.
    if disposition is Disposition.CONGESTION and event.reason_cause in NO_CHANNEL:
        cause = Cause.TRUNK_LIMIT
    pressed = keys.times(times.answered) if times.answered is not None else ()
    failed = event if isinstance(event, CallFailed) else None
    # The last packet is filled up with silence, which is no part of the sound.
    played_s = min(stats.played_frames * FRAME_S, sound_s) if stats else 0.0
    return CallOutcome(
        disposition=disposition,
        cause=cause,
        sip_code=failed.code if failed else (answer.code if answer else None),
        sip_reason=failed.reason if failed else (answer.reason if answer else None),
        q850_cause=event.reason_cause,
        retry_after_s=failed.retry_after_s if failed else None,
        refusal_headers=failed.explanations if failed else (),
        invited_at=times.invited_at,
        ringing_at=times.wall(times.rang) if times.rang is not None else None,
        answered_at=times.wall(times.answered) if times.answered is not None else None,
        ended_at=times.wall(event.at),
        pdd_s=round(times.rang - times.invited, 3) if times.rang is not None else None,
        duration_s=round(event.at - times.invited, 3),
        billsec_s=round(event.at - times.answered, 3) if times.answered is not None else 0.0,
        played_s=round(played_s, 2),
        played_share=round(played_s / sound_s, 4) if sound_s else 0.0,
        digits="".join(press.digit for press in pressed),
        digit_times=pressed,
        ended_by=EndedBy(event.by.value) if isinstance(event, CallEnded) else None,
        rtp=_rtp(stats) if times.answered is not None and not unusable else None,
        message=message,
    )


def broken_outcome(times: CallTimes, utcnow: datetime) -> CallOutcome:
    """The record of a call that an error of ours ended before its last event came, with as much as is sure."""
    # An error may come before the INVITE: then there is no time to tie to the wall clock.
    began = times.invited > 0.0
    return CallOutcome(
        disposition=Disposition.FAILED,
        cause=Cause.INTERNAL_ERROR,
        invited_at=times.invited_at if began else utcnow,
        ringing_at=times.wall(times.rang) if times.rang is not None else None,
        answered_at=times.wall(times.answered) if times.answered is not None else None,
        ended_at=utcnow,
        message=BROKEN,
    )


def _judge(
    event: CallFailed | CallEnded, unusable: UnusableAnswer | None, *, media_died: bool, broken: bool
) -> tuple[Disposition, Cause | None, str | None]:
    if broken:
        # What the peer says to our CANCEL or BYE answers the error, and says nothing about the callee.
        return Disposition.FAILED, Cause.INTERNAL_ERROR, BROKEN
    if isinstance(event, CallEnded):
        if unusable:
            return Disposition.FAILED, Cause.MEDIA_FAILED, unusable.message
        return Disposition.ANSWERED, Cause.MEDIA_FAILED if media_died else None, event.message
    match event.kind:
        case FailureKind.FINAL if event.code:
            said = event.message or explain(event.code, event.reason_cause)
            return (*disposition_of(event.code, event.reason_cause), said)
        case FailureKind.AUTH:
            return Disposition.FAILED, Cause.AUTH_FAILED, event.message
        case FailureKind.TIMEOUT:
            return Disposition.FAILED, Cause.NO_RESPONSE, event.message
        case FailureKind.TRANSPORT:
            return Disposition.FAILED, Cause.TRANSPORT_ERROR, event.message
        case FailureKind.RING_TIMEOUT:
            return Disposition.NO_ANSWER, None, event.message
        case FailureKind.CANCELLED:
            return Disposition.CANCELLED, None, event.message
    return Disposition.FAILED, Cause.PROTOCOL_ERROR, event.message


def _rtp(stats: SessionStats | None) -> RtpStats | None:
    if stats is None:
        return None
    return RtpStats(
        sent=stats.sent,
        received=stats.received,
        lost=stats.lost,
        jitter_ms=stats.jitter_ms,
        one_way_audio=stats.received == 0,
        strangers=stats.strangers,
        encryption=stats.encryption,
        remote_lost=stats.remote_lost,
        round_trip_ms=stats.round_trip_ms,
        reports=stats.reports,
    )

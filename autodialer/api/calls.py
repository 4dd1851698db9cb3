"""Calls: one by one, a campaign's, the sample call, and what users ask of a call under way."""

import re
import time as time_module
from collections.abc import Callable, Sequence
from uuid import UUID

from autodialer.api.ceilings import refuse_at_ceiling
from autodialer.api.context import Context, owned
from autodialer.api.destinations import check_destination
from autodialer.api.filters import TimeFilter, number_wanted
from autodialer.api.idempotency import Attempt
from autodialer.api.outside import check_webhook_url
from autodialer.api.present import Json, identifier, page, time, values_of
from autodialer.api.traces import CallTraces
from autodialer.api.webhooks import put_short
from autodialer.campaign.checks import sample_number
from autodialer.campaign.destinations import rules_of_trunk
from autodialer.errors import Conflict, Invalid, Unavailable
from autodialer.model import CONSENT, CallOutcome, CallRecord, JobState, KeyResult, RtpStats, Trunk
from autodialer.store import CallsWanted, Store
from autodialer.web.caller import Caller
from autodialer.web.fields import Fields
from autodialer.web.request import PageWanted
from autodialer.webhooks.signing import shown_secret

_DIGITS = re.compile(r"[0-9*#A-D]{1,32}")
LOOK_S = 0.02
PATIENCE_S = 3.0
"""The dialer looks for commands at least every 100 ms."""


class CallFilter(TimeFilter):
    """Which calls are listed: those that began in a span of time, and ended so, to this number."""

    disposition: Sequence[str] = ()
    number: str | None = None
    q: str | None = None
    """Part of the number or of the subscriber's name."""

    def wanted(self) -> CallsWanted:
        """For the store. Raises Invalid."""
        number = None if self.number is None else number_wanted(self.number)
        return CallsWanted(dispositions=self.disposition, number=number, narrowed=self.narrowed())

    def _part(self) -> str | None:
        return self.q


class Digits(Fields):
    """Keys to be pressed in a call."""

    digits: str


class SampleCall(Fields):
    """One call to one number."""

    trunk_id: UUID
    sound_id: UUID
    number: str
    raw: bool = False
    """Whether the number is dialled as written."""
    dial_doubtful: bool = False
    """Whether a number is dialled that is possible, but not valid."""


class NewCall(Fields):
    """One call with its own sound."""

    trunk_id: UUID | None = None
    """None: the user's only one."""
    sound_id: UUID
    number: str
    raw: bool = False
    dial_doubtful: bool = False
    name: str | None = None
    """Of the person."""
    caller_id: str | None = None
    """None: the trunk's."""
    webhook_url: str | None = None
    """Told how the call ended."""


class Calls:
    """The operations on calls."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._store = context.store
        self._traces = CallTraces(context.store, context.clock)

    def list(self, caller: Caller, campaign_id: UUID, fields: CallFilter, wanted: PageWanted) -> Json:
        """The finished calls of a campaign."""
        campaign = self._store.campaigns.get(campaign_id, caller.owner_key)
        found = self._store.calls.page(campaign.key, wanted=fields.wanted(), limit=wanted.limit, after=wanted.after)
        return page(found, present_call)

    def list_all(self, caller: Caller, fields: CallFilter, wanted: PageWanted) -> Json:
        """The finished calls of the caller over all campaigns, the newest first."""
        found = self._store.calls.page_of_owner(
            caller.owner_key, wanted=fields.wanted(), limit=wanted.limit, after=wanted.after
        )
        return page(found, present_call)

    def read(self, caller: Caller, call_id: UUID) -> Json:
        """One call."""
        return present_call(self._store.calls.get(call_id, caller.owner_key))

    def read_trace(self, caller: Caller, call_id: UUID) -> str:
        """The SIP messages of a call: a ladder, then the messages."""
        return self._traces.read(self._store.calls.get(call_id, caller.owner_key))

    def hang_up(self, caller: Caller, call_id: UUID) -> Json:
        """Ask the dialer to end a call. Raises Conflict when it is not under way."""
        call = self._store.calls.get(call_id, caller.owner_key)
        if call.state is not JobState.DIALING:
            raise Conflict(f"The call is {call.state}; only a call that is dialing can be hung up.")
        with self._store.transaction():
            self._store.commands.add("hangup_call", call_id=call_id)
            self._context.record(caller, "calls.hangup", call_id)
        return present_call(call)

    def send_digits(self, caller: Caller, call_id: UUID, fields: Digits) -> Json:
        """Press keys in an answered call. Raises Invalid, Conflict, Unavailable without a dialer."""
        call, digits = self._store.calls.get(call_id, caller.owner_key), check_digits(fields.digits)
        if call.state is not JobState.DIALING:
            raise Conflict(f"The call is {call.state}; only an answered call takes digits.")
        send_digits(
            self._store,
            call_id,
            digits,
            record=lambda: self._context.record(caller, "calls.digits", call_id, count=len(digits)),
        )
        return present_call(call)

    def create(self, caller: Caller, fields: NewCall, once: str | None) -> Json:
        """Queue one call with its own sound. Raises Invalid."""
        with self._context.once.attempt(caller, "create_call", once, fields.asked()) as attempt:
            if attempt.object_id is None:
                trunk = self._trunk_of(caller, fields.trunk_id)
                sound = owned(self._store.sounds.get, fields.sound_id, caller, "sound_id")
                number = sample_number(fields.number, raw=fields.raw, dial_doubtful=fields.dial_doubtful)
                url = fields.webhook_url
                queue_sample_call(
                    self._context,
                    caller,
                    attempt,
                    webhook_url=check_webhook_url(self._context, url, "webhook_url") if url else None,
                    trunk_key=trunk.key,
                    sound_key=sound.key,
                    number=number,
                    name=fields.name,
                    caller_id=fields.caller_id,
                )
            call: Json = {"id": str(attempt.made), "url": f"/srv1/calls/{attempt.made}"}
            call["webhook_secret"] = self._webhook_secret(attempt.made) if fields.webhook_url else None
            return {**call, "trunk_id": identifier(self._store.campaigns.trunk_of_call(attempt.made))}

    def _webhook_secret(self, call_id: UUID) -> str | None:
        campaign = self._store.campaigns.get(self._store.calls.get(call_id, None).campaign_id, None)
        webhook = self._store.webhooks.short_of(campaign.key)
        return None if webhook is None or webhook.secret is None else shown_secret(webhook.secret)

    def _trunk_of(self, caller: Caller, trunk_id: UUID | None) -> Trunk:
        if trunk_id is not None:
            return owned(self._store.trunks.get, trunk_id, caller, "trunk_id")
        found, _ = self._store.trunks.page(caller.user.key, limit=2)
        if len(found) == 1:
            return found[0]
        message = (
            "trunk_id is needed, for you have several trunks; GET /srv1/trunks shows them."
            if found
            else "There is no trunk to call over; make one with POST /srv1/trunks first."
        )
        raise Invalid(message, field="trunk_id")

    def create_sample(self, caller: Caller, fields: SampleCall, once: str | None) -> Json:
        """Queue one call to one number. Raises Invalid."""
        with self._context.once.attempt(caller, "create_sample_call", once, fields.asked()) as attempt:
            if attempt.object_id is None:
                trunk = owned(self._store.trunks.get, fields.trunk_id, caller, "trunk_id")
                sound = owned(self._store.sounds.get, fields.sound_id, caller, "sound_id")
                number = sample_number(fields.number, raw=fields.raw, dial_doubtful=fields.dial_doubtful)
                queue_sample_call(
                    self._context, caller, attempt, trunk_key=trunk.key, sound_key=sound.key, number=number
                )
            return {"id": str(attempt.made)}


def queue_sample_call(
    context: Context,
    caller: Caller,
    attempt: Attempt,
    *,
    trunk_key: int,
    sound_key: int,
    number: str,
    name: str | None = None,
    caller_id: str | None = None,
    webhook_url: str | None = None,
) -> None:
    """The one way in for a single call of any client: the call, its audit row and the client's key together.

    Raises Invalid for a number that the trunk may not call, TooManyRequests for too many and at the ceiling of the day.
    """
    trunk = context.store.trunks.by_key(trunk_key)
    check_destination(number, [rules_of_trunk(trunk)], "number")
    refuse_at_ceiling(context.store, caller.user.key, trunk_key, context.clock.utcnow())
    context.sample_calls.take(caller.user.key, context.clock.monotonic())
    with context.store.transaction():
        call_id = context.store.campaigns.create_sample_call(
            caller.user.key,
            trunk_key=trunk_key,
            sound_key=sound_key,
            number=number,
            name=name,
            caller_id=caller_id,
        )
        if webhook_url is not None:
            campaign_id = context.store.calls.get(call_id, None).campaign_id
            put_short(context.store, context.store.campaigns.get(campaign_id, None), webhook_url)
        context.record(caller, "calls.sample", call_id, number=number)
        attempt.remember(call_id)


def check_digits(digits: str) -> str:
    """The digits themselves. Raises Invalid for a character that is not a key."""
    if not _DIGITS.fullmatch(digits):
        raise Invalid("digits takes 1 to 32 of 0 to 9, *, # and A to D.", field="digits")
    return digits


def send_digits(store: Store, call_id: UUID, digits: str, *, record: Callable[[], object]) -> None:
    """Have the dialer send digits; `record` writes to the audit that it was asked to.

    Raises Conflict when the call cannot take any, Unavailable without a dialer.
    """
    if store.live.dialer() is None:
        raise Unavailable("No dialer process is running, and only it can send digits; see the service's log.")
    with store.transaction():
        key = store.commands.add("send_digits", call_id=call_id, digits=digits)
        record()
    deadline = time_module.monotonic() + PATIENCE_S
    while time_module.monotonic() < deadline:
        reply = store.commands.reply_to(key)
        if reply:
            raise Conflict(reply)
        if reply is not None:
            return
        time_module.sleep(LOOK_S)
    raise Unavailable("The dialer does not say whether it has sent the digits; see its log.")


def present_call(value: CallRecord) -> Json:
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
        **values_of(value, CONSENT),
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
    "refusal_headers",
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
    values = values_of(value, OUTCOME_VALUES) | {"refusal_headers": list(value.refusal_headers)}
    return {**words, **times, **values, "digit_times": pressed, "rtp": _rtp(value.rtp)}


def _rtp(value: RtpStats | None) -> Json | None:
    names = (
        "sent",
        "received",
        "lost",
        "jitter_ms",
        "one_way_audio",
        "remote_lost",
        "round_trip_ms",
        "reports",
        "strangers",
        "encryption",
    )
    return values_of(value, names) if value else None


def present_key_results(results: Sequence[KeyResult]) -> list[Json]:
    """What keys did in a call."""
    return [
        {
            "digit": result.digit,
            "action": result.action.value,
            "at_s": result.at_s,
            "effect": result.effect.value,
            "code": result.code,
        }
        for result in results
    ]


def key_results_cell(results: Sequence[KeyResult]) -> str | None:
    """The same of a call in one cell of a table: `1 confirm done; 5 transfer refused 603`."""
    words = [
        f"{result.digit} {result.action} {result.effect}" + (f" {result.code}" if result.code is not None else "")
        for result in results
    ]
    return "; ".join(words) or None

"""What admission asks about each queued subscriber whose turn has come, and its answers: whether to call now.

`autodialer.campaign.admission` decides; the store fetches what it needs and writes what it says.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from autodialer.model.destinations import DialRules
from autodialer.model.states import SubscriberState

EXCLUDED_DNC = "dnc"
EXCLUDED_ERASED = "erased"
EXCLUDED_DELETED = "deleted"
EXCLUDED_WINDOW = "window"
EXCLUDED_CAP = "frequency_cap"
EXCLUDED_DOUBTFUL = "doubtful"
WINDOW = "window"
"""The rule that puts a job off to the next opening of its subscriber's calling window."""
CAP_DAY = "cap_day"
CAP_WEEK = "cap_week"
MOMENTS = (WINDOW, CAP_DAY, CAP_WEEK)
"""Rules that put a job off until a moment of the wall clock; every other rule makes it wait for a span."""
MAX_ATTEMPTS = "max_attempts"
NUMBER_REMOVED = "number_removed"
"""The rule that ends the attempts at a subscriber whose turn was the second number, which is there no more."""
SHORT = "short"
"""The retry rule of an answered call that heard too little."""
TRUNK = "trunk"
"""The rule that puts a job back whose call failed by the trunk's fault."""
HUNG_UP = "hung_up"
"""The rule that ends the attempts at a subscriber whose call an operator has hung up."""

PICKED_UP = "picked_up"
"""The rule that ends the attempts at a subscriber whose answered call was cut off."""


def ended_state(
    retries_used: Mapping[str, int],
    *,
    answered: bool = False,
    unanswered: SubscriberState = SubscriberState.EXHAUSTED,
) -> SubscriberState:
    """What a subscriber is who gets no further attempt: an answer, now or earlier, however short, is `reached`.

    `unanswered` is what a person is who never answered. It stands beside the words, not in a rule of campaigns, because
    the store ends attempts as well: of a whole campaign that stops, and of people who are erased.
    """
    return SubscriberState.REACHED if answered or SHORT in retries_used else unanswered


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A queued subscriber whose turn has come, with the rules of the campaign."""

    number: str | None
    """The number that would be dialled; None: `no_number` says why."""
    on_dnc: bool
    zone: str
    """As the callbase counts it; empty: none is known."""
    attempts: int
    """Calls so far that count as attempts."""
    retries_used: Mapping[str, int]
    max_attempts: int
    caps: Mapping[str, int | None]
    """cap_day and cap_week."""
    ends_at: datetime | None
    """Of the campaign."""
    doubtful: bool = False
    """Whether the number is possible, but in no range that the numbering plan has assigned."""
    dial_doubtful: bool = False
    """Whether the campaign calls such numbers."""
    no_number: str = EXCLUDED_ERASED
    """Why there is no number: erased, deleted or number_removed."""
    destination: str | None = None
    """Where `number` leads, as it was stored; None: it is to be found."""
    dial_rules: Sequence[DialRules] = ()
    """Where the campaign's trunks may call; empty: anywhere."""


class OpenHours(NamedTuple):
    """In which time zones subscribers may be called now."""

    open_zones: frozenset[str] | None = None
    """None: in all of them."""
    opens_at: Mapping[str, datetime | None] = {}
    """The other zones -> when; None: never within the campaign."""


class PastCall(NamedTuple):
    """As much of a finished call as tells whether it counts."""

    invited_at: datetime
    disposition: str
    cause: str | None
    sip_code: int | None
    q850_cause: int | None
    ringing_at: datetime | None
    answered_at: datetime | None
    next_rule: str | None


@dataclass(kw_only=True)
class NumberCalls:
    """The calls to one number, from whichever campaign of the owner."""

    past: list[PastCall] = field(default_factory=list)
    in_air: int = 0


@dataclass(frozen=True, kw_only=True)
class Call:
    """The subscriber may be called now."""


@dataclass(frozen=True, kw_only=True)
class Wait:
    """Not yet."""

    until: datetime
    """When the next attempt may start, as far as is known now."""
    rule: str
    """cap_day, cap_week or window."""


@dataclass(frozen=True, kw_only=True)
class End:
    """No further attempt follows."""

    reason: str
    state: SubscriberState
    """reached or exhausted."""


@dataclass(frozen=True, kw_only=True)
class Exclude:
    """The campaign does not call this subscriber, and no call is written."""

    reason: str


Verdict = Call | Wait | End | Exclude
CallsOf = Callable[[Sequence[str]], Mapping[str, NumberCalls]]
"""Numbers -> the calls to each of them; both notations of a number have the same value."""
Admit = Callable[[Sequence[Candidate], OpenHours, CallsOf, datetime], Sequence[Verdict]]
"""The decision: candidates of one campaign in the order of the queue, their hours, their calls, and the time."""

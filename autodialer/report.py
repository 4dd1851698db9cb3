"""What people ask of a campaign: why it does not dial, or not faster."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from autodialer.campaign.destinations import explain_refusal, refusal, rules_of_trunk
from autodialer.model import (
    Callbase,
    Campaign,
    CampaignLimit,
    CampaignState,
    CampaignStatus,
    Trunk,
    TrunkStatus,
)
from autodialer.model.admission import CAP_DAY, CAP_WEEK, TRUNK, WINDOW
from autodialer.model.ceilings import Ceiling, next_day
from autodialer.store import CampaignProgress, Counts, DayStanding, Store, Waiting

RESTING = "resting"
PROBING = "probing"
REGISTERED = "registered"


@dataclass(frozen=True, kw_only=True)
class Reason:
    """Why a campaign does not dial, or dials less than it could."""

    code: str
    """A word for programs."""
    message: str
    """A sentence for people."""
    until: datetime | None = None
    """When it ends by itself; None where it does not, or where the time is unknown."""
    blocks: bool = True
    """False: calls go on anyway."""


@dataclass(frozen=True, kw_only=True)
class Refused:
    """Subscribers whose numbers the campaign's trunks may not call."""

    reason: str
    """country, or a word of `autodialer.model.destinations.Special`; a subscriber is excluded with it."""
    destination: str
    """Where the numbers lead: RU, RU:premium, :satellite."""
    subscribers: int
    message: str
    """A sentence that says what to do."""


@dataclass(frozen=True, kw_only=True)
class Why:
    """Whether a campaign dials."""

    dialing: bool
    """Calls are under way or may start now."""
    reasons: Sequence[Reason]


def explain(store: Store, campaign: Campaign, now: datetime, *, sound_there: bool = True) -> Why:
    """Why the campaign dials or does not, from what is known now. `sound_there`: the sound's files exist."""
    warnings = [*_of_stop_lists(store, campaign), *_of_doubtful(store, campaign), *_of_refused(store, campaign)]
    if campaign.state is not CampaignState.RUNNING:
        has_ended = campaign.state in (CampaignState.FINISHED, CampaignState.STOPPED)
        return Why(dialing=False, reasons=[_not_running(store, campaign), *([] if has_ended else warnings)])
    dialer = store.live.dialer()
    if dialer is None:
        return Why(dialing=False, reasons=[DIALER_DOWN])
    if not sound_there:
        return Why(dialing=False, reasons=[SOUND_MISSING])
    progress = store.campaigns.progress(campaign.key)
    statuses = store.live.trunks()
    trunks = store.trunks.by_keys(campaign.trunk_keys)
    waiting = store.waiting_lists.waiting(campaign.key, now)
    of_queue = _of_queue(progress, waiting, now)
    at_ceiling = _of_ceilings(store, campaign, now)
    no_call_left = any(reason.blocks for reason in at_ceiling)
    reasons = [
        *_of_callbase(store.callbases.by_key(campaign.callbase_key), progress),
        *_of_trunks(campaign, trunks, statuses, now),
        *_of_waiting_for_trunk(waiting),
        *of_queue,
        *at_ceiling,
        *_of_pace(
            campaign,
            [trunks[key] for key in campaign.trunk_keys if key in trunks],
            store.live.campaign(campaign.key),
            nothing_due=bool(of_queue) or no_call_left,
        ),
        *warnings,
    ]
    blocked = any(reason.blocks for reason in reasons)
    return Why(dialing=progress.active_calls > 0 or not blocked, reasons=reasons)


CEILING_CODES = {Ceiling.CALLS: "day_calls_reached", Ceiling.MINUTES: "day_minutes_reached"}


def _of_ceilings(store: Store, campaign: Campaign, now: datetime) -> list[Reason]:
    """The user's, or a trunk's, calls or minutes of the day are used up. A trunk blocks only when no other is left."""
    standings = store.day_uses.standings(campaign.owner_key, campaign.trunk_keys, now)
    full = [(each, each.use.reached) for each in standings if each.use.reached is not None]
    no_trunk = sum(each.of_trunk for each, _ in full) == len(campaign.trunk_keys)
    return [
        Reason(
            code=CEILING_CODES[reached],
            message=ceiling_sentence(each),
            until=next_day(now),
            blocks=no_trunk or not each.of_trunk,
        )
        for each, reached in full
    ]


def ceiling_sentence(standing: DayStanding) -> str:
    """What is used up, until when, and who can change that."""
    whose = f"Trunk {standing.name}" if standing.of_trunk else f"User {standing.name}"
    if standing.use.reached is Ceiling.MINUTES:
        said, field = f"{standing.use.max_minutes} minutes of talk", Ceiling.MINUTES
    else:
        said, field = f"{standing.use.max_calls} calls", Ceiling.CALLS
    return f"{whose} has made the {said} of today, and goes on at 00:00 UTC; an admin can raise {field}."


MOST_STOP_LISTS = 5


def refused_of(store: Store, campaign: Campaign) -> list[Refused]:
    """Those of the campaign's callbase, the most first; subscribers who were dealt with meanwhile count too."""
    region = store.callbases.by_key(campaign.callbase_key).region
    rules = [rules_of_trunk(trunk, region) for trunk in store.trunks.by_keys(campaign.trunk_keys).values()]
    found = []
    for where, subscribers in store.callbases.destinations(campaign.callbase_key).items():
        # Where the numbers of an older release's import lead is found when their turn comes.
        reason = refusal(where, rules) if where else None
        if reason is not None:
            message = f"{explain_refusal(where, reason, rules)}."
            found.append(Refused(reason=reason, destination=where, subscribers=subscribers, message=message))
    return sorted(found, key=lambda each: -each.subscribers)


def _of_refused(store: Store, campaign: Campaign) -> list[Reason]:
    refused = refused_of(store, campaign)
    if not refused:
        return []
    count = sum(each.subscribers for each in refused)
    more = f" There are {len(refused) - 1} reasons more; read GET .../callable of the campaign." if refused[1:] else ""
    message = f"{count} numbers of the callbase are not dialled: {refused[0].message}{more}"
    return [Reason(code="numbers_refused", message=message, blocks=False)]


def _of_stop_lists(store: Store, campaign: Campaign) -> list[Reason]:
    """Stop lists of which a part could not be read: a campaign may call the people in it."""
    return [
        Reason(
            code="dnc_rejects",
            message=f"{each.rejected} cells of the stop list {each.file!r} could not be read: the people in them may"
            f" be called. Read GET /srv1/dnc/imports/{each.id}/rejected, enter their numbers, then delete the import.",
            blocks=False,
        )
        for each in store.dnc_imports.with_rejects(campaign.owner_key, limit=MOST_STOP_LISTS)
    ]


def _of_doubtful(store: Store, campaign: Campaign) -> list[Reason]:
    doubtful = 0 if campaign.dial_doubtful else store.callbases.by_key(campaign.callbase_key).doubtful
    if not doubtful:
        return []
    message = (
        f"{doubtful} numbers of the callbase have the length of a phone number, but are in no assigned range; they are "
        "not dialled. Read GET .../subscribers?doubtful=true of the callbase, or set dial_doubtful of the campaign."
    )
    return [Reason(code="doubtful_excluded", message=message, blocks=False)]


NOT_RUNNING: Mapping[CampaignState, Reason] = {
    CampaignState.DRAFT: Reason(code="draft", message="The campaign has not been started; start it."),
    CampaignState.PAUSED: Reason(code="paused", message="The campaign is paused; resume it."),
    CampaignState.FINISHED: Reason(code="finished", message="Every subscriber has been dealt with."),
    CampaignState.STOPPED: Reason(code="stopped", message="The campaign was stopped for good; make a new one."),
}


PAUSED_AFTER = Reason(
    code="paused_after",
    message="The campaign has called as many people ({}) as its pause_after says, and paused. Read its report, then"
    " resume it for all the rest, or set a larger pause_after first.",
)


def _not_running(store: Store, campaign: Campaign) -> Reason:
    """The reason: who paused or stopped it and when, where a user did; how its subscribers ended, where it finished."""
    reason = NOT_RUNNING[campaign.state]
    if campaign.state is CampaignState.FINISHED:
        counts = store.campaigns.progress(campaign.key).counts
        why = "Its end, ends_at, came first." if counts.pending else reason.message
        return replace(reason, message=f"{why} {_ends(counts, store.waiting_lists.reasons(campaign.key))}")
    if campaign.state is CampaignState.PAUSED and campaign.has_come_to_pause:
        return replace(PAUSED_AFTER, message=PAUSED_AFTER.message.format(campaign.people_called))
    by_user = campaign.state in (CampaignState.PAUSED, CampaignState.STOPPED)
    if not by_user or campaign.moved_at is None:
        return reason
    who = campaign.moved_by or "somebody"
    return replace(reason, message=f"{reason.message} {who} did it at {campaign.moved_at:%Y-%m-%d %H:%M:%S} UTC.")


def _ends(counts: Counts, reasons: Mapping[tuple[str, str], int]) -> str:
    """How the subscribers of a campaign ended, with the reasons for those who were not reached."""
    said = [f"{counts.reached} reached"]
    for state in ("exhausted", "excluded"):
        by_reason = ", ".join(f"{count} {reason}" for (of, reason), count in reasons.items() if of == state)
        said += [f"{state}: {by_reason}"] if by_reason else []
    said += [f"{counts.pending} never called"] if counts.pending else []
    return f"Of {counts.total}: {'; '.join(said)}."


DIALER_DOWN = Reason(
    code="dialer_down", message="No dialer process is running; see the service's log, or start it with python main.py."
)

SOUND_MISSING = Reason(
    code="sound_missing",
    message="The files of the sound are gone from the data folder; bring them back, or make a new campaign.",
)


def _of_callbase(callbase: Callbase, progress: CampaignProgress) -> list[Reason]:
    if callbase.state == "importing":
        message = f"The callbase is still being imported ({callbase.rows_done} rows so far); dialing starts when it is."
        return [Reason(code="callbase_importing", message=message)]
    if callbase.state == "failed":
        return [Reason(code="callbase_failed", message=f"The import of the callbase failed: {callbase.error}")]
    if progress.counts.total == 0:
        return [Reason(code="callbase_empty", message="The callbase has no subscribers; add some.")]
    return []


def _of_trunks(
    campaign: Campaign, trunks: Mapping[int, Trunk], statuses: Mapping[int, TrunkStatus], now: datetime
) -> list[Reason]:
    """A resting trunk blocks only when no other is left."""
    unusable = [trunks[key] for key in campaign.trunk_keys if key in trunks and trunks[key].problem is not None]
    usable = [trunks[key] for key in campaign.trunk_keys if key in trunks and trunks[key] not in unusable]
    found = [(trunk, statuses[trunk.key]) for trunk in usable if trunk.key in statuses]
    resting = [(trunk, status) for trunk, status in found if status.breaker_state == RESTING and _lasts(status, now)]
    unregistered = [
        (trunk, status)
        for trunk, status in found
        if trunk.register and status.registration_state != REGISTERED and (trunk, status) not in resting
    ]
    probing = [(trunk, status) for trunk, status in found if status.breaker_state == PROBING]
    none_left = len(unusable) + len(resting) + len(unregistered) == len(campaign.trunk_keys)
    return (
        [
            Reason(
                code="trunk_unusable",
                message=f"Trunk {trunk.name} cannot be used: {trunk.problem}",
                blocks=none_left,
            )
            for trunk in unusable
        ]
        + [
            Reason(
                code="trunk_resting",
                message=f"Trunk {trunk.name} rests because it failed by itself: {_cause(status)}",
                until=status.breaker_until,
                blocks=none_left,
            )
            for trunk, status in resting
        ]
        + [
            Reason(
                code="trunk_not_registered",
                message=f"Trunk {trunk.name} is not registered with its provider"
                f" ({status.registration_state}), and nothing is dialled before: {_why_not_registered(status)}",
                blocks=none_left,
            )
            for trunk, status in unregistered
        ]
        + [
            Reason(
                code="trunk_probing",
                message=f"Trunk {trunk.name} failed and is tried with one call: {_cause(status)}",
                blocks=False,
            )
            for trunk, status in probing
        ]
    )


def _cause(status: TrunkStatus) -> str:
    return status.breaker_cause or "no cause is known."


def _why_not_registered(status: TrunkStatus) -> str:
    return status.registration_error or "the provider has not answered yet."


def _lasts(status: TrunkStatus, now: datetime) -> bool:
    return status.breaker_until is None or status.breaker_until > now


def _of_pace(campaign: Campaign, trunks: Sequence[Trunk], status: CampaignStatus, *, nothing_due: bool) -> list[Reason]:
    """What the dialer met when it last wanted to start more calls. Calls go on anyway, except outside the hours.

    Where there is nothing to start, neither a rate nor a channel is the reason.
    """
    channels = ", ".join(f"{trunk.max_channels} of {trunk.name}" for trunk in trunks)
    rates = ", ".join(f"{trunk.cps:g} a second by {trunk.name}" for trunk in trunks)
    messages = {
        CampaignLimit.CAMPAIGN_CHANNELS: f"All {campaign.max_channels} channels of the campaign are busy;"
        " a call starts when another ends. The limit is max_channels of the campaign.",
        CampaignLimit.CAMPAIGN_CPS: f"The campaign starts {campaign.cps or 0:g} calls a second."
        " The limit is cps of the campaign.",
        CampaignLimit.TRUNK_CHANNELS: f"All channels of its trunks are busy ({channels});"
        " a call starts when another ends. The limit is max_channels of the trunk.",
        CampaignLimit.TRUNK_CPS: f"Its trunks start calls as fast as they are allowed to ({rates})."
        " The limit is cps of the trunk.",
        CampaignLimit.WINDOW_CLOSED: "It is outside the calling hours of everybody who is left.",
        CampaignLimit.BEFORE_START: "The campaign begins later.",
        CampaignLimit.AFTER_END: "The campaign has come to its end; it is finished once its last calls are over.",
        CampaignLimit.MACHINE_SHARE: "This machine has no more calls free for you: what it can have up at once"
        " (DIALER_RTP_PORTS) is shared evenly among the users with calls to make.",
        CampaignLimit.TRUNK_IN_DOUBT: "No call has got through its trunk lately, so few are tried until one rings.",
    }
    if status.limited_by is None or status.limited_by not in messages:
        return []
    if nothing_due and status.limited_by not in SHUT:
        return []
    code, message = PACE_CODES[status.limited_by], messages[status.limited_by]
    return [Reason(code=code, message=message, until=status.until, blocks=status.limited_by in SHUT)]


SHUT = (CampaignLimit.WINDOW_CLOSED, CampaignLimit.BEFORE_START, CampaignLimit.AFTER_END)
PACE_CODES: Mapping[CampaignLimit, str] = {
    CampaignLimit.CAMPAIGN_CHANNELS: "channels_busy",
    CampaignLimit.TRUNK_CHANNELS: "trunk_channels_busy",
    CampaignLimit.CAMPAIGN_CPS: "cps_reached",
    CampaignLimit.TRUNK_CPS: "trunk_cps_reached",
    CampaignLimit.TRUNK_IN_DOUBT: "trunk_in_doubt",
    CampaignLimit.MACHINE_SHARE: "machine_share",
    CampaignLimit.WINDOW_CLOSED: "window_closed",
    CampaignLimit.BEFORE_START: "not_started_yet",
    CampaignLimit.AFTER_END: "ended",
}


def _of_queue(progress: CampaignProgress, waiting: Sequence[Waiting], now: datetime) -> list[Reason]:
    """Why there is nothing to start: all that are left wait, or are being called."""
    counts = progress.counts
    nothing_due = progress.next_due is None or progress.next_due > now
    left = counts.pending + counts.in_progress
    untouched = counts.pending and progress.active_calls + _jobs(waiting) < left
    if not left or not nothing_due or untouched:
        return []
    if progress.next_due is None:
        message = f"The last {left} calls are under way; there is no other number left."
        return [Reason(code="all_in_progress", message=message, blocks=False)] if not counts.pending else []
    caps = [each for each in waiting if each.rule in CAPS]
    windows = [each for each in waiting if each.rule == WINDOW]
    retries = [each for each in waiting if each.rule not in (*CAPS, WINDOW, TRUNK)]
    found = []
    elsewhere = [each for each in waiting if each not in retries]
    if retries or not elsewhere:
        late = left - progress.active_calls - _jobs(elsewhere)
        message = f"All that are left ({late}) wait for their next attempt{_by_rule(retries)}."
        until = retries[0].next_at if retries else progress.next_due
        found.append(Reason(code="waiting_for_retry", message=message, until=until))
    if caps:
        message = (
            f"{_jobs(caps)} subscribers wait: campaigns have called them as often as the caps allow{_by_rule(caps)}."
        )
        found.append(Reason(code="waiting_for_cap", message=message, until=caps[0].next_at))
    if windows:
        message = f"{_jobs(windows)} subscribers wait until their calling window opens."
        found.append(Reason(code="waiting_for_window", message=message, until=windows[0].next_at))
    return found


def _of_waiting_for_trunk(waiting: Sequence[Waiting]) -> list[Reason]:
    """Whose calls failed by the trunk's fault; what else there is to dial goes on."""
    count = _jobs([each for each in waiting if each.rule == TRUNK])
    if not count:
        return []
    message = (
        f"{count} subscribers wait for the trunk: their calls failed by its fault."
        " They are called again, and it costs them no attempt."
    )
    return [Reason(code="waiting_for_trunk", message=message, blocks=False)]


CAPS = (CAP_DAY, CAP_WEEK)


def _jobs(waiting: Sequence[Waiting]) -> int:
    return sum(each.jobs for each in waiting)


def _by_rule(waiting: Sequence[Waiting]) -> str:
    return f": {', '.join(f'{each.jobs} {each.rule}' for each in waiting)}" if waiting else ""

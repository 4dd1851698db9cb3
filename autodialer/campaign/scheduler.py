"""Which call jobs may start now: CPS and channels of trunks and campaigns, the trunks' rest, fair turns. Pure."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from autodialer.campaign.breaker import TRIP_AFTER, Breaker, Fault, is_trunk_side
from autodialer.campaign.pacing import UNLIMITED, Channels, TokenBucket
from autodialer.campaign.shares import fair_shares
from autodialer.campaign.turns import Turns
from autodialer.model import (
    CallOutcome,
    Campaign,
    CampaignLimit,
    CampaignStatus,
    ClaimedJob,
    ClaimRequest,
    Disposition,
    Trunk,
    TrunkStatus,
)

WORTH_TELLING_S = 2.0
"""A shorter wait for the next call of a slow rate is over before anyone has read about it."""


@dataclass(frozen=True, kw_only=True)
class Allowance:
    """How many calls may start now, and what does not let more."""

    calls: int
    limit: CampaignLimit


@dataclass(kw_only=True)
class Pace:
    """Limits of one trunk or one campaign, with what is in use of them."""

    bucket: TokenBucket | None
    """None: a campaign without a rate of its own."""
    channels: Channels

    @classmethod
    def of(cls, limits: Trunk | Campaign) -> "Pace":
        """The pace that a trunk or a campaign sets."""
        bucket = TokenBucket(cps=limits.cps) if limits.cps is not None else None
        return cls(bucket=bucket, channels=Channels(limit=limits.max_channels))

    def update(self, limits: Trunk | Campaign) -> None:
        """Take over changed limits; calls in progress keep their channels."""
        if limits.cps is None or self.bucket is None:
            self.bucket = TokenBucket(cps=limits.cps) if limits.cps is not None else None
        elif self.bucket.cps != limits.cps:
            self.bucket.set_rate(limits.cps)
        self.channels.limit = limits.max_channels

    def allowed(self, now: float, *, channels: CampaignLimit, cps: CampaignLimit) -> Allowance:
        """Calls that may start now; `channels` and `cps` are the names of the two limits."""
        tokens = self.bucket.available(now) if self.bucket is not None else UNLIMITED
        free = self.channels.free
        return Allowance(calls=free, limit=channels) if free <= tokens else Allowance(calls=tokens, limit=cps)

    def start(self, call: object) -> None:
        """A call starts: one token, one channel."""
        if self.bucket is not None:
            self.bucket.take(1)
        self.channels.hold(call)

    @property
    def wait_s(self) -> float:
        """Seconds until its rate lets one call start."""
        return self.bucket.wait_s() if self.bucket is not None else 0.0


@dataclass(frozen=True, kw_only=True)
class Ended:
    """What the end of a call says of its trunk."""

    trunk_changed: bool
    """Whether the trunk's state changed."""
    fault: Fault | None
    """None: the call did not fail on the trunk's side."""


class Scheduler:
    """Knows what is in the air and answers how many jobs of which campaign may be claimed for which trunk.

    Times are monotonic seconds. It holds no job that is not being dialled: the queue is the store's.
    """

    def __init__(self, room: int = UNLIMITED) -> None:
        """`room`: the calls that the machine can have up at once."""
        self._room = room
        self._user_of: dict[object, int] = {}
        """Call in the air -> the user whose campaign it is of."""
        self._users = Turns()
        self._turns_of_user: dict[int, Turns] = {}
        self._campaigns: dict[int, Campaign] = {}
        self._campaign_paces: dict[int, Pace] = {}
        self._trunk_paces: dict[int, Pace] = {}
        self._breakers: dict[int, Breaker] = {}
        self._turns: dict[int, Turns] = {}
        """Of each trunk."""
        self._met: dict[int, Counter[CampaignLimit]] = {}
        """Campaign -> what kept it from starting more calls since `campaign_statuses` was asked last."""
        self._faults: dict[tuple[int, int, int], int] = {}
        """(trunk, campaign, subscriber) whose last call failed on the trunk's side -> calls that had got through."""
        self._trunks: dict[int, Trunk] = {}
        """As they were seen last."""

    def update(self, campaigns: Sequence[Campaign], trunks: Mapping[int, Trunk], now: float) -> None:
        """Take over the campaigns that run now and the present limits."""
        running = {campaign.key: campaign for campaign in campaigns}
        for gone in self._campaigns.keys() - running.keys():
            self._met.pop(gone, None)
            for turns in (*self._turns.values(), *self._turns_of_user.values()):
                turns.forget(gone)
            self._faults = {person: count for person, count in self._faults.items() if person[1] != gone}
        self._campaigns = running
        _update_paces(self._campaign_paces, campaigns, now)
        _update_paces(self._trunk_paces, trunks.values(), now)
        for key, trunk in trunks.items():
            self._breakers.setdefault(key, Breaker())
            self._turns.setdefault(key, Turns())
            before = self._trunks.get(key, trunk)
            if _ways(before) != _ways(trunk):
                self.wake(key)
            self._trunks[key] = trunk

    def wake(self, trunk_key: int) -> bool:
        """The trunk may have been mended: its rest ends at once. Returns whether that changed its state."""
        breaker = self._breakers.get(trunk_key)
        return breaker.wake() if breaker is not None else False

    def requests(
        self, now: float, usable: Mapping[int, int], *, skip: Collection[int] = frozenset()
    ) -> list[ClaimRequest]:
        """What may be claimed now.

        `usable`: trunk key -> calls that its phones can take, absent when none. `skip`: campaigns with nothing due.
        A campaign uses its trunks in their order: the next one gets what the ones before it, resting or full, do not
        take. Campaigns that share a trunk get equally many calls of it.
        """
        left = {
            key: self._campaign_paces[key].allowed(
                now, channels=CampaignLimit.CAMPAIGN_CHANNELS, cps=CampaignLimit.CAMPAIGN_CPS
            )
            for key in self._campaigns
            if key not in skip
        }
        trunks_of = {key: self._usable_trunks(self._campaigns[key], usable) for key in left}
        allowances = {key: self._trunk_allowance(key, now, usable) for keys in trunks_of.values() for key in keys}
        free = {key: allowance.calls for key, allowance in allowances.items()}
        # What the trunks take: a user whose trunks are small holds nothing up for the others.
        able = {key: min(left[key].calls, sum(free[trunk] for trunk in trunks_of[key])) for key in left}
        cut = self._beyond_shares(able)
        wanted = {key: cut.get(key, allowance.calls) for key, allowance in left.items()}
        requests = []
        for rank in range(max(map(len, trunks_of.values()), default=0)):
            for trunk_key, rivals in self._rivals(trunks_of, rank).items():
                given = self._turns[trunk_key].share({key: wanted[key] for key in rivals}, free[trunk_key])
                for key, limit in given.items():
                    wanted[key] -= limit
                    free[trunk_key] -= limit
                    requests.append(ClaimRequest(campaign_key=key, trunk_key=trunk_key, limit=limit))
        for key, allowance in left.items():
            own = wanted[key] == 0
            trunks = trunks_of[key]
            if key in cut and own:
                allowance = Allowance(calls=0, limit=CampaignLimit.MACHINE_SHARE)
            limit_met = allowance.limit if own else allowances[trunks[0]].limit if trunks else CampaignLimit.NO_TRUNK
            self._met.setdefault(key, Counter())[limit_met] += 1
        return requests

    def _beyond_shares(self, able: Mapping[int, int]) -> dict[int, int]:
        """The campaigns that may start fewer calls than they are able to, by their users' shares of the machine."""
        up = Counter(self._user_of.values())
        free = max(0, self._room - up.total())
        of_user: dict[int, dict[int, int]] = {}
        if sum(able.values()) <= free:
            return {}
        for key, calls in able.items():
            of_user.setdefault(self._campaigns[key].owner_key, {})[key] = calls
        demand = {user: up[user] + sum(calls.values()) for user, calls in of_user.items()}
        # Calls of a user who asks for no more stay up; they are no part of what the others share.
        others = sum(calls for user, calls in up.items() if user not in demand)
        shares = fair_shares(demand, max(0, self._room - others))
        open_to = {user: max(0, shares[user] - up[user]) for user in demand}
        given = self._users.share(open_to, free)
        allowed = dict.fromkeys(able, 0)
        for user, calls in given.items():
            allowed |= self._turns_of_user.setdefault(user, Turns()).share(of_user[user], calls)
        return {key: calls for key, calls in allowed.items() if calls < able[key]}

    def started(self, job: ClaimedJob, now: float) -> None:
        """The job's call leaves."""
        for pace in self._paces_of(job):
            pace.start(job.call_id)
        self._turns[job.trunk_key].started(job.campaign_key)
        campaign = self._campaigns.get(job.campaign_key)
        if campaign is not None:
            self._user_of[job.call_id] = campaign.owner_key
            self._users.started(campaign.owner_key)
            self._turns_of_user.setdefault(campaign.owner_key, Turns()).started(campaign.key)
        self._breakers[job.trunk_key].started(job.call_id, now)

    def heard(self, job: ClaimedJob) -> None:
        """The gateway answered something."""
        self._breakers[job.trunk_key].heard(job.call_id)

    def rang(self, job: ClaimedJob) -> bool:
        """The call got through to the callee. Returns whether the trunk's state changed."""
        return self._breakers[job.trunk_key].rang(job.call_id)

    def ended(self, job: ClaimedJob, outcome: CallOutcome, now: float) -> Ended:
        """The call is over: its channels are free."""
        self._release(job)
        breaker = self._breakers[job.trunk_key]
        changed = breaker.ended(job.call_id, outcome, now)
        person = (job.trunk_key, job.campaign_key, job.subscriber_key)
        before = self._faults.pop(person, None)
        if not is_trunk_side(outcome):
            return Ended(trunk_changed=changed, fault=None)
        # Fewer may have got through between two outages.
        works_for_others = before is not None and breaker.got_through - before >= TRIP_AFTER
        # A number that was found to blame stays to blame: its retries may come when there is nobody else to call.
        self._faults[person] = breaker.got_through - (TRIP_AFTER if works_for_others else 0)
        # A trunk that is full now and then answers 5xx without being broken; the retry rule is made for that.
        is_congested = outcome.disposition is Disposition.CONGESTION
        return Ended(trunk_changed=changed, fault=Fault(of_number=works_for_others or is_congested))

    def unstarted(self, job: ClaimedJob) -> None:
        """The call could not leave after all: nothing is in the air and nothing is learnt of the trunk."""
        self._release(job)
        self._breakers[job.trunk_key].forget(job.call_id)

    def check_starts(self, trunk: Trunk, call: object, now: float) -> bool:
        """The test call of a check wants to leave: it takes a channel and a token of its trunk, if there are any.

        The trunk's rest does not keep it: a check is how its owner finds out what is wrong.
        """
        if trunk.key not in self._trunk_paces:
            self._trunk_paces[trunk.key] = Pace.of(trunk)
        pace = self._trunk_paces[trunk.key]
        if pace.allowed(now, channels=CampaignLimit.TRUNK_CHANNELS, cps=CampaignLimit.TRUNK_CPS).calls < 1:
            return False
        pace.start(call)
        return True

    def check_ended(self, trunk_key: int, call: object) -> None:
        """The test call is over; harmless when it never started."""
        pace = self._trunk_paces.get(trunk_key)
        if pace is not None:
            pace.channels.release(call)

    def statuses(self, now: float, utcnow: datetime) -> list[TrunkStatus]:
        """Live state of every trunk that this dialer has used."""
        return [self._status(key, breaker, now, utcnow) for key, breaker in self._breakers.items()]

    def _status(self, key: int, breaker: Breaker, now: float, utcnow: datetime) -> TrunkStatus:
        until = utcnow + timedelta(seconds=breaker.until - now) if breaker.until is not None else None
        pace = self._trunk_paces.get(key)
        return TrunkStatus(
            trunk_key=key,
            breaker_state=breaker.state.value,
            breaker_until=until,
            breaker_cause=breaker.cause,
            active_calls=pace.channels.in_use if pace else 0,
        )

    def campaign_statuses(self, utcnow: datetime) -> list[CampaignStatus]:
        """What has kept each running campaign from starting more calls since this was asked last, mostly."""
        statuses = []
        for key in self._campaigns:
            met = self._met.pop(key, None)
            limit = met.most_common(1)[0][0] if met else None
            statuses.append(CampaignStatus(campaign_key=key, limited_by=limit, until=self._until(key, limit, utcnow)))
        return statuses

    def _until(self, key: int, limit: CampaignLimit | None, utcnow: datetime) -> datetime | None:
        """When a slow rate lets the next call start; None where that is soon, or not a question of time."""
        wait_s = 0.0
        if limit is CampaignLimit.CAMPAIGN_CPS:
            wait_s = self._campaign_paces[key].wait_s
        elif limit is CampaignLimit.TRUNK_CPS:
            paces = [
                self._trunk_paces[trunk] for trunk in self._campaigns[key].trunk_keys if trunk in self._trunk_paces
            ]
            wait_s = min((pace.wait_s for pace in paces), default=0.0)
        return utcnow + timedelta(seconds=wait_s) if wait_s >= WORTH_TELLING_S else None

    def _usable_trunks(self, campaign: Campaign, usable: Mapping[int, int]) -> list[int]:
        return [key for key in campaign.trunk_keys if key in self._breakers and key in usable]

    def _rivals(self, trunks_of: Mapping[int, Sequence[int]], rank: int) -> dict[int, list[int]]:
        """Trunk -> the campaigns that have it in this place of their order."""
        rivals: dict[int, list[int]] = {}
        for key, trunks in trunks_of.items():
            if rank < len(trunks):
                rivals.setdefault(trunks[rank], []).append(key)
        return rivals

    def _trunk_allowance(self, key: int, now: float, usable: Mapping[int, int]) -> Allowance:
        pace = self._trunk_paces[key].allowed(now, channels=CampaignLimit.TRUNK_CHANNELS, cps=CampaignLimit.TRUNK_CPS)
        limits = [pace, Allowance(calls=usable[key], limit=CampaignLimit.TRUNK_CHANNELS)]
        trust = self._breakers[key].allowed(now)
        if trust is not None:
            limits.append(Allowance(calls=trust, limit=CampaignLimit.TRUNK_IN_DOUBT))
        return min(limits, key=lambda allowance: allowance.calls)

    def _release(self, job: ClaimedJob) -> None:
        self._user_of.pop(job.call_id, None)
        for pace in self._paces_of(job):
            pace.channels.release(job.call_id)

    def _paces_of(self, job: ClaimedJob) -> Iterable[Pace]:
        paces = (self._campaign_paces.get(job.campaign_key), self._trunk_paces.get(job.trunk_key))
        return [pace for pace in paces if pace]


LIMITS_AND_NAMES = {
    "name": "",
    "max_channels": 1,
    "cps": 1.0,
    "caller_ids": (),
    "price_per_min": None,
    "allowed_countries": None,
    "allowed_special": (),
    "max_calls_day": None,
    "max_minutes_day": None,
}
"""What mends no trunk when it is changed."""


def _ways(trunk: Trunk) -> Trunk:
    """The settings by which calls get to the provider, to be compared."""
    return replace(trunk, **LIMITS_AND_NAMES)  # type: ignore[arg-type]


def _update_paces(paces: dict[int, Pace], limits: Iterable[Trunk | Campaign], now: float) -> None:
    """Keep the paces of what is listed, still has calls, or has called lately; forget the others.

    Who pauses and resumes does not get a call ahead of the rate.
    """
    listed = {limit.key: limit for limit in limits}
    for key, limit in listed.items():
        if key in paces:
            paces[key].update(limit)
        else:
            paces[key] = Pace.of(limit)
    unlisted = [(key, pace) for key, pace in paces.items() if key not in listed]
    for key, pace in unlisted:
        if not pace.channels.in_use and (pace.bucket is None or pace.bucket.is_as_new(now)):
            del paces[key]

"""Which call jobs may start now: CPS and channels of trunks and campaigns, the trunks' rest, fair turns. Pure."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from autodialer.campaign.breaker import Breaker
from autodialer.campaign.pacing import Channels, TokenBucket
from autodialer.model import CallOutcome, Campaign, ClaimedJob, ClaimRequest, Trunk, TrunkStatus


@dataclass(kw_only=True)
class Pace:
    """Limits of one trunk or one campaign, with what is in use of them."""

    bucket: TokenBucket
    channels: Channels

    @classmethod
    def of(cls, limits: Trunk | Campaign) -> "Pace":
        """The pace that a trunk or a campaign sets."""
        return cls(bucket=TokenBucket(cps=limits.cps), channels=Channels(limit=limits.max_channels))

    def update(self, limits: Trunk | Campaign) -> None:
        """Take over changed limits; calls in progress keep their channels."""
        if self.bucket.cps != limits.cps:
            self.bucket.set_rate(limits.cps)
        self.channels.limit = limits.max_channels

    def allowed(self, now: float) -> int:
        """Calls that may start now."""
        return min(self.bucket.available(now), self.channels.free)

    def start(self, call: object) -> None:
        """A call starts: one token, one channel."""
        self.bucket.take(1)
        self.channels.hold(call)


class Scheduler:
    """Knows what is in the air and answers how many jobs of which campaign may be claimed for which trunk.

    Times are monotonic seconds. It holds no job that is not being dialled: the queue is the store's.
    """

    def __init__(self) -> None:
        self._campaigns: dict[int, Campaign] = {}
        self._campaign_paces: dict[int, Pace] = {}
        self._trunk_paces: dict[int, Pace] = {}
        self._breakers: dict[int, Breaker] = {}
        self._turn = 0

    def update(self, campaigns: Sequence[Campaign], trunks: Mapping[int, Trunk]) -> None:
        """Take over the campaigns that run now and the present limits."""
        self._campaigns = {campaign.key: campaign for campaign in campaigns}
        _update_paces(self._campaign_paces, campaigns)
        _update_paces(self._trunk_paces, trunks.values())
        for key in trunks:
            self._breakers.setdefault(key, Breaker())

    def requests(
        self, now: float, usable: Mapping[int, int], *, skip: Collection[int] = frozenset()
    ) -> list[ClaimRequest]:
        """What may be claimed now.

        `usable`: trunk key -> calls that its phones can take, absent when none. `skip`: campaigns with nothing due.
        Campaigns that share a trunk take turns in being first. A campaign uses the first of its trunks that does not
        rest.
        """
        left: dict[int, int] = {}
        requests = []
        for campaign in self._in_turn():
            if campaign.key in skip:
                continue
            trunk_key = self._trunk_for(campaign, now, usable)
            if trunk_key is None:
                continue
            if trunk_key not in left:
                left[trunk_key] = self._trunk_allowance(trunk_key, now, usable)
            limit = min(left[trunk_key], self._campaign_paces[campaign.key].allowed(now))
            if limit > 0:
                left[trunk_key] -= limit
                requests.append(ClaimRequest(campaign_key=campaign.key, trunk_key=trunk_key, limit=limit))
        return requests

    def started(self, job: ClaimedJob, now: float) -> None:
        """The job's call leaves."""
        for pace in self._paces_of(job):
            pace.start(job.call_id)
        self._breakers[job.trunk_key].started(job.call_id, now)

    def heard(self, job: ClaimedJob) -> None:
        """The gateway answered something."""
        self._breakers[job.trunk_key].heard(job.call_id)

    def rang(self, job: ClaimedJob) -> bool:
        """The call got through to the callee. Returns whether the trunk's state changed."""
        return self._breakers[job.trunk_key].rang(job.call_id)

    def ended(self, job: ClaimedJob, outcome: CallOutcome, now: float) -> bool:
        """The call is over: its channels are free. Returns whether the trunk's state changed."""
        self._release(job)
        return self._breakers[job.trunk_key].ended(job.call_id, outcome, now)

    def unstarted(self, job: ClaimedJob) -> None:
        """The call could not leave after all: nothing is in the air and nothing is learnt of the trunk."""
        self._release(job)
        self._breakers[job.trunk_key].forget(job.call_id)

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

    def _in_turn(self) -> list[Campaign]:
        campaigns = list(self._campaigns.values())
        if not campaigns:
            return []
        self._turn = (self._turn + 1) % len(campaigns)
        return campaigns[self._turn :] + campaigns[: self._turn]

    def _trunk_for(self, campaign: Campaign, now: float, usable: Mapping[int, int]) -> int | None:
        for key in campaign.trunk_keys:
            if key in self._breakers and key in usable and self._breakers[key].allowed(now) != 0:
                return key
        return None

    def _trunk_allowance(self, key: int, now: float, usable: Mapping[int, int]) -> int:
        allowance = min(self._trunk_paces[key].allowed(now), usable[key])
        limit = self._breakers[key].allowed(now)
        return allowance if limit is None else min(allowance, limit)

    def _release(self, job: ClaimedJob) -> None:
        for pace in self._paces_of(job):
            pace.channels.release(job.call_id)

    def _paces_of(self, job: ClaimedJob) -> Iterable[Pace]:
        paces = (self._campaign_paces.get(job.campaign_key), self._trunk_paces.get(job.trunk_key))
        return [pace for pace in paces if pace]


def _update_paces(paces: dict[int, Pace], limits: Iterable[Trunk | Campaign]) -> None:
    """Keep the paces of what is listed or still has calls; forget the others."""
    listed = {limit.key: limit for limit in limits}
    for key, limit in listed.items():
        if key in paces:
            paces[key].update(limit)
        else:
            paces[key] = Pace.of(limit)
    for key in [key for key, pace in paces.items() if key not in listed and not pace.channels.in_use]:
        del paces[key]

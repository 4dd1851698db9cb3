"""The machine's calls are shared among users: each alone may have all, and nobody keeps the others out."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autodialer.campaign.scheduler import Scheduler
from autodialer.campaign.shares import fair_shares
from autodialer.model import Campaign, CampaignLimit, ClaimedJob, Disposition, Trunk
from tests.campaign.factories import NOW, campaign, job, outcome
from tests.campaign.test_scheduler import trunk

FAST = {"cps": None, "max_channels": None}


@pytest.mark.parametrize(
    ("wanted", "room", "shares"),
    [
        ({1: 100}, 10, {1: 10}),
        ({1: 100, 2: 100}, 10, {1: 5, 2: 5}),
        ({1: 100, 2: 2}, 10, {1: 8, 2: 2}),
        ({1: 100, 2: 2, 3: 100}, 10, {1: 4, 2: 2, 3: 4}),
        ({1: 9, 2: 9}, 3, {1: 2, 2: 1}),
        ({1: 1, 2: 1}, 10, {1: 1, 2: 1}),
        ({}, 10, {}),
    ],
)
def test_what_one_user_leaves_goes_to_the_others(wanted: dict[int, int], room: int, shares: dict[int, int]) -> None:
    assert fair_shares(wanted, room) == shares


@given(st.dictionaries(st.integers(1, 9), st.integers(0, 50)), st.integers(0, 60))
def test_shares_use_all_that_is_wanted_and_nobody_has_more_than_a_user_who_wants_more(
    wanted: dict[int, int], room: int
) -> None:
    shares = fair_shares(wanted, room)
    assert sum(shares.values()) == min(room, sum(wanted.values()))
    for user, share in shares.items():
        assert share <= wanted[user]
        if share < wanted[user]:
            assert all(other <= share + 1 for other in shares.values())


class Machine:
    """A scheduler whose claims all succeed, and the calls that are up."""

    def __init__(self, room: int, campaigns: list[Campaign], trunks: list[Trunk]) -> None:
        self.scheduler = Scheduler(room)
        self.trunks = {each.key: each for each in trunks}
        self.run(campaigns)
        self.up: list[ClaimedJob] = []
        self.now = 0.0
        self._made = 0

    def run(self, campaigns: list[Campaign]) -> None:
        self.owners = {each.key: each.owner_key for each in campaigns}
        self.scheduler.update(campaigns, self.trunks, 0.0)

    def tick(self, skip: frozenset[int] = frozenset()) -> None:
        self.now += 1.0
        for request in self.scheduler.requests(self.now, dict.fromkeys(self.trunks, 1000), skip=skip):
            for _ in range(request.limit):
                self._made += 1
                started = job(
                    key=self._made,
                    call_id=UUID(int=self._made),
                    campaign_key=request.campaign_key,
                    trunk_key=request.trunk_key,
                )
                self.scheduler.started(started, self.now)
                self.scheduler.heard(started)
                self.scheduler.rang(started)
                self.up.append(started)

    def end(self, count: int) -> None:
        """The oldest calls."""
        for ended in self.up[:count]:
            self.scheduler.ended(ended, outcome(Disposition.ANSWERED), self.now)
        del self.up[:count]

    def of(self, campaign_key: int) -> int:
        return sum(each.campaign_key == campaign_key for each in self.up)


def user(key: int, **changes: Any) -> Campaign:
    """A campaign of the user with that key, on that user's own trunk."""
    return campaign(**{"key": key, "owner_key": key, "trunk_keys": (key,), **FAST, **changes})


def wide(key: int, **changes: Any) -> Trunk:
    return trunk(key, **{"owner_key": key, "cps": 1000.0, "max_channels": 1000, "created_at": NOW, **changes})


def fill(machine: Machine) -> None:
    """A fresh trunk is given few calls until the first has got through."""
    for _ in range(40):
        machine.tick()


def test_a_user_who_is_alone_has_the_whole_machine() -> None:
    machine = Machine(20, [user(1)], [wide(1)])
    fill(machine)
    assert machine.of(1) == 20
    machine.tick()
    assert machine.of(1) == 20


def test_a_user_who_comes_gets_half_as_calls_end_and_no_more() -> None:
    machine = Machine(20, [user(1)], [wide(1), wide(2)])
    fill(machine)
    machine.run([user(1), user(2)])
    for _ in range(40):
        machine.end(2)
        machine.tick()
        assert len(machine.up) <= 20
    assert (machine.of(1), machine.of(2)) == (10, 10)


def test_a_user_without_work_holds_nothing_back() -> None:
    machine = Machine(20, [user(1), user(2)], [wide(1), wide(2)])
    fill(machine)
    machine.end(20)
    for _ in range(3):
        machine.tick(skip=frozenset((2,)))
    assert machine.of(1) == 20


def test_a_user_with_a_small_trunk_leaves_the_rest_to_the_other() -> None:
    machine = Machine(20, [user(1), user(2)], [wide(1), wide(2, max_channels=3)])
    for _ in range(60):
        machine.end(1)
        machine.tick()
    assert machine.of(2) == 3
    assert machine.of(1) == 17


def test_a_users_second_campaign_gets_calls_of_its_share_too() -> None:
    both = [user(1), replace(user(1), key=3), user(2)]
    machine = Machine(4, both, [wide(1), wide(2)])
    seen = set()
    for _ in range(40):
        machine.end(1)
        machine.tick()
        seen |= {each.campaign_key for each in machine.up}
    assert seen == {1, 2, 3}
    assert machine.of(2) == 2


def test_what_keeps_the_user_from_more_calls_is_said() -> None:
    machine = Machine(4, [user(1), user(2)], [wide(1), wide(2)])
    fill(machine)
    machine.scheduler.campaign_statuses(NOW)
    machine.tick()
    said = {each.campaign_key: each.limited_by for each in machine.scheduler.campaign_statuses(NOW)}
    assert said == {1: CampaignLimit.MACHINE_SHARE, 2: CampaignLimit.MACHINE_SHARE}

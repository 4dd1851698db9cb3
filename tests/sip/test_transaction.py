"""The state machines as tables: complete, and with timers only where the RFC has them."""

import pytest

from autodialer.sip.call import TABLE, CallState
from autodialer.sip.hop import Hop
from autodialer.sip.stack import Stack, UserAgentConfig
from autodialer.sip.timers import TimerQueue
from autodialer.sip.transaction import InviteClient, InviteServer, NonInviteClient, NonInviteServer, State, Transaction
from tests.sip.stepping import GATEWAY, LOCAL

MACHINES: list[type[Transaction]] = [InviteClient, NonInviteClient, InviteServer, NonInviteServer]


@pytest.mark.parametrize("machine", MACHINES)
def test_every_state_can_be_reached_and_left(machine: type[Transaction]) -> None:
    reached, frontier = {machine.FIRST}, [machine.FIRST]
    while frontier:
        state = frontier.pop()
        following = {arrow[1] for (start, _), arrow in machine.TABLE.items() if start is state}
        frontier += following - reached
        reached |= following
    assert {state for state, _ in machine.TABLE} <= reached
    assert State.TERMINATED in reached
    assert not [start for start, _ in machine.TABLE if start is State.TERMINATED]


@pytest.mark.parametrize("machine", MACHINES)
def test_a_timer_has_an_arrow_where_it_runs_and_runs_where_it_has_one(machine: type[Transaction]) -> None:
    running = {(state, f"Timer {timer}") for state, timers in machine.TIMERS.items() for timer in timers}
    drawn = {(state, happening) for state, happening in machine.TABLE if happening.startswith("Timer")}
    assert running == drawn


@pytest.mark.parametrize("machine", MACHINES)
def test_every_action_is_a_method_of_its_own_machine(machine: type[Transaction]) -> None:
    assert all(
        getattr(machine, action.__name__) is action for actions, _ in machine.TABLE.values() for action in actions
    )


def test_every_state_of_a_call_is_in_its_table() -> None:
    assert {state for state, _ in TABLE} | {state for _, state in TABLE.values()} == set(CallState)


def test_a_2xx_to_a_peers_invite_is_left_to_the_user_and_forgotten_after_64_t1() -> None:
    stack = Stack(UserAgentConfig(local_address=LOCAL))
    server = InviteServer(stack, ("key",), "INVITE", "x", Hop(*GATEWAY))
    server.begin(0.0)
    server.respond(180, b"ringing", 0.0)
    server.request_again(0.0)
    server.respond(200, b"ok", 1.0)
    server.request_again(1.0)
    assert [data for data, _ in stack.outbox] == [b"ringing", b"ringing", b"ok"]
    assert server.state is State.ACCEPTED and stack.timers.next_at() == 33.0
    stack.timers.fire(33.0)
    assert not stack.servers and len(stack.timers) == 0


def test_a_timer_that_raises_has_had_its_turn() -> None:
    timers = TimerQueue()
    fired: list[float] = []

    def broken(_now: float) -> None:
        raise RuntimeError("broken")

    timers.start(1.0, broken)
    timers.start(1.0, fired.append)
    with pytest.raises(RuntimeError):
        timers.fire(2.0)
    timers.fire(2.0)
    assert fired == [2.0] and timers.next_at() is None


def test_stopped_timers_do_not_pile_up() -> None:
    timers = TimerQueue()
    kept = [timers.start(float(number), lambda now: None) for number in range(10)]
    for number in range(10_000):
        timer = timers.start(1000.0 + number, lambda now: None)
        timers.stop(timer)
        timers.stop(timer)
    assert len(timers) == len(kept) == 10
    assert len(timers._heap) < 200
    assert timers.next_at() == 0.0

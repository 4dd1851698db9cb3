"""A few work, a few wait, the rest are told to come back."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from autodialer.api.upload_turns import MOST, MOST_OF_A_USER, USERS_SERVED, UploadTurns
from autodialer.errors import TooManyRequests, Unavailable
from tests.timing import at_most


@contextmanager
def waiting(turns: UploadTurns, user: int) -> Iterator[threading.Event]:
    """A thread that waits for its turn; the event is set while it has it."""
    has_turn, go_on = threading.Event(), threading.Event()

    def work() -> None:
        with turns.take(user):
            has_turn.set()
            go_on.wait(at_most(30))

    before = turns.seats.total
    thread = threading.Thread(target=work)
    thread.start()
    with turns._changed:
        assert turns._changed.wait_for(lambda: turns.seats.total > before or has_turn.is_set(), at_most(30))
    try:
        yield has_turn
    finally:
        go_on.set()
        thread.join(at_most(30))
        assert not thread.is_alive()


def test_a_users_second_sound_waits_and_the_third_is_told_to_come_back() -> None:
    turns = UploadTurns()
    with ExitStack() as stack:
        with turns.take(1):
            second = stack.enter_context(waiting(turns, 1))
            assert not second.is_set()
            with pytest.raises(TooManyRequests, match=f"{MOST_OF_A_USER} of your sounds") as refusal:
                stack.enter_context(turns.take(1))
            assert refusal.value.details == [{"retry_after_s": 3}]
        assert second.wait(at_most(30))
    with turns.take(1):
        pass


def test_a_user_with_sounds_waiting_holds_up_no_other() -> None:
    turns = UploadTurns()
    with ExitStack() as stack, turns.take(1):
        stack.enter_context(waiting(turns, 1))
        assert stack.enter_context(waiting(turns, 2)).wait(at_most(30))


def test_no_more_wait_than_leave_the_api_threads_to_answer_with() -> None:
    turns = UploadTurns()
    # The running ones end first: those that wait get their turn only then.
    with ExitStack() as stack, ExitStack() as first:
        running = [first.enter_context(waiting(turns, user)) for user in range(USERS_SERVED)]
        assert all(has_turn.wait(at_most(30)) for has_turn in running)
        others = [stack.enter_context(waiting(turns, user)) for user in range(USERS_SERVED, MOST)]
        with pytest.raises(Unavailable, match="Too many sounds"):
            stack.enter_context(turns.take(99))
        assert not any(has_turn.is_set() for has_turn in others)


def test_a_sound_that_fails_gives_its_turn_back() -> None:
    turns = UploadTurns()
    for _ in range(2 * MOST):
        with pytest.raises(ValueError, match="broken"), turns.take(1):
            raise ValueError("broken")

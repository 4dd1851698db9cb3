"""What takes longer than a tick is done beside it."""

import threading

from autodialer.dialing.chores import Chores
from autodialer.errors import Unavailable
from tests.timing import at_most


def test_a_chore_is_done_to_its_end_in_another_thread_and_then_may_be_wanted_again() -> None:
    chores, done = Chores(), threading.Event()
    left, threads = [3], set()

    def piece() -> bool:
        threads.add(threading.current_thread())
        left[0] -= 1
        if not left[0]:
            done.set()
        return left[0] > 0

    for _ in range(2):
        left[0] = 3
        done.clear()
        while not done.is_set():
            chores.want("count", piece)
            done.wait(0.01)
    chores.stop()
    chores.stop()
    assert threading.main_thread() not in threads and len(threads) == 1
    assert left[0] <= 0


def test_a_chore_that_fails_keeps_no_other_from_being_done() -> None:
    chores, done = Chores(), threading.Event()

    def broken() -> bool:
        raise KeyError

    def last() -> bool:
        done.set()
        return False

    chores.want("broken", broken)
    chores.want("last", last)
    assert done.wait(at_most(5))
    chores.stop()


def test_a_chore_that_meets_a_locked_database_goes_on_later() -> None:
    chores, done = Chores(), threading.Event()
    refusals = [1]

    def piece() -> bool:
        if refusals:
            refusals.pop()
            raise Unavailable
        done.set()
        return False

    chores.want("refused", piece)
    assert done.wait(at_most(10))
    chores.stop()


def test_chores_take_turns_so_that_a_long_one_holds_up_no_other() -> None:
    chores, done, stop = Chores(), threading.Event(), threading.Event()

    def endless() -> bool:
        return not stop.is_set()

    def short() -> bool:
        done.set()
        return False

    chores.want("endless", endless)
    chores.want("short", short)
    assert done.wait(5)
    stop.set()
    chores.stop()

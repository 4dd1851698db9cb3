"""The guard of the pure tier catches what it is there for."""

import contextlib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest

from tests.purity import Impure, purity


class Unmarked:
    """As much of a test as the guard looks at."""

    def get_closest_marker(self, _name: str) -> None:
        """No marker."""


class Marked:
    """A test with every marker."""

    def get_closest_marker(self, name: str) -> str:
        """The marker asked for."""
        return name


def bind() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))


def run() -> None:
    subprocess.run([sys.executable, "-c", ""], check=True)


def sleep() -> None:
    time.sleep(0.05)


@pytest.mark.process
@pytest.mark.parametrize("impure", [bind, run, sleep])
def test_an_unmarked_test_that_leaves_its_tier_is_stopped_and_fails(impure: Callable[[], None]) -> None:
    with pytest.raises(pytest.fail.Exception, match="no marker"), purity(Unmarked()), pytest.raises(Impure):
        impure()


@pytest.mark.process
def test_what_a_thread_swallows_fails_the_test_too() -> None:
    def swallow() -> None:
        with contextlib.suppress(BaseException):
            bind()

    thread = threading.Thread(target=swallow)

    def swallow_in_a_thread() -> None:
        thread.start()
        thread.join()

    with pytest.raises(pytest.fail.Exception, match=r"socket\.bind"), purity(Unmarked()):
        swallow_in_a_thread()


@pytest.mark.process
@pytest.mark.parametrize("impure", [bind, run, sleep])
def test_a_marked_test_may(impure: Callable[[], None]) -> None:
    with purity(Marked()):
        impure()

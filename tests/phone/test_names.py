"""Names that peers choose: asked for once at a time, remembered, bounded, and always answered."""

import threading
from collections.abc import Callable, Iterator

import pytest

from autodialer.errors import HostUnresolved
from autodialer.phone import names
from autodialer.phone.names import NameFinder
from autodialer.sip.hop import UDP, Hop
from autodialer.sip.locate import Located
from tests.timing import at_most

HOP = Hop("192.0.2.7", 5060)


class SlowResolver:
    """Answers when it is let; a name that begins with `no` is not there, `bug` is an error of ours."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.free = threading.Event()

    def locate(
        self, host: str, port: int | None = None, transport: str = UDP, *, families: tuple[int, ...] = (4,)
    ) -> Located:
        self.asked.append(host)
        assert self.free.wait(at_most(10.0))
        if host.startswith("no"):
            raise HostUnresolved(f"the name {host} does not exist")
        if host.startswith("bug"):
            raise ZeroDivisionError
        return Located(targets=(HOP,), ttl_s=60.0)


class Told:
    """What came back."""

    def __init__(self) -> None:
        self.answers: list[tuple[Hop | None, str]] = []
        self.came = threading.Semaphore(0)

    def __call__(self, hop: Hop | None, why: str) -> None:
        self.answers.append((hop, why))
        self.came.release()

    def wait(self, count: int = 1) -> list[tuple[Hop | None, str]]:
        for _ in range(count):
            assert self.came.acquire(timeout=at_most(5.0))
        return self.answers


@pytest.fixture
def resolver() -> SlowResolver:
    return SlowResolver()


@pytest.fixture
def finder(resolver: SlowResolver) -> Iterator[NameFinder]:
    made = NameFinder(resolver)  # type: ignore[arg-type]
    yield made
    resolver.free.set()
    made.close()


def test_calls_that_want_one_name_ask_once_and_it_is_remembered(resolver: SlowResolver, finder: NameFinder) -> None:
    told = Told()
    for name in ("media.example", "MEDIA.example", "media.example"):
        finder.find_address(name, 4, told)
    resolver.free.set()
    assert told.wait(count=3) == [(HOP, "")] * 3
    finder.find_address("media.example", 4, told)
    assert told.wait() == [(HOP, "")] * 4, "told at once"
    assert resolver.asked == ["media.example"]


@pytest.mark.parametrize(("name", "why"), [("no.example", "does not exist"), ("bug.example", "the log of the dialer")])
def test_a_name_that_is_not_found_is_answered_and_not_asked_for_by_each_call(
    resolver: SlowResolver, finder: NameFinder, name: str, why: str
) -> None:
    resolver.free.set()
    told = Told()
    finder.find_address(name, 4, told)
    told.wait()
    finder.find_address(name, 4, told)
    assert [hop for hop, _ in told.wait()] == [None, None]
    assert all(why in reason for _, reason in told.answers)
    assert resolver.asked == [name]


def test_peers_that_name_more_hosts_than_are_looked_up_are_answered_at_once(
    finder: NameFinder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names, "MOST_ASKED", 3)
    waiting, refused = Told(), Told()
    for number in range(3):
        finder.find_address(f"h{number}.example", 4, waiting)
    finder.find_address("h3.example", 4, refused)
    assert "too many names" in refused.wait()[0][1]
    assert waiting.answers == []


def test_after_the_end_nothing_is_looked_up(resolver: SlowResolver, finder: NameFinder) -> None:
    finder.close()
    told: Told = Told()
    ask: Callable[..., None] = finder.find_address
    ask("media.example", 4, told)
    assert told.wait()[0][0] is None and resolver.asked == []

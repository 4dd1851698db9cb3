"""Both ways in which packets leave, on the same decks: what comes out of the sockets is the same."""

import random
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise

import pytest

from autodialer.media import rtp
from autodialer.media.deck import Deck
from autodialer.media.session import FRAME, Session
from autodialer.media.shell.senders import BatchSender, Line, PortableSender, Sender, best_sender
from tests.peers.ports import LOCALHOST

pytestmark = pytest.mark.loopback

SENDERS = [PortableSender] + ([BatchSender] if sys.platform == "linux" else [])
SOUND = bytes(n % 251 for n in range(10 * FRAME))


@dataclass(kw_only=True)
class OwnLine:
    """A line of the test."""

    name: str
    session: Session
    socket: socket.socket
    shares_socket: bool = False

    @property
    def descriptor(self) -> int:
        return self.socket.fileno()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def bound(stack: ExitStack, host: str = LOCALHOST) -> socket.socket:
    made = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    made.bind((host, 0))
    made.settimeout(0)
    return made


def calls(
    stack: ExitStack, count: int, *, remote: tuple[str, int] | None = None
) -> tuple[Deck[Line], list[socket.socket]]:
    """A deck of calls, each with a callee of its own, the same each time it is made."""
    deck: Deck[Line] = Deck()
    callees = [bound(stack) for _ in range(count)]
    for number, callee in enumerate(callees):
        session = Session(random.Random(number))
        session.play(
            remote=remote or callee.getsockname(),
            codec="PCMA",
            payload_type=8,
            codes=SOUND[number % 20 :],
            telephone_event_pt=None,
            lead_in_ms=20 * (number % 3),
        )
        own = bound(stack)
        deck.add(session, OwnLine(name=str(number), session=session, socket=own), own.fileno())
    return deck, callees


def received(callees: list[socket.socket]) -> list[list[bytes]]:
    """What came to each."""
    heard: list[list[bytes]] = []
    for callee in callees:
        heard.append([])
        while True:
            try:
                heard[-1].append(callee.recv(2048))
            except BlockingIOError:
                break
    return heard


def through_own(sender: Sender, deck: Deck[Line], _stack: ExitStack) -> list[int]:
    return sender.send_each(deck)


def through_shared(sender: Sender, deck: Deck[Line], stack: ExitStack) -> list[int]:
    return sender.send_shared(deck, bound(stack))


WAYS: list[Callable[[Sender, Deck[Line], ExitStack], list[int]]] = [through_own, through_shared]


@pytest.mark.parametrize("way", WAYS)
def test_every_packet_arrives_as_the_deck_says_whoever_sends_it(
    stack: ExitStack, way: Callable[[Sender, Deck[Line], ExitStack], list[int]]
) -> None:
    heard = []
    for kind in SENDERS:
        deck, callees = calls(stack, 150)
        expected: list[list[bytes]] = [[] for _ in callees]
        for _ in range(14):
            for row in range(deck.count):
                expected[int(deck.owners[row].name)].append(deck.packet(row))
            assert way(kind(), deck, stack) == []
            deck.advance([])
        assert deck.count == 150, "silence follows the sounds"
        heard.append(received(callees))
        assert heard[-1] == expected
    assert all(each == heard[0] for each in heard)
    packets = [rtp.parse(data) for data in heard[0][2]]
    assert b"".join(packet.payload for packet in packets if packet)[2 * FRAME :][: len(SOUND) - 2] == SOUND[2:]


@pytest.mark.parametrize("kind", SENDERS)
@pytest.mark.parametrize("way", WAYS)
def test_a_packet_that_cannot_leave_is_told_and_the_others_leave(
    stack: ExitStack, kind: type[Sender], way: Callable[[Sender, Deck[Line], ExitStack], list[int]]
) -> None:
    deck, callees = calls(stack, 3)
    lost, _ = calls(stack, 1, remote=("255.255.255.255", 9))  # broadcast is not allowed
    deck.add(lost.sessions[0], lost.owners[0], lost.descriptors[0])
    more, later = calls(stack, 1)
    deck.add(more.sessions[0], more.owners[0], more.descriptors[0])
    assert way(kind(), deck, stack) == [3]
    assert [len(packets) for packets in received([*callees, *later])] == [1, 1, 1, 1]


@pytest.mark.parametrize("kind", SENDERS)
def test_calls_come_and_go_without_touching_the_others(stack: ExitStack, kind: type[Sender]) -> None:
    deck, callees = calls(stack, 200)
    steady = list(zip(deck.sessions, callees, strict=True))[::10]
    passing = [session for session in deck.sessions if session not in {one for one, _ in steady}]
    source = random.Random(5)
    gone: list[Session] = []
    for _ in range(10):
        for session in source.sample(passing, 40):
            if session in gone:
                gone.remove(session)
                own = bound(stack)
                deck.add(session, OwnLine(name="x", session=session, socket=own), own.fileno())
            elif session.playing:
                deck.remove(session)
                gone.append(session)
        kind().send_each(deck)
        for session, _line in deck.advance([]):
            passing = [one for one in passing if one is not session]
    for _, callee in steady:
        packets = [packet for data in received([callee])[0] if (packet := rtp.parse(data))]
        assert len(packets) == 10
        assert all((after.sequence - before.sequence) % 65536 == 1 for before, after in pairwise(packets))


def test_the_fast_way_is_taken_on_linux_and_the_other_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(best_sender(), BatchSender) is (sys.platform == "linux")
    monkeypatch.setenv("DIALER_MEDIA_SENDER", "portable")
    assert isinstance(best_sender(), PortableSender)

"""Decks whose packets are encrypted, read by a receiver of libsrtp's own for each session."""

import os
import random

import pytest
from pylibsrtp import Policy
from pylibsrtp import Session as Library

from autodialer.media import rtp
from autodialer.media.rtp import RtpPacket
from autodialer.media.secure_deck import SecureDeck
from autodialer.media.session import FRAME, Session
from autodialer.media.srtp import PROFILES
from autodialer.media.srtp_keys import SrtpKeys

SUITES = sorted(PROFILES)
REMOTE = ("192.0.2.1", 4000)


def keys_of(suite: str) -> SrtpKeys:
    octets = 28 if "GCM" in suite else 30
    return SrtpKeys(suite=suite, ours=os.urandom(octets), theirs=os.urandom(octets))


class Leg:
    """A session and its callee."""

    def __init__(self, suite: str, codes: bytes, *, lead_in_ms: int = 0) -> None:
        self.codes = codes
        self.lead_in = lead_in_ms // 20
        self.session = Session()
        self.heard: list[RtpPacket] = []
        self.use(keys_of(suite))
        self.session.play(
            remote=REMOTE,
            codec="PCMA",
            payload_type=8,
            codes=codes,
            telephone_event_pt=101,
            lead_in_ms=lead_in_ms,
            keys=self.keys,
        )

    def use(self, keys: SrtpKeys) -> None:
        self.keys = keys
        kind = Policy.SSRC_ANY_INBOUND
        self._callee = Library(Policy(key=keys.ours, ssrc_type=kind, srtp_profile=PROFILES[keys.suite]))

    def hear(self, data: bytes) -> None:
        packet = rtp.parse(self._callee.unprotect(data))
        assert packet is not None
        self.heard.append(packet)

    def move(self, keys: SrtpKeys, remote: tuple[str, int] = REMOTE) -> None:
        self.use(keys)
        media = {"codec": "PCMA", "payload_type": 8, "codes": self.codes, "telephone_event_pt": 101}
        self.session.move(0.0, remote=remote, keys=keys, **media)  # type: ignore[arg-type]

    def check(self) -> None:
        """All came, in order, and together they are the sound with silence around it."""
        first = self.heard[0]
        for number, packet in enumerate(self.heard):
            assert packet.sequence == (first.sequence + number) & 0xFFFF
            assert packet.timestamp == (first.timestamp + 160 * number) & 0xFFFFFFFF
        heard = b"".join(packet.payload for packet in self.heard)
        whole = b"\xd5" * (FRAME * self.lead_in) + self.codes + b"\xd5" * len(heard)
        assert heard == whole[: len(heard)]


def step(deck: SecureDeck[Leg]) -> None:
    assert deck.prepare() == []
    for row in range(deck.count):
        deck.owners[row].hear(deck.packet(row))
    deck.advance([])


def test_many_sessions_of_all_suites_come_and_go_and_each_is_heard_whole() -> None:
    chance = random.Random(5)
    deck: SecureDeck[Leg] = SecureDeck()
    legs, gone = [], []
    for turn in range(120):
        for _ in range(3 if turn < 60 else 0):
            codes = chance.randbytes(FRAME * chance.randrange(1, 60))
            legs.append(Leg(chance.choice(SUITES), codes, lead_in_ms=chance.choice([0, 20, 100])))
            deck.add(legs[-1].session, legs[-1])
        if turn % 2 and len(legs) > 5:
            gone.append(legs.pop(chance.randrange(len(legs))))
            deck.remove(gone[-1].session)
        step(deck)
    assert len(legs) > 64, "the deck has grown"
    for leg in [*legs, *gone]:
        if leg.heard:
            leg.check()
    assert sum(len(leg.heard) for leg in [*legs, *gone]) > 8000


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.slow
def test_a_call_goes_on_over_wraps_of_its_sequence_number(suite: str) -> None:
    leg = Leg(suite, b"\x01" * FRAME)
    deck: SecureDeck[Leg] = SecureDeck()
    deck.add(leg.session, leg)
    for _ in range(2 * 0x10000 + 100):
        step(deck)
    sequences = [packet.sequence for packet in leg.heard]
    assert sequences.count(0) == 2
    leg.check()


@pytest.mark.parametrize("suite", SUITES)
def test_the_first_sequence_number_is_far_from_its_wrap(suite: str) -> None:
    for _ in range(50):
        assert Leg(suite, bytes(FRAME)).session.position().sequence < 0x8000


@pytest.mark.parametrize("suite", SUITES)
def test_a_new_key_in_the_middle_of_a_call_is_used_from_the_next_packet_on(suite: str) -> None:
    leg = Leg(suite, os.urandom(FRAME * 50))
    deck: SecureDeck[Leg] = SecureDeck()
    for keys in (leg.keys, keys_of(suite), keys_of(SUITES[0])):
        deck.remove(leg.session)
        if keys is not leg.keys:
            leg.move(keys)
        deck.add(leg.session, leg)
        for _ in range(10):
            step(deck)
    leg.check()


@pytest.mark.slow
def test_the_same_key_again_goes_on_with_its_roll_over_counter() -> None:
    leg = Leg(SUITES[0], b"\x01" * FRAME)
    deck: SecureDeck[Leg] = SecureDeck()
    deck.add(leg.session, leg)
    callee = leg._callee
    for _ in range(0x10000):
        step(deck)
    deck.remove(leg.session)
    leg.move(SrtpKeys(suite=leg.keys.suite, ours=leg.keys.ours, theirs=os.urandom(28)))
    leg._callee = callee
    deck.add(leg.session, leg)
    for _ in range(50):
        step(deck)
    assert len(leg.heard) == 0x10000 + 50


def test_a_packet_that_cannot_be_encrypted_is_told_and_nothing_of_it_is_left() -> None:
    legs = [Leg(SUITES[0], b"\x01" * (FRAME * 3)) for _ in range(3)]
    deck: SecureDeck[Leg] = SecureDeck()
    for leg in legs:
        deck.add(leg.session, leg)
    # libsrtp refuses a number that it has had.
    spent = legs[1].session
    assert spent.protection is not None
    spent.protection.protect(rtp.pack(8, spent.position().sequence, 0, spent.position().ssrc, bytes(FRAME)))
    assert deck.prepare() == [1]
    assert [len(deck.packet(row)) for row in range(3)] == [188, 0, 188]
    deck.advance([1])
    assert deck.prepare() == []
    for leg in legs:
        deck.remove(leg.session)
    figures = [(stats.sent, stats.played_frames) for stats in (leg.session.stats(0.0) for leg in legs)]
    assert figures == [(1, 1), (0, 0), (1, 1)]

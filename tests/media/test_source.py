"""Where our RTP goes and whose packets count: the cases one by one, and random calls judged by a plain reading."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest

from autodialer.media import rtp
from autodialer.media.rtp import RtpPacket
from autodialer.media.source import (
    LATCH_AFTER,
    LATCH_AFTER_TAIL,
    LATCH_WITHIN_S,
    SSRC_AFTER,
    Address,
    Kind,
    RtpSource,
    is_private,
    kind_of,
)

P1 = ("198.51.100.1", 4000)
P2 = ("198.51.100.2", 4002)
BEHIND_NAT = ("192.168.1.7", 4004)
OUTSIDE = ("203.0.113.4", 61000)
GATEWAY = "203.0.113.5"
STRANGER = ("203.0.113.66", 6666)


def packet(number: int, *, ssrc: int = 99, payload_type: int = 8, payload: bytes = bytes(160)) -> RtpPacket:
    made = rtp.parse(rtp.pack(payload_type, number, number * 160, ssrc, payload))
    assert made is not None
    return made


def speak(
    source: RtpSource, place: Address, count: int, *, at: float = 0.0, first: int = 0, ssrc: int = 99
) -> list[bool]:
    """Audio from a place at the pace of a call; which of the packets count."""
    return [
        source.judge(packet(first + number, ssrc=ssrc), Kind.AUDIO, place, at + number * 0.02)
        for number in range(count)
    ]


def answered(place: Address, *, symmetric: bool = True, peer_host: str | None = GATEWAY) -> RtpSource:
    source = RtpSource()
    source.answer(place, 0.0, symmetric=symmetric, peer_host=peer_host)
    return source


# Where the sound goes.


def test_the_tail_of_early_media_takes_nothing_away() -> None:
    source = RtpSource()
    source.name_early(P1)
    source.see(P1)
    source.answer(P2, 0.0, symmetric=True, peer_host=P1[0])
    assert not any(speak(source, P1, 200))
    assert source.remote == P2


@pytest.mark.parametrize("heard", [True, False])
def test_an_early_stream_that_nobody_named_needs_longer_than_a_tail(heard: bool) -> None:
    source = RtpSource()
    if heard:
        source.see(OUTSIDE)
    source.answer(BEHIND_NAT, 0.0, symmetric=True)
    needed = LATCH_AFTER_TAIL if heard else LATCH_AFTER
    assert not any(speak(source, OUTSIDE, needed - 1))
    assert source.remote == BEHIND_NAT
    assert speak(source, OUTSIDE, 1, at=(needed - 1) * 0.02, first=needed - 1) == [True]
    assert source.remote == OUTSIDE and source.strangers == 0


def test_the_place_that_the_media_moved_away_from_goes_on_in_vain() -> None:
    source = answered(P1)
    assert all(speak(source, P1, 50))
    source.describe(P2, 1.0)
    assert not any(speak(source, P1, 200, at=1.0, first=50))
    assert source.remote == P2


def test_the_named_place_wins_back_with_its_first_packet_and_for_good() -> None:
    source = answered(BEHIND_NAT)
    speak(source, OUTSIDE, 20)
    assert source.remote == OUTSIDE
    assert speak(source, BEHIND_NAT, 1, at=0.4, ssrc=5) == [True]
    assert source.remote == BEHIND_NAT
    assert not any(speak(source, OUTSIDE, 50, at=0.41, first=20))
    assert source.remote == BEHIND_NAT


def test_an_empty_packet_of_the_named_place_wins_nothing_back_and_does_not_bar_a_latch() -> None:
    source = answered(BEHIND_NAT)
    source.judge(packet(1, payload=b""), Kind.OTHER, BEHIND_NAT, 0.0)
    speak(source, OUTSIDE, 20)
    source.judge(packet(1, payload=b""), Kind.OTHER, BEHIND_NAT, 0.5)
    assert source.remote == OUTSIDE


@pytest.mark.parametrize(
    ("named", "peer_host", "heard", "follows"),
    [
        pytest.param(BEHIND_NAT, GATEWAY, OUTSIDE, True, id="a private address"),
        pytest.param(P1, OUTSIDE[0], OUTSIDE, True, id="the host of the SIP answer"),
        pytest.param(P1, GATEWAY, (P1[0], 61000), True, id="another port of the host named"),
        pytest.param(P1, GATEWAY, OUTSIDE, False, id="any other host"),
        pytest.param(("127.0.0.1", 4000), "127.0.0.1", ("127.0.0.9", 4000), False, id="loopback is where it says"),
    ],
)
def test_a_latch_has_to_be_plausible(named: Address, peer_host: str, heard: Address, follows: bool) -> None:
    source = answered(named, peer_host=peer_host)
    speak(source, heard, 50)
    assert source.remote == (heard if follows else named)


def test_no_latch_comes_late_until_a_description_opens_the_way_again() -> None:
    source = answered(BEHIND_NAT)
    assert not any(speak(source, OUTSIDE, 50, at=LATCH_WITHIN_S + 0.01))
    source.describe(BEHIND_NAT, 20.0)
    speak(source, ("203.0.113.8", 9), LATCH_AFTER, at=20.0)
    assert source.remote == ("203.0.113.8", 9)


def test_the_same_description_again_keeps_the_latch() -> None:
    source = answered(BEHIND_NAT)
    speak(source, OUTSIDE, 20)
    source.describe(BEHIND_NAT, 1.0)
    assert source.remote == OUTSIDE
    assert all(speak(source, OUTSIDE, 20, at=1.0, first=20))


def test_a_nat_that_gives_another_port_after_a_hold_is_followed() -> None:
    source = answered(BEHIND_NAT)
    speak(source, OUTSIDE, 20)
    source.describe(BEHIND_NAT, 60.0)
    speak(source, (OUTSIDE[0], 61001), LATCH_AFTER, at=60.0, first=20)
    assert source.remote == (OUTSIDE[0], 61001)


def test_without_symmetric_rtp_nothing_is_followed() -> None:
    source = answered(BEHIND_NAT, symmetric=False)
    speak(source, OUTSIDE, 100)
    assert source.remote == BEHIND_NAT


@pytest.mark.parametrize("step_s", [0.0, 0.001, 0.5])
def test_a_burst_and_a_packet_now_and_then_are_no_stream(step_s: float) -> None:
    source = answered(BEHIND_NAT)
    for number in range(9):
        source.judge(packet(number), Kind.AUDIO, OUTSIDE, number * step_s)
    assert source.remote == BEHIND_NAT


def test_a_stranger_between_its_packets_does_not_keep_a_callee_from_being_found() -> None:
    source = answered(BEHIND_NAT)
    for number in range(LATCH_AFTER):
        source.judge(packet(number * 7, ssrc=1), Kind.AUDIO, STRANGER, number * 0.02)
        source.judge(packet(number), Kind.AUDIO, OUTSIDE, number * 0.02)
    assert source.remote == OUTSIDE and source.strangers == LATCH_AFTER


# Whose packets count.


def test_events_from_elsewhere_never_count_nor_lead_the_sound_away() -> None:
    source = answered(BEHIND_NAT)
    for number in range(200):
        assert not source.judge(packet(number, payload_type=101), Kind.EVENT, STRANGER, number * 0.02)
    assert source.remote == BEHIND_NAT and source.strangers == 200


def test_another_stream_from_the_right_address_does_not_count_beside_the_one_that_is_heard() -> None:
    source = answered(P1)
    for number in range(50):
        assert source.judge(packet(number), Kind.AUDIO, P1, number * 0.02)
        assert not source.judge(packet(number, ssrc=7), Kind.EVENT, P1, number * 0.02)
    assert source.strangers == 50


def test_a_stream_that_follows_another_takes_its_place() -> None:
    source = answered(P1)
    speak(source, P1, 20)
    assert speak(source, P1, 5, at=0.4, ssrc=7) == [False] * (SSRC_AFTER - 1) + [True] * (6 - SSRC_AFTER)
    assert source.ssrc == 7 and source.strangers == 0
    source.describe(P1, 1.0)
    assert speak(source, P1, 1, at=1.0, ssrc=8) == [True], "after a description at once"


def test_of_a_sample_a_new_stream_is_known_by_its_samples() -> None:
    source = answered(P1)
    source.judge(packet(0), Kind.AUDIO, P1, 0.0, one_in=32)
    counts = [
        source.judge(packet(32 * number, ssrc=7), Kind.AUDIO, P1, 0.64 * number, one_in=32) for number in range(1, 5)
    ]
    assert counts == [False, False, True, True]


@pytest.mark.parametrize(
    ("payload_type", "octets", "kind"),
    [
        (8, 160, Kind.AUDIO),
        (0, 80, Kind.AUDIO),
        (96, 240, Kind.AUDIO),
        (8, 0, Kind.OTHER),
        (8, 12, Kind.OTHER),
        (8, 161, Kind.OTHER),
        (8, 1608, Kind.OTHER),
        (101, 4, Kind.EVENT),
        (101, 3, Kind.OTHER),
        (13, 1, Kind.NOISE),
        (13, 0, Kind.OTHER),
        (18, 20, Kind.OTHER),
    ],
)
def test_audio_has_a_payload_of_a_known_length(payload_type: int, octets: int, kind: Kind) -> None:
    assert kind_of(packet(1, payload_type=payload_type, payload=bytes(octets)), 96, 101) is kind


@pytest.mark.parametrize(
    ("host", "private"),
    [
        ("10.9.8.7", True),
        ("172.31.0.1", True),
        ("172.32.0.1", False),
        ("192.168.0.1", True),
        ("100.64.0.1", True),
        ("169.254.9.9", True),
        ("127.0.0.1", False),
        ("198.51.100.1", False),
        ("8.8.8.8", False),
    ],
)
def test_private_networks_are_known(host: str, private: bool) -> None:
    assert is_private(host) is private


# Random calls.


@dataclass(frozen=True, kw_only=True)
class Named:
    """A session description of the answered call."""

    at: float
    place: Address


@dataclass(frozen=True, kw_only=True)
class Came:
    """A packet."""

    at: float
    source: Address
    packet: RtpPacket
    kind: Kind


@dataclass(kw_only=True)
class RandomCall:
    """What happens, in the order of time; before `Named` comes first, the call is not answered."""

    symmetric: bool
    peer_host: str
    early: list[Address] = field(default_factory=list)
    happens: list[Named | Came] = field(default_factory=list)


PLACES = (P1, P2, BEHIND_NAT, ("10.0.0.9", 5000))
SOURCES = (*PLACES, OUTSIDE, (OUTSIDE[0], 61002), STRANGER, (GATEWAY, 7000), (P1[0], 7777))


def a_stream(chance: random.Random, around: float, source: Address) -> Iterator[Came]:
    """A stream of some kind: steady, in a burst, with losses, empty packets, or key presses."""
    ssrc = chance.choice((1, 1, 2, 3))
    at, number = around + chance.uniform(-1.0, 3.0), chance.randrange(0x10000)
    step_s = chance.choice((0.02, 0.02, 0.02, 0.0, 0.4))
    loss = chance.choice((0.0, 0.0, 0.1, 0.6))
    kinds = chance.choice(((Kind.AUDIO,), (Kind.AUDIO,), (Kind.AUDIO, Kind.EVENT), (Kind.OTHER,), (Kind.NOISE,)))
    for _ in range(chance.choice((1, 4, 5, 6, 12, 60, 120))):
        if chance.random() >= loss:
            made = rtp.parse(rtp.pack(8, number & 0xFFFF, number * 160, ssrc, bytes(160)))
            assert made is not None
            yield Came(at=at, source=source, packet=made, kind=chance.choice(kinds))
        number += 1
        at += step_s + chance.uniform(0.0, 0.002)


def a_call(chance: random.Random) -> RandomCall:
    call = RandomCall(symmetric=chance.random() < 0.9, peer_host=chance.choice((GATEWAY, OUTSIDE[0], P2[0])))
    call.early = [chance.choice(PLACES) for _ in range(chance.randrange(3))]
    named: list[Named | Came] = [Named(at=0.0, place=chance.choice(PLACES))]
    named += [Named(at=chance.uniform(0.5, 14.0), place=chance.choice(PLACES)) for _ in range(chance.randrange(5))]
    around = [chance.choice(named).at for _ in range(chance.randint(1, 9))]
    sources = chance.sample(SOURCES, chance.randint(2, 6))
    streams = [one for at in around for one in a_stream(chance, at, chance.choice(sources))]
    call.happens = sorted([*named, *streams], key=lambda one: one.at)
    return call


class PlainReading:
    """The rule read plainly from the whole history, again for each packet; slow, and keeps nothing but verdicts."""

    def __init__(self, call: RandomCall) -> None:
        self.call = call
        self.counted: list[bool] = []
        """Of each happening; a description counts as True."""
        self.remotes: list[Address | None] = []
        """Where the sound goes after each happening."""

    def read(self) -> None:
        for index, one in enumerate(self.call.happens):
            before = self.remotes[-1] if self.remotes else None
            if isinstance(one, Named):
                keeps = before is not None and one.place == self.named(index).place
                self.counted.append(True)
                self.remotes.append(before if keeps else one.place)
            elif before is None:
                self.counted.append(False)
                self.remotes.append(None)
            else:
                self.counted.append(False)
                self.remotes.append(before)
                self.take(index, one, before)

    def named(self, index: int) -> Named:
        return next(one for one in reversed(self.call.happens[:index]) if isinstance(one, Named))

    def since(self, index: int) -> int:
        """The position after the last description before `index`."""
        return self.call.happens.index(self.named(index)) + 1

    def take(self, index: int, one: Came, before: Address) -> None:
        named = self.named(index)
        if one.source == named.place and before != named.place and one.kind is not Kind.OTHER:
            self.counted[index], self.remotes[index] = True, named.place
        elif one.source == before:
            self.counted[index] = self.in_stream(index, one)
        elif self.latches(index, one, named):
            self.counted[index], self.remotes[index] = True, one.source

    def in_stream(self, index: int, one: Came) -> bool:
        """It is of the stream heard there since the description or the latest turn of the sound, or takes its place."""
        start = self.since(index)
        for position in range(start, index):
            if self.remotes[position] != self.remotes[position - 1]:
                start = position
        here = [
            (position, came)
            for position in range(start, index)
            if isinstance(came := self.call.happens[position], Came) and came.source == one.source
        ]
        counted = [came for position, came in here if self.counted[position]]
        if not counted:
            return one.kind is not Kind.OTHER
        if counted[-1].packet.ssrc == one.packet.ssrc:
            return True
        if one.kind is Kind.OTHER:
            return False
        last = max(position for position, _ in here if self.counted[position])
        rivals = [came for position, came in here if position > last and came.kind is not Kind.OTHER] + [one]
        return len(tail_run(rivals)) >= SSRC_AFTER

    def latches(self, index: int, one: Came, named: Named) -> bool:
        if one.kind is not Kind.AUDIO or not self.call.symmetric or one.at - named.at > LATCH_WITHIN_S:
            return False
        start = self.since(index)
        since = range(start, index)
        for position in since:
            came = self.call.happens[position]
            assert isinstance(came, Came)
            if came.source == self.remotes[position] and came.kind is not Kind.OTHER:
                return False
        places = [came.place for came in self.call.happens[:index] if isinstance(came, Named)]
        if one.source in [place for place in (*self.call.early, *places) if place != named.place]:
            return False
        host = named.place[0]
        if not (one.source[0] in (host, self.call.peer_host) or host.startswith(("10.", "192.168."))):
            return False
        came_from = [
            came
            for position in since
            if isinstance(came := self.call.happens[position], Came)
            and came.source == one.source
            and came.kind is Kind.AUDIO
        ]
        run = tail_run([*came_from, one])
        lasts_s, took_s = ((one.packet.timestamp - run[0].packet.timestamp) % 2**32) / 8000, one.at - run[0].at
        was_heard = self.heard_before(start, one.source)
        enough = LATCH_AFTER_TAIL if was_heard else LATCH_AFTER
        return len(run) >= enough and lasts_s / 2 <= took_s <= 2 * lasts_s + 0.2

    def heard_before(self, start: int, source: Address) -> bool:
        """Anything came from there before the description."""
        return any(isinstance(came, Came) and came.source == source for came in self.call.happens[: start - 1])


def tail_run(packets: Sequence[Came]) -> list[Came]:
    """The latest of these that follow one another in one stream."""
    run = [packets[-1]]
    for came in reversed(packets[:-1]):
        ahead = (run[0].packet.sequence - came.packet.sequence) % 0x10000
        if came.packet.ssrc != run[0].packet.ssrc or not 1 <= ahead <= 3:
            break
        run.insert(0, came)
    return run


def play(call: RandomCall) -> tuple[list[bool], list[Address | None]]:
    source = RtpSource()
    counted: list[bool] = []
    remotes: list[Address | None] = []
    for place in call.early:
        source.name_early(place)
    for one in call.happens:
        if isinstance(one, Named):
            if source.remote is None:
                source.answer(one.place, one.at, symmetric=call.symmetric, peer_host=call.peer_host)
            else:
                source.describe(one.place, one.at)
            counted.append(True)
        elif source.remote is None:
            source.see(one.source)
            counted.append(False)
        else:
            counted.append(source.judge(one.packet, one.kind, one.source, one.at))
        remotes.append(source.remote)
    return counted, remotes


@pytest.mark.parametrize("seed", range(20))
def test_random_calls_go_where_a_plain_reading_of_the_rule_says(seed: int) -> None:
    chance = random.Random(seed)
    latched = 0
    for _ in range(30):
        call = a_call(chance)
        reading = PlainReading(call)
        reading.read()
        counted, remotes = play(call)
        for index, one in enumerate(call.happens):
            assert (counted[index], remotes[index]) == (reading.counted[index], reading.remotes[index]), (index, one)
        latched += any(remote not in (None, *PLACES) for remote in remotes)
    assert latched, "some of them latch"

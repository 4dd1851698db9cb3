"""Where the callee's RTP comes from, where ours goes, and whose packets count. Pure.

RTP goes where the last session description says (RFC 3264 sections 5.1 and 8.3.1). Behind a NAT that address may lead
nowhere, while packets come from another one; then ours go back to that one (symmetric RTP, RFC 4961): a latch. Since
anybody can send to an open port, a latch has conditions, and a packet counts only from the right place.
"""

from dataclasses import dataclass
from enum import Enum
from ipaddress import ip_address, ip_network

from autodialer.media.rtp import COMFORT_NOISE, EVENT_OCTETS, LONGEST_PACKET_S, SHORTEST_PACKET_S, RtpPacket

Address = tuple[str, int]

CLOCK_RATE = 8000
_SHORTEST, _LONGEST = int(SHORTEST_PACKET_S * CLOCK_RATE), int(LONGEST_PACKET_S * CLOCK_RATE)
"""Octets of G.711 in one packet."""
LATCH_AFTER = 5
"""Audio packets in a row of one stream before a latch onto an address that is new."""
LATCH_AFTER_TAIL = 50
"""The same for an address that was heard before the description came: 1 s, as it may be the tail of another stream.

Tails of ringback and of the place that the media moved away from last 0.1 to 0.3 s.
"""
LATCH_WITHIN_S = 5.0
"""From a description to the latest latch. A peer that sends at all begins within a second or two; a latch that could
happen any time would let a stranger wait for a callee who falls silent."""
SSRC_AFTER = 3
"""Packets in a row of a new stream from the right address before it takes the place of the one before."""
LARGEST_STEP = 3
"""In the sequence numbers of packets in a row: up to two may have been lost."""
CANDIDATES = 8
"""Addresses watched at a time."""
REMEMBERED = 32
"""Addresses remembered as heard before a description."""

# Those that mean nothing outside of their own network (RFC 1918, RFC 6598, RFC 3927, RFC 4193). Loopback is not among
# them: only a peer on this machine can mean it, and it is where it says.
_PRIVATE = [
    ip_network(network)
    for network in (
        *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16"),
        *("fc00::/7", "fe80::/10"),
    )
]


class Kind(Enum):
    """What an RTP packet carries."""

    AUDIO = "audio"
    EVENT = "event"
    """A telephone-event (RFC 4733)."""
    NOISE = "noise"
    """Comfort noise (RFC 3389): the peer is there, and is silent."""
    OTHER = "other"
    """Nothing that we know: an empty keep-alive (RFC 6263 section 4.3), another codec. Says nothing of the callee."""


def kind_of(packet: RtpPacket, payload_type: int, event_type: int | None) -> Kind:
    """What a packet carries by the payload types that were agreed.

    Audio is G.711 of 5 to 200 ms in whole milliseconds, in either law: peers also send the law that was not chosen.
    """
    octets = len(packet.payload)
    if packet.payload_type == event_type:
        return Kind.EVENT if octets >= EVENT_OCTETS else Kind.OTHER
    if packet.payload_type in (payload_type, 0, 8):
        return Kind.AUDIO if _SHORTEST <= octets <= _LONGEST and octets % 8 == 0 else Kind.OTHER
    return Kind.NOISE if packet.payload_type == COMFORT_NOISE and octets else Kind.OTHER


def is_private(host: str) -> bool:
    """Whether an address leads nowhere from outside of its own network."""
    address = ip_address(host)
    return any(address in network for network in _PRIVATE if network.version == address.version)


@dataclass(kw_only=True, slots=True)
class _Run:
    """Packets of one stream that follow one another."""

    first_at: float
    first_timestamp: int
    last: RtpPacket
    count: int = 1

    def take(self, packet: RtpPacket, now: float, *, largest_step: int) -> None:
        """The next packet: it goes on with the run, or begins a new one."""
        ahead = (packet.sequence - self.last.sequence) & 0xFFFF
        if packet.ssrc == self.last.ssrc and 1 <= ahead <= largest_step:
            self.count += 1
        else:
            self.first_at, self.first_timestamp, self.count = now, packet.timestamp, 1
        self.last = packet

    def keeps_pace(self, now: float) -> bool:
        """Whether it came at about the pace at which it plays: a burst, or a packet now and then, is not a call."""
        lasts_s = ((self.last.timestamp - self.first_timestamp) & 0xFFFFFFFF) / CLOCK_RATE
        took_s = now - self.first_at
        return lasts_s / 2 <= took_s <= 2 * lasts_s + LONGEST_PACKET_S


class RtpSource:
    """Judges each packet that comes to one session. Times are monotonic seconds.

    - A packet counts from the place that the last description names, or from the latched place, and only in the
      stream (SSRC) that is heard there. Another stream from there takes its place once SSRC_AFTER of its packets came
      in a row with none of the old stream between them, and at once after a description.
    - All others are strangers' packets. They are counted and have no effect but that of a latch.
    - A latch takes LATCH_AFTER audio packets in a row at the pace of a call, within LATCH_WITHIN_S of the description,
      as long as nothing has come from the right place since the description. An address that an earlier description
      named is never latched; an address that was heard before the description needs LATCH_AFTER_TAIL packets.
    - It has to be plausible: the place named is a private address, or the source is on the host named, or on the host
      that the SIP answer comes from.
    - When the named place speaks, the latch is given back at once, and there is no other before the next description.
    """

    def __init__(self) -> None:
        self.signalled: Address | None = None
        """Where the last description says that packets are taken."""
        self.latched: Address | None = None
        """Where they go instead."""
        self.ssrc: int | None = None
        """Of the stream that is heard; None before its first packet."""
        self.strangers = 0
        """RTP and RTCP packets that did not count."""
        self._symmetric = False
        self._peer_host: str | None = None
        self._described_at = 0.0
        self._heard_right = False
        """Something has come from the right place since the last description."""
        self._earlier: set[Address] = set()
        """Named by earlier descriptions."""
        self._seen: dict[Address, None] = {}
        """Heard before the last description."""
        self._others: dict[Address, None] = {}
        """Heard since then, except the right place; latest last."""
        self._candidates: dict[Address, _Run] = {}
        """By address: sources that may be latched."""
        self._challenger: _Run | None = None
        """Another stream from the right address."""

    @property
    def remote(self) -> Address | None:
        """Where our RTP goes; None before the answer."""
        return self.latched or self.signalled

    def see(self, source: Address) -> None:
        """Something came from there before the answer, or from a place that is not the right one."""
        self._others.pop(source, None)
        self._others[source] = None
        if len(self._others) > REMEMBERED:
            del self._others[next(iter(self._others))]

    def name_early(self, address: Address) -> None:
        """A description before the answer named that address: of early media, or of a fork that did not answer."""
        self._earlier.add(address)

    def answer(self, address: Address, now: float, *, symmetric: bool, peer_host: str | None = None) -> None:
        """The call is answered. `symmetric`: a latch is allowed; `peer_host`: where the SIP answer comes from."""
        self._symmetric, self._peer_host = symmetric, peer_host
        self.describe(address, now)

    def describe(self, address: Address, now: float) -> None:
        """A session description names `address`, perhaps the same one again."""
        self._seen = dict.fromkeys([*self._seen, *self._others][-REMEMBERED:])
        self._others.clear()
        # The same place once more, as when a hold ends, leaves a latch: the NAT in between has not moved.
        if address != self.signalled:
            if self.signalled is not None:
                self._earlier.add(self.signalled)
            self.latched = None
        # A peer may return to a place that it had left.
        self._earlier.discard(address)
        self.signalled, self._described_at, self._heard_right = address, now, False
        self._candidates.clear()
        self.forget_stream()

    def forget_stream(self) -> None:
        """What comes next from the right address begins a stream."""
        self.ssrc = self._challenger = None

    def judge(self, packet: RtpPacket, kind: Kind, source: Address, now: float, *, one_in: int = 1) -> bool:
        """Whether a packet counts; `one_in`: only a packet in so many of the callee's audio is seen."""
        if packet.ssrc == self.ssrc and source == (self.latched or self.signalled):
            self._challenger = None  # as below, without the steps: nearly all packets are of this kind
            return True
        # An empty keep-alive or an unknown codec proves nothing: the
        # peer may send those from there and its sound from elsewhere.
        if source == self.signalled and self.latched is not None and kind is not Kind.OTHER:
            self.latched = None
            self.forget_stream()
        # While there is a latch the named place has not spoken, and what it sends has no effect.
        if source == self.remote:
            counts = self._is_in_stream(packet, kind, now, largest_step=LARGEST_STEP * one_in)
        else:
            self.see(source)
            counts = kind is Kind.AUDIO and self.may_latch(source, now) and self._watch(packet, source, now)
        self.strangers += not counts
        return counts

    def _is_in_stream(self, packet: RtpPacket, kind: Kind, now: float, *, largest_step: int) -> bool:
        if packet.ssrc == self.ssrc:
            self._challenger = None
            return True
        if kind is Kind.OTHER:
            return False
        self._heard_right = True
        if self.ssrc is not None:
            if self._challenger is None:
                self._challenger = _Run(first_at=now, first_timestamp=packet.timestamp, last=packet)
            else:
                self._challenger.take(packet, now, largest_step=largest_step)
            if self._challenger.count < SSRC_AFTER:
                return False
            # The packets that made the stream known had been counted as strangers'.
            self.strangers -= SSRC_AFTER - 1
        self.forget_stream()
        self.ssrc = packet.ssrc
        return True

    def awaits_latch(self, now: float) -> bool:
        """Whether a latch onto some address could still happen: nothing has come from the right place so far."""
        if not self._symmetric or self._heard_right or self.signalled is None:
            return False
        return now - self._described_at <= LATCH_WITHIN_S

    def may_latch(self, source: Address, now: float) -> bool:
        """Whether a stream from there could lead to a latch."""
        if not self.awaits_latch(now) or source in self._earlier:
            return False
        assert self.signalled is not None
        return source[0] in (self.signalled[0], self._peer_host) or is_private(self.signalled[0])

    def _watch(self, packet: RtpPacket, source: Address, now: float) -> bool:
        """Whether this packet is the last that a latch takes; it counts then."""
        run = self._candidates.get(source)
        if run is None:
            # Anyone can send from many addresses; the memory for them is bounded.
            if len(self._candidates) == CANDIDATES:
                del self._candidates[next(iter(self._candidates))]
            run = self._candidates[source] = _Run(first_at=now, first_timestamp=packet.timestamp, last=packet)
        else:
            run.take(packet, now, largest_step=LARGEST_STEP)
        # What was heard before the description may be early media, or the place left, that only has not stopped yet.
        enough = LATCH_AFTER_TAIL if source in self._seen else LATCH_AFTER
        if run.count < enough or not run.keeps_pace(now):
            return False
        self.latched = source
        # As above: the packets that led here were the callee's.
        self.strangers -= run.count - 1
        # A latch counts as the right place from here on, so there is no second one.
        self._heard_right = True
        self._candidates.clear()
        self.forget_stream()
        self.ssrc = packet.ssrc
        return True

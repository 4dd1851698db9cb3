"""RTP packets (RFC 3550) and what a receiver learns from them. Pure."""

import struct
from dataclasses import dataclass

from autodialer.media.reporting import Heard

_HEADER = struct.Struct("!BBHII")
VERSION_BITS = 0x80
MARKER_BIT = 0x80
EVENT_OCTETS = 4
"""Of a telephone-event's payload (RFC 4733 section 2.3)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RtpPacket:
    """One packet, RFC 3550 section 5.1."""

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    marker: bool
    payload: bytes


def pack(payload_type: int, sequence: int, timestamp: int, ssrc: int, payload: bytes, *, marker: bool = False) -> bytes:
    """The bytes of a packet without CSRC, extension or padding."""
    second = payload_type | MARKER_BIT if marker else payload_type
    return _HEADER.pack(VERSION_BITS, second, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc) + payload


def parse(data: bytes) -> RtpPacket | None:
    """The packet in a datagram; None for anything but RTP (RTCP, STUN, garbage)."""
    if len(data) < _HEADER.size or data[0] >> 6 != 2:
        return None
    first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
    if 192 <= second <= 223:  # RTCP packet types, RFC 5761 section 4
        return None
    start = _HEADER.size + 4 * (first & 0x0F)
    if first & 0x10:
        if len(data) < start + 4:
            return None
        start += 4 + 4 * int.from_bytes(data[start + 2 : start + 4])
    end = len(data)
    if first & 0x20:
        end -= data[-1]
    if start > end:
        return None
    return RtpPacket(
        payload_type=second & 0x7F,
        sequence=sequence,
        timestamp=timestamp,
        ssrc=ssrc,
        marker=bool(second & MARKER_BIT),
        payload=data[start:end],
    )


PACKET_S = 0.02
"""What nearly all peers send in one packet; what this one does is learnt from its numbers."""
SHORTEST_PACKET_S, LONGEST_PACKET_S = 0.005, 0.2
# A power of two, because a socket filter can only mask the number.
SEEN_ONE_IN = 32
"""Of the audio that the system holds back, one packet in so many is seen, by its number. A power of two."""
COMFORT_NOISE = 13
"""Payload type, RFC 3389."""


class Reception:
    """Loss and jitter of one source, RFC 3550 appendix A.1, A.3 and A.8. A new SSRC starts the statistics again."""

    MAX_DROPOUT = 3000
    """Packets ahead, RFC 3550 appendix A.1: a longer jump is a restart of the sender, if the next packet follows it."""
    MAX_MISORDER = 100
    """Packets behind: what is later than this belongs to a restart too."""
    MAX_DELAY_S = 1.0
    """Timestamps that jump by more started again, which is not jitter."""

    def __init__(self, clock_rate: int = 8000) -> None:
        self._clock_rate = clock_rate
        self.received = 0
        """Packets, of all sources."""
        self._lost_before = 0
        self.one_in = 1
        """Only a packet in so many is seen, and nobody counts the others; 1: all are."""
        self._held_back = 0
        """Packets kept from us unseen when the latest packet came, all of them of its source."""
        self._ssrc: int | None = None
        self._first = self._highest = self._count = 0
        self._restart_at: int | None = None
        self._transit: float | None = None
        self._jitter = 0.0
        self._seen_at: float | None = None
        """When the last audio packet came, monotonic seconds."""
        self._last: RtpPacket | None = None
        """That packet."""
        self._packet_s = PACKET_S
        self._lost_unsampled: int | None = None
        """What was lost before the packets became a sample; None: they are none."""

    def sample(self, one_in: int) -> None:
        """From now on only a packet in `one_in` is seen, by its number, and nobody counts the others. Idempotent."""
        self.one_in = one_in
        if self._lost_unsampled is None:
            self._lost_unsampled = self.lost or 0

    def take(self, packet: RtpPacket, now: float) -> None:
        """Count an audio packet that arrived at the monotonic time `now`."""
        self.count(packet)
        self._learn_packet_time(packet)
        self._seen_at, self._last = now, packet
        transit = now * self._clock_rate - packet.timestamp
        # After a silence the timestamp may have stood still, which is not jitter.
        if self._transit is not None and not packet.marker:
            # Timestamps wrap; a difference of more than half the range is a wrap, not a delay.
            d = (transit - self._transit + 2**31) % 2**32 - 2**31
            # RFC 3550 section 6.4.1: a sixteenth of each difference.
            if abs(d) <= self.MAX_DELAY_S * self._clock_rate:
                self._jitter += (abs(d) - self._jitter) / 16
        # Also after a jump: the next packet is compared with this one, not with the time before it.
        self._transit = transit

    def _learn_packet_time(self, packet: RtpPacket) -> None:
        """How much one packet holds, by the step from the last one; a step over a silence says nothing."""
        last = self._last
        if last is None or packet.marker or COMFORT_NOISE in (packet.payload_type, last.payload_type):
            return
        packets = (packet.sequence - last.sequence) & 0xFFFF
        samples = (packet.timestamp - last.timestamp) & 0xFFFFFFFF
        if packet.ssrc == last.ssrc and 0 < packets <= self.MAX_MISORDER:
            span_s = samples / self._clock_rate / packets
            if SHORTEST_PACKET_S <= span_s <= LONGEST_PACKET_S:
                self._packet_s = span_s

    def count(self, packet: RtpPacket) -> None:
        """Count a packet whose timestamp says nothing of when it was sent (a telephone-event)."""
        self.received += 1
        if packet.ssrc != self._ssrc:
            self._restart(packet)
        self._take_number(packet)

    def pass_over(self, packet: RtpPacket) -> None:
        """A packet without anything to be heard: its number is not missing, that is all."""
        if packet.ssrc == self._ssrc:
            self._take_number(packet)

    def note_held_back(self, held_back: int) -> None:
        """So many packets had been kept from us, unseen but counted, when the latest packet came."""
        self._held_back = held_back

    def end_span(self, held_back: int) -> None:
        """After those `held_back`, nothing more is kept from us; what comes from now on is counted afresh."""
        self.received, lost = self.received + held_back, self._missing()
        self._lost_before = lost or 0
        self._ssrc, self._count, self._held_back = None, 0, 0

    def _take_number(self, packet: RtpPacket) -> None:
        # RFC 3550 appendix A.1: a little ahead is a gap, a little behind is late and fills one. Anything between is a
        # new start of the sender if the next packet follows it, and noise otherwise.
        step = (packet.sequence - self._highest) & 0xFFFF
        if step <= self.MAX_DROPOUT:
            self._highest += step
        elif step < 0x10000 - self.MAX_MISORDER:
            if packet.sequence != self._restart_at:
                self._restart_at = (packet.sequence + 1) & 0xFFFF
                return
            self._restart(packet)
            self._first -= 1  # the packet that announced the restart
            self._count = 1
        self._restart_at = None
        self._count += 1

    def _restart(self, packet: RtpPacket) -> None:
        # Numbers of another stream, or of a new start, do not go on from the old ones; what was lost stays lost.
        self._lost_before += self._lost_now()
        self._ssrc = packet.ssrc
        self._restart_at = None
        self._first = self._highest = packet.sequence
        self._count = 0
        self._transit = None

    def _lost_now(self) -> int:
        if not self._count:
            return 0
        # Packets that came twice count twice, which must not make a loss negative.
        return max(0, self._highest - self._first + 1 - self._count)

    def figures(self, now: float, held_back: int) -> tuple[int, int | None]:
        """Packets received and lost when the system kept so many from us unseen, most of them between those we saw.

        Only between packets that came can one be missing: those that were kept from us after the last one that we saw
        have come, and whether more were sent after them nobody can tell. Of a sample, what was received is told by the
        numbers alone, and what was lost is not known.
        """
        if self._lost_unsampled is not None:
            return self._sampled(now, self._lost_unsampled), None
        return self.received + held_back, self._missing()

    def _missing(self) -> int | None:
        return None if self.lost is None else max(0, self.lost - self._held_back)

    def _unseen_since(self, now: float) -> int:
        """Packets that have come since the last one that we saw, if the peer goes on as before."""
        return round((now - self._seen_at) / self._packet_s) if self._seen_at is not None else 0

    def heard(self, now: float, held_back: int) -> Heard | None:
        """What a report says of it; None of nothing, or when packets are only sampled."""
        received, lost = self.figures(now, held_back)
        if self._ssrc is None or lost is None:
            return None
        return Heard(
            ssrc=self._ssrc, expected=received + lost, lost=lost, highest=self._highest, jitter=int(self._jitter)
        )

    def _sampled(self, now: float, lost_before: int) -> int:
        if self.lost is None or self._seen_at is None:
            return self.received
        # The packet after that many would have been let through.
        since = min(self.one_in - 1, self._unseen_since(now))
        return self.received + self.lost - lost_before + since

    @property
    def lost(self) -> int | None:
        """Packets that were sent to us and never came; None when nothing came at all."""
        return self._lost_before + self._lost_now() if self.received else None

    @property
    def jitter_ms(self) -> float | None:
        """Interarrival jitter; None with fewer than two packets."""
        return self._jitter / self._clock_rate * 1000 if self.received > 1 else None

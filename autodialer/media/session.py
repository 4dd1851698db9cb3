"""One call's RTP session: what it sends in each 20 ms, and what it learns from what it receives. Pure."""

import random
from dataclasses import dataclass

from autodialer.media import g711, rtp
from autodialer.media.dtmf import DigitReceiver

PTIME_MS = 20
FRAME = g711.SAMPLE_RATE * PTIME_MS // 1000
"""Samples, and with G.711 bytes, of one packet."""

LATCH_AFTER = 5
"""RTP packets in a row from one strange address and source before ours go there."""

Address = tuple[str, int]


@dataclass(frozen=True, kw_only=True)
class SessionStats:
    """What one session saw, told when it is closed."""

    sent: int = 0
    """Packets that left."""
    received: int = 0
    """RTP packets that came after the answer."""
    lost: int | None = None
    """Packets sent to us that never came; None when none came at all."""
    jitter_ms: float | None = None
    """RFC 3550 interarrival jitter; None with fewer than two packets."""
    played_frames: int = 0
    """Packets of the sound that left, 20 ms each; lead-in silence does not count."""
    discarded: int = 0
    """Datagrams that were no RTP."""


class Session:
    """Sends nothing until `play`, then one packet a call of `next_packet` until the sound has ended."""

    def __init__(self, randomness: random.Random | None = None) -> None:
        source = randomness or random.SystemRandom()
        # RFC 3550 section 5.1: all three start at random.
        self._ssrc = source.getrandbits(32)
        self._sequence = source.getrandbits(16)
        self._timestamp = source.getrandbits(32)
        self.remote: Address | None = None
        self._payload_type = 0
        self._event_type: int | None = None
        self._codes = b""
        self._silence = b""
        self._lead_in_frames = 0
        self._offset = 0
        self._held_at: float | None = None
        self._marker = True
        self._sent = self._played_frames = self._discarded = 0
        self._symmetric = False
        self._signalled: Address | None = None
        """Where the session description says that packets are taken."""
        self._latched = False
        """It is settled where the callee is."""
        self._stranger: tuple[Address, int, int] | None = None
        """Address and SSRC of RTP that comes from elsewhere than was promised, and how many packets in a row."""
        self._reception = rtp.Reception()
        self._digits = DigitReceiver()

    def play(
        self,
        *,
        remote: Address,
        codec: str,
        payload_type: int,
        codes: bytes,
        telephone_event_pt: int | None,
        lead_in_ms: int,
        symmetric: bool = True,
    ) -> None:
        """The call is answered: send `codes`, the encoded sound, to `remote` after `lead_in_ms` of silence.

        `symmetric`: a callee whose RTP steadily comes from another address gets ours there, once (RFC 4961).
        """
        self._signalled = self.remote = remote
        self._symmetric = symmetric
        self._payload_type = payload_type
        self._event_type = telephone_event_pt
        self._silence = bytes([g711.SILENCE[codec]]) * FRAME
        self._codes = codes
        self._offset = 0
        self._lead_in_frames = -(-lead_in_ms // PTIME_MS)

    def hold(self, now: float) -> None:
        """Send nothing for a while: the sound stops where it is."""
        if self._held_at is None:
            self._held_at = now

    def move(
        self,
        now: float,
        *,
        remote: Address,
        codec: str,
        payload_type: int,
        codes: bytes,
        telephone_event_pt: int | None,
    ) -> None:
        """Go on, to `remote` and perhaps in another codec; `codes` are those of the same sound. Ends a hold."""
        if self._held_at is not None:
            # RFC 3550 section 5.1: the timestamp counts on through a silence, and section 4.1 of RFC 3551: the marker.
            periods = int((now - self._held_at) * 1000 // PTIME_MS)
            self._timestamp = (self._timestamp + periods * FRAME) & 0xFFFFFFFF
            self._held_at = None
            self._marker = True
        if remote != self._signalled:
            self._signalled = self.remote = remote
            self._stranger = None
            self._latched = False
        self._payload_type = payload_type
        self._event_type = telephone_event_pt
        self._silence = bytes([g711.SILENCE[codec]]) * FRAME
        self._codes = codes

    @property
    def started(self) -> bool:
        """Whether the call is answered: `play` was called."""
        return self.remote is not None

    @property
    def playing(self) -> bool:
        """Whether packets are left to send now."""
        return self._held_at is None and not self.ended

    @property
    def ended(self) -> bool:
        """Whether the whole sound has left."""
        return self._offset >= len(self._codes)

    @property
    def played_frames(self) -> int:
        """Packets of the sound that left so far."""
        return self._played_frames

    def next_packet(self) -> bytes:
        """The packet of this 20 ms. `count_sent` tells afterwards whether it left."""
        if self._lead_in_frames > 0:
            payload = self._silence
        else:
            payload = self._codes[self._offset : self._offset + FRAME]
            if len(payload) < FRAME:
                payload += self._silence[len(payload) :]
        return rtp.pack(self._payload_type, self._sequence, self._timestamp, self._ssrc, payload, marker=self._marker)

    def count_sent(self, *, left: bool) -> None:
        """Go on to the next packet. One that could not leave is lost on its way like any other, and does not count."""
        self._sequence = (self._sequence + 1) & 0xFFFF
        self._timestamp = (self._timestamp + FRAME) & 0xFFFFFFFF
        self._sent += left
        self._marker = self._marker and not left
        if self._lead_in_frames > 0:
            self._lead_in_frames -= 1
            return
        self._offset += FRAME
        self._played_frames += left

    def receive(self, data: bytes, source: Address, now: float) -> str | None:
        """Take a datagram that came to the session's port from `source`. Returns the digit it starts, if any.

        Before the answer everything is early media and is not counted.
        """
        packet = rtp.parse(data)
        if packet is None:
            self._discarded += 1
            return None
        if self.remote is None:
            return None
        if self._symmetric and not self._latched:
            self._watch(packet, source)
        if packet.payload_type == self._event_type:
            self._reception.count(packet)
            return self._digits.take(packet)
        self._reception.take(packet, now)
        return None

    def _watch(self, packet: rtp.RtpPacket, source: Address) -> None:
        """Behind a NAT the address in a session description leads nowhere; the one that packets come from does.

        Only once, and only while nothing comes from where it was promised: a third host cannot take over a call.
        """
        if source == self.remote:
            self._latched = True
            return
        known = self._stranger
        count = known[2] + 1 if known is not None and known[:2] == (source, packet.ssrc) else 1
        self._stranger = (source, packet.ssrc, count)
        if count >= LATCH_AFTER:
            self.remote, self._latched = source, True

    def stats(self) -> SessionStats:
        """The figures so far."""
        return SessionStats(
            sent=self._sent,
            received=self._reception.received,
            lost=self._reception.lost,
            jitter_ms=self._reception.jitter_ms,
            played_frames=self._played_frames,
            discarded=self._discarded,
        )

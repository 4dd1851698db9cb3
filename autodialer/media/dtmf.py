"""Digits that the callee presses, as telephone-events (RFC 4733). Pure."""

from collections import deque

from autodialer.media.rtp import RtpPacket

EVENTS = "0123456789*#ABCD"
"""Event code -> digit, RFC 4733 section 3.2."""
END_BIT = 0x80
"""In the second octet of the payload, RFC 4733 section 2.3.2."""
REMEMBERED = 8
"""Presses whose packets may still come late."""
SLACK_SAMPLES = 160
"""20 ms: nobody presses a key again so soon after letting it go."""
FIELD_FULL = 0xFFFF - 8000
"""Samples: a press that is known to have lasted so long and has not ended may go on in another segment, although the
packets around the change were lost."""
LOST_SAMPLES = 16_000
"""2 s of lost packets, at most, around that change."""


class DigitReceiver:
    """Tells each press once, at its first packet.

    All packets of one press, the repeats of its end too, bear the RTP timestamp of its start (RFC 4733 section
    2.5.1.2), so a press is known by it even when its end is lost or its packets come late. A press too long for one
    duration field goes on under a new timestamp (section 2.5.1.3), and some senders move the timestamp with every
    packet: what lies within the press just told, or follows at once, is no new one unless it bears the marker.
    """

    def __init__(self) -> None:
        self._told: deque[tuple[int, int, int]] = deque(maxlen=REMEMBERED)
        self._key: tuple[int, int] | None = None
        """Source and event of the latest press."""
        self._lasts_until = 0
        """RTP timestamp up to which that press is known to last."""
        self._fills_field = False
        """It had nearly filled the duration field then, and no end was seen."""

    def take(self, packet: RtpPacket) -> str | None:
        """The digit that this packet starts; None for a packet of a press already told, or no digit."""
        if len(packet.payload) < 4 or packet.payload[0] >= len(EVENTS):
            return None
        event = packet.payload[0]
        press = (packet.ssrc, packet.timestamp, event)
        is_new = press not in self._told and not self._goes_on(packet, event)
        if press not in self._told:
            self._told.append(press)
        # A late packet of an earlier press must not set back how long the latest one lasts.
        if press == self._told[-1]:
            self._key = (packet.ssrc, event)
            duration = int.from_bytes(packet.payload[2:4])
            self._lasts_until = packet.timestamp + duration
            self._fills_field = duration >= FIELD_FULL and not packet.payload[1] & END_BIT
        return EVENTS[event] if is_new else None

    def _goes_on(self, packet: RtpPacket, event: int) -> bool:
        if packet.marker or self._key != (packet.ssrc, event):
            return False
        after = (packet.timestamp - self._lasts_until + 2**31) % 2**32 - 2**31
        # The duration field has 16 bits: what lies further back was before this press began.
        return -0x10000 <= after <= (LOST_SAMPLES if self._fills_field else SLACK_SAMPLES)

"""Digits that we press, as telephone-events (RFC 4733) on a session's own 20 ms grid. Pure.

The sound stands still meanwhile; the timestamps go on, so that a callee's jitter buffer sees a stream without a hole in
time. Between two digits nothing is sent, as RFC 4733 section 2.5.1.2 lets a sender do.
"""

from collections import deque
from dataclasses import dataclass

from autodialer.media import rtp
from autodialer.media.dtmf import END_BIT, EVENTS

PRESS_PERIODS = 8
"""20 ms each: a digit lasts 160 ms, and gateways want 40 at least."""
END_PACKETS = 3
"""RFC 4733 section 2.5.1.4: the packet with the end is sent three times."""
PAUSE_PERIODS = 4
"""After the last packet of a digit: with the two repeats of the end it pauses for 120 ms."""
DIGIT_PERIODS = PRESS_PERIODS + END_PACKETS - 1 + PAUSE_PERIODS
"""From the start of a digit to the start of the next one: 280 ms."""
VOLUME = 10
"""-10 dBm0, RFC 4733 section 2.3.4."""
PERIOD_SAMPLES = 160


@dataclass(frozen=True, kw_only=True, slots=True)
class EventNumbers:
    """What the packets of digits take from their session."""

    payload_type: int
    """Of telephone-events, as agreed."""
    ssrc: int


class DigitSender:
    """The packets of some digits, one turn of the grid after the other."""

    def __init__(self, digits: str, numbers: EventNumbers, *, sequence: int, timestamp: int) -> None:
        """`sequence` and `timestamp` are those of the session's next packet. Raises ValueError for a non-key."""
        self._left = deque(EVENTS.index(digit) for digit in digits)
        self._numbers = numbers
        self._period = 0
        """Of the present digit."""
        self.sent = 0
        """Packets so far."""
        self.sequence = sequence
        """Of the next packet, whatever it is."""
        self.timestamp = timestamp
        """Of this turn of the grid."""

    @property
    def done(self) -> bool:
        """Whether every digit has been sent, and the pause after the last one is over."""
        return not self._left

    def add(self, digits: str) -> None:
        """Send these too, after the others."""
        self._left.extend(EVENTS.index(digit) for digit in digits)

    @property
    def unbegun(self) -> str:
        """The digits of which nothing has been sent."""
        # The callee's side has already taken a press that was begun; sent again it would be a second one.
        begun = 1 if self._period else 0
        return "".join(EVENTS[event] for event in list(self._left)[begun:])

    def next_packet(self) -> bytes | None:
        """What to send in this turn; None in a pause."""
        # The pause keeps two presses of one key apart: a gateway that makes tones of them needs silence in between.
        packet = self._packet() if self._period < PRESS_PERIODS + END_PACKETS - 1 else None
        self.timestamp = (self.timestamp + PERIOD_SAMPLES) & 0xFFFFFFFF
        self._period += 1
        if self._period == DIGIT_PERIODS:
            self._period = 0
            self._left.popleft()
        return packet

    def _packet(self) -> bytes:
        """All packets of a digit bear the timestamp of its start; the marker stands on the first."""
        # The repeats of the end say the same duration as the first one (RFC 4733 section 2.5.1.4).
        lasted = min(self._period + 1, PRESS_PERIODS)
        is_end = self._period + 1 >= PRESS_PERIODS
        payload = bytes((self._left[0], (END_BIT if is_end else 0) | VOLUME))
        payload += (lasted * PERIOD_SAMPLES).to_bytes(2, "big")
        started = self.timestamp - self._period * PERIOD_SAMPLES
        sequence, self.sequence = self.sequence, (self.sequence + 1) & 0xFFFF
        self.sent += 1
        return rtp.pack(
            self._numbers.payload_type, sequence, started, self._numbers.ssrc, payload, marker=self._period == 0
        )

"""What one session tells its peer by RTCP, when, and what it learns from the peer's reports. Pure."""

import random
from dataclasses import dataclass, replace

from autodialer.media import rtcp

EVERY_S = 5.0
"""RFC 3550 section 6.2: the least mean interval; two speakers on one line are far below the share of bandwidth."""
FIRST_S = 2.5
"""Of the first report: half of that."""
COMPENSATION = 1.21828
"""RFC 3550 section 6.3.1: e - 3/2."""
MOST_ROUND_TRIP_S = 60.0
"""What is longer was forged, or comes from a clock that was set."""


@dataclass(frozen=True, kw_only=True)
class Sent:
    """What a session has sent so far."""

    ssrc: int
    timestamp: int
    """Of its next packet."""
    packets: int
    octets: int


@dataclass(frozen=True, kw_only=True)
class Heard:
    """What a session has received so far of the source that it hears."""

    ssrc: int
    expected: int
    """Packets by the sequence numbers."""
    lost: int
    highest: int
    jitter: int
    """Timestamp units."""


@dataclass(frozen=True, kw_only=True)
class PeerView:
    """What the peer says of our stream; None where it said nothing."""

    lost: int | None = None
    """Packets of ours that it missed."""
    round_trip_ms: float | None = None
    reports: int = 0
    """Reports of its that came, whatever they speak of."""


class Reporting:
    """RTCP of one session. Times are monotonic seconds."""

    def __init__(self, now: float, *, cname: str, epoch_at_zero: float, randomness: random.Random) -> None:
        """`epoch_at_zero`: the UNIX time at the monotonic time 0, the same for all sessions of a process."""
        self._cname = cname
        self._epoch_at_zero = epoch_at_zero
        self._random = randomness
        self.due_at = now + self._interval(FIRST_S)
        self._said_packets = 0
        """Sent when the last report left."""
        self._reported = False
        self._expected_before = self._lost_before = 0
        self._last_sr: tuple[int, float] | None = None
        """Of the peer: middle of its NTP time, when it came."""
        self.peer = PeerView()

    def report(self, sent: Sent, heard: Heard | None, now: float) -> bytes:
        """The compound packet that is due; the next one is due after a while."""
        self.due_at = now + self._interval(EVERY_S)
        return self._compound(sent, heard, now)

    def farewell(self, sent: Sent, heard: Heard | None, now: float) -> bytes | None:
        """The last packet: a report with a BYE; None where nothing was ever sent, by RFC 3550 section 6.3.7."""
        if not sent.packets and not self._reported:
            return None
        return self._compound(sent, heard, now) + rtcp.bye(sent.ssrc)

    def _compound(self, sent: Sent, heard: Heard | None, now: float) -> bytes:
        blocks = (self._block(heard, now),) if heard is not None else ()
        info = None
        # RFC 3550 section 6.4: a participant that has sent since the last report but one is a sender.
        if sent.packets > self._said_packets:
            ntp = rtcp.ntp_time(self._epoch_at_zero + now)
            info = rtcp.SenderInfo(ntp=ntp, timestamp=sent.timestamp, packets=sent.packets, octets=sent.octets)
        self._said_packets = sent.packets
        self._reported = True
        return bytes(rtcp.Report(ssrc=sent.ssrc, sender=info, blocks=blocks)) + rtcp.sdes(sent.ssrc, self._cname)

    def _block(self, heard: Heard, now: float) -> rtcp.ReportBlock:
        expected, lost = heard.expected - self._expected_before, heard.lost - self._lost_before
        self._expected_before, self._lost_before = heard.expected, heard.lost
        last_sr, delay = 0, 0
        if self._last_sr is not None:
            last_sr, delay = self._last_sr[0], int((now - self._last_sr[1]) * 65536)
        return rtcp.ReportBlock(
            ssrc=heard.ssrc,
            # Packets that came twice make it negative: RFC 3550 appendix A.3 has it say 0 then.
            fraction_lost=lost / expected if expected > 0 and lost > 0 else 0.0,
            lost=heard.lost,
            highest=heard.highest,
            jitter=heard.jitter,
            last_sr=last_sr,
            delay_since_last_sr=delay,
        )

    def take(self, report: rtcp.Report, ours: int, now: float) -> None:
        """The peer's report; `ours` is the SSRC of our stream. A report on others, or from ourselves, says nothing."""
        # A loop, or a peer that echoes all it gets: RFC 3550 section 8.2.
        if report.ssrc == ours:
            return
        self.peer = replace(self.peer, reports=self.peer.reports + 1)
        if report.sender is not None:
            self._last_sr = (rtcp.middle(report.sender.ntp), now)
        for block in report.blocks:
            if block.ssrc == ours:
                trip_ms = self._round_trip_ms(block, now)
                known = self.peer.round_trip_ms if trip_ms is None else trip_ms
                self.peer = replace(self.peer, lost=max(0, block.lost), round_trip_ms=known)

    def _round_trip_ms(self, block: rtcp.ReportBlock, now: float) -> float | None:
        """RFC 3550 section 6.4.1: now, less when our report left, less how long it lay with the peer."""
        if not block.last_sr:
            return None
        here = rtcp.middle(rtcp.ntp_time(self._epoch_at_zero + now))
        trip = (here - block.last_sr - block.delay_since_last_sr) & 0xFFFFFFFF
        if trip >= 2**31:
            trip = 0  # less than the clocks can tell
        return trip / 65.536 if trip <= MOST_ROUND_TRIP_S * 65536 else None

    def _interval(self, mean_s: float) -> float:
        # RFC 3550 section 6.3.1: at random, so that reports of calls that began together do not stay together.
        return mean_s * self._random.uniform(0.5, 1.5) / COMPENSATION

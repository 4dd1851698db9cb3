"""Bound UDP ports and the sessions that use them: a port for one session, or a port that many share."""

import contextlib
import socket
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from autodialer.media.reporting import Heard, PeerView, Reporting
from autodialer.media.rtcp import Report
from autodialer.media.session import Session, SessionStats, Stream
from autodialer.media.shell import socket_filter
from autodialer.media.shell.events import Command
from autodialer.media.source import REMEMBERED, Address

EXPEDITED = 0xB8
"""DSCP EF, RFC 3246."""
_OPTIONS = {
    socket.AF_INET: (socket.IPPROTO_IP, socket.IP_TOS, 10),
    socket.AF_INET6: (socket.IPPROTO_IPV6, getattr(socket, "IPV6_TCLASS", 67), 23),
}
"""Level, traffic class and MTU_DISCOVER of each family (linux/in.h, in6.h)."""
IP_PMTUDISC_DO = 2
"""Linux's numbers."""
_BUFFER = 4 * 1024 * 1024
"""Octets for a shared port: the packets of a slot leave, and those of many callees come, at once."""

MANY = 8
"""Calls on a shared port from which on a sample of the callees' audio does."""
FEW = MANY // 2
"""Calls on a shared port below which everything is looked at again."""
SEES_ALL_S = 0.5
"""After a packet of a source that may be latched: until it is known, all that comes is looked at."""


class Port:
    """One UDP socket. Knows which session a packet belongs to."""

    def __init__(self, host: str, port: int, *, shared: bool) -> None:
        """Raises OSError, or OverflowError for a number that is not a port."""
        self.shared = shared
        self.socket = _open_socket(host)
        try:
            self.socket.settimeout(0)
            with contextlib.suppress(OSError):
                # Not every system or container allows them, and a call without them is heard too.
                level, traffic_class, mtu_discover = _OPTIONS[self.socket.family]
                self.socket.setsockopt(level, traffic_class, EXPEDITED)
                self.socket.setsockopt(level, mtu_discover, IP_PMTUDISC_DO)
            if shared:
                for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
                    self.socket.setsockopt(socket.SOL_SOCKET, option, _BUFFER)
            self.socket.bind((host, port))
        except BaseException:
            self.socket.close()
            raise
        self.address: Address = self.socket.getsockname()[:2]
        self.reports = ReportPort.beside(self.address)
        """Where the peers' RTCP comes; None: the port beside was taken."""
        self.descriptor = self.socket.fileno()
        self.lines: set[Line] = set()
        """The lines that use this port."""
        self._by_remote: dict[Address, Line] = {}
        self._ringing: set[Line] = set()
        """Lines of a shared port that are not answered yet."""
        self._unheard: set[Line] = set()
        """Lines of a shared port whose callee may yet speak from an address that no description names."""
        self._seen: dict[Address, None] = {}
        """Where packets came from that were nobody's; latest last."""
        self._strangers = 0
        """Packets from there while no call was ringing, so that they were no early media."""
        self._settled: set[Line] = set()
        """Lines of a shared port whose callee was heard."""
        self._sampled: bool | None = None
        """Whether the kernel is to drop most of what comes to a shared port; None: not tried yet."""
        self._sees_all_until: float | None = None
        """It does not for a while, until this monotonic time."""

    def join(self, line: "Line") -> None:
        """The line uses this port."""
        self.lines.add(line)
        if self.shared:
            self._ringing.add(line)

    def line_of(self, source: Address, now: float) -> "Line | None":
        """Whose packet it is that came from there."""
        if not self.shared:
            return next(iter(self.lines), None)
        return self._by_remote.get(source) or self._claimant(source, now)

    def _claimant(self, source: Address, now: float) -> "Line | None":
        """The only line whose callee may be the unknown source; None where several may be."""
        self._unheard = {line for line in self._unheard if line.session.awaits_latch(now)}
        able = [line for line in self._unheard if line.session.may_latch(source, now)]
        if len(able) == 1:
            self._see_all(now)
            return able[0]
        self._seen.pop(source, None)
        self._seen[source] = None
        if len(self._seen) > REMEMBERED:
            del self._seen[next(iter(self._seen))]
        self._strangers += not self._ringing
        return None

    @property
    def unclaimed(self) -> int:
        """Packets of RTP and RTCP that have come and belong to no line."""
        return self._strangers + (self.reports.strangers if self.reports is not None else 0)

    def follow(self, line: "Line") -> None:
        """The line sends to another address now, without having been told to."""
        if self.shared and line.session.remote is not None:
            # Never over another line: what was said to a call goes before what was only heard.
            self._by_remote.setdefault(line.session.remote, line)

    def asking(self) -> Iterable["Line"]:
        """The lines whose question to a STUN server may be answered here."""
        return self.lines

    def take(self, line: "Line", remote: Address) -> bool:
        """Packets from `remote` are this line's from now on; False: they are another one's already."""
        if not self.shared:
            return True
        if self._by_remote.setdefault(remote, line) is not line:
            return False
        # Where it was before may be given to another call at once.
        self.release(line, but=remote)
        if line in self._ringing:
            self._ringing.discard(line)
            # Nobody could tell whose early media it was; to each call that is answered it may be the tail of its own.
            for source in self._seen:
                line.session.see_early(source)
        self._unheard.add(line)
        if self._sampled:
            line.session.sample(socket_filter.ONE_IN)
        return True

    def settle(self, line: "Line", now: float) -> None:
        """A callee of a shared port was heard: once there are many, a sample of their packets is enough.

        The kernel counts what it drops for the whole port, so that no call's loss can be told from then on.
        """
        self._settled.add(line)
        if self._sees_all_until is not None and now >= self._sees_all_until:
            self._sees_all_until = None
            socket_filter.attach(self.socket)
        if self._sampled is None and len(self._settled) >= max(MANY, len(self.lines) // 2):
            self._sampled = socket_filter.attach(self.socket)
            for one in self.lines if self._sampled else ():
                one.session.sample(socket_filter.ONE_IN)

    def _see_all(self, now: float) -> None:
        """A latch takes packets in a row: while one may come, a sample will not do."""
        if self._sampled:
            if self._sees_all_until is None:
                socket_filter.detach(self.socket)
            self._sees_all_until = now + SEES_ALL_S

    def leave(self, line: "Line") -> None:
        """The line uses another port, or no port."""
        self.release(line)
        for lines in (self.lines, self._ringing, self._unheard, self._settled):
            lines.discard(line)
        # Half of MANY, so that a call more or less does not switch the filter on and off.
        if self._sampled and len(self.lines) < FEW:
            socket_filter.detach(self.socket)
            self._sampled = self._sees_all_until = None

    def release(self, line: "Line", *, but: Address | None = None) -> None:
        """Packets no longer belong to this line, except those from `but`."""
        for remote in [remote for remote, one in self._by_remote.items() if one is line and remote != but]:
            del self._by_remote[remote]

    def close(self) -> None:
        """Free the port."""
        self.socket.close()
        if self.reports is not None:
            self.reports.socket.close()


def _open_socket(host: str) -> socket.socket:
    """A UDP socket of the family of this address."""
    if ":" not in host:
        return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    # The port's IPv4 half may be another call's.
    opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return opened


class ReportPort:
    """The socket beside an RTP port that RTCP uses, RFC 3550 section 11."""

    def __init__(self, udp: socket.socket) -> None:
        self.socket = udp
        self._by_ssrc: dict[int, Line] = {}
        self.strangers = 0
        """Reports of calls that are not here."""

    @classmethod
    def beside(cls, address: Address) -> "ReportPort | None":
        """The next port; None if it cannot be had, and for an odd RTP port, whose next one may be another call's."""
        if address[1] % 2:
            return None
        udp = _open_socket(address[0])
        try:
            udp.settimeout(0)
            udp.bind((address[0], address[1] + 1))
        except OSError:
            udp.close()
            return None
        return cls(udp)

    def join(self, line: "Line") -> None:
        """Reports on the line's stream come here."""
        self._by_ssrc[line.session.ssrc] = line

    def leave(self, line: "Line") -> None:
        """Reports on the line's stream no longer come here."""
        self._by_ssrc.pop(line.session.ssrc, None)

    def secure_line_of(self, data: bytes, source: Address) -> "Line | None":
        """The line whose encrypted report it may be: the only line, or that of the sender, which stays readable."""
        lines = [line for line in self._by_ssrc.values() if line.session.encrypted]
        if len(self._by_ssrc) == 1:
            return next(iter(lines), None)
        # SRTCP leaves the first eight octets readable (RFC 3711 section 3.4).
        ssrc = int.from_bytes(data[4:8], "big")
        return next((line for line in lines if line.reports_to == source or line.session.heard_ssrc == ssrc), None)

    def line_of(self, report: Report) -> "Line | None":
        """Whose report it is: of the one line here, or of the line whose stream it speaks of."""
        if len(self._by_ssrc) == 1:
            return next(iter(self._by_ssrc.values()))
        lines = (self._by_ssrc.get(block.ssrc) for block in report.blocks)
        return next((line for line in lines if line is not None), None)


class Line:
    """One session and the port that it uses."""

    def __init__(self, name: str, port: Port) -> None:
        self.name = name
        self.session = Session()
        self.port = port
        port.join(self)
        self._unclaimed_before = port.unclaimed
        """What had come to this port that was nobody's, when the call was answered or got the port."""
        self._unclaimed = 0
        """The same since the answer, at the ports that it had before."""
        self.waiting: Command | None = None
        """What to do once it has a port of its own."""
        self.reporting: Reporting | None = None
        """Its RTCP, from the answer on; None: before it."""
        self.peer = PeerView()
        """What the peer has said, once the reporting is over."""
        self.signalled_reports_to: Address | None = None
        """Where the session description says that RTCP is taken (RFC 3605); None: it says nothing."""
        self._spared: Stream | None = None
        """The stream that the kernel drops most of, on a port of its own; None: there is no filter."""
        self._drops_before = 0
        """What the kernel had dropped when the filter was attached."""
        self._received = 0
        """The callee's packets that the session had seen when it was told last what the kernel dropped."""

    @property
    def socket(self) -> socket.socket:
        """What its packets leave by."""
        return self.port.socket

    @property
    def descriptor(self) -> int:
        """File descriptor of that socket, which the fast sender uses."""
        return self.port.descriptor

    @property
    def shares_socket(self) -> bool:
        """Other sessions send through that socket too."""
        return self.port.shared

    def use(self, port: Port) -> None:
        """Another port from now on."""
        self.see_all()
        # The counter is the port's: what came to it while it was this call's is taken along.
        self._unclaimed += self.port.unclaimed - self._unclaimed_before
        self.leave()
        self.port, self._unclaimed_before = port, port.unclaimed
        port.join(self)
        if self.reporting is not None and port.reports is not None:
            port.reports.join(self)

    def leave(self) -> None:
        """Stop using a port."""
        if self.port.reports is not None:
            self.port.reports.leave(self)
        self.port.leave(self)

    def answered(self) -> None:
        """From now on strangers count."""
        self._unclaimed_before = self.port.unclaimed

    def spare_audio(self, now: float) -> None:
        """A packet came: have the kernel drop what nobody listens to, as long as the stream is the same."""
        stream = self.session.settled
        if self._spared is not None:
            if self.session.received > self._received and self.session.heard_ssrc == self._spared.ssrc:
                # It came after all that the kernel dropped, and its number tells whether any is missing before it.
                self._received = self.session.received
                self.session.note_held_back(self._held_back())
            if stream == self._spared:
                return
            self.see_all()
        if stream is None:
            return
        if self.port.shared:
            self.port.settle(self, now)
        else:
            # The kernel's counter holds drops for want of room too, from before the filter.
            before = socket_filter.dropped(self.socket)
            if before is not None and socket_filter.attach(self.socket, stream):
                self._spared, self._drops_before = stream, before

    def see_all(self) -> None:
        """The callee's address, stream or codec may change: everything is to be seen until it is known again."""
        if self._spared is not None:
            socket_filter.detach(self.socket)
            self.session.end_span(self._held_back())
            self._spared = None

    def stats(self, now: float) -> SessionStats:
        """The session's figures, with what the kernel held back and what the peer has said."""
        stats = self.session.stats(now, held_back=self._held_back())
        return replace(
            stats,
            strangers=stats.strangers + self._unclaimed + self.port.unclaimed - self._unclaimed_before,
            remote_lost=self.peer.lost,
            round_trip_ms=self.peer.round_trip_ms,
            reports=self.peer.reports,
        )

    @property
    def signs_of_life(self) -> int:
        """RTP packets and reports of the callee's side that have come so far."""
        return self.session.received + (self.reporting.peer.reports if self.reporting is not None else 0)

    def heard(self, now: float) -> Heard | None:
        """What has come, for a report."""
        return self.session.heard(now, held_back=self._held_back())

    def _held_back(self) -> int:
        if self._spared is None:
            return 0
        after = socket_filter.dropped(self.socket)
        return after - self._drops_before if after is not None else 0

    @property
    def reports_to(self) -> Address | None:
        """Where RTCP goes; None: nowhere."""
        remote = self.session.remote
        if remote is None or self.signalled_reports_to is not None:
            # RFC 3605: what the description says goes before the rule of the next port.
            return self.signalled_reports_to
        # RFC 3550 section 11: RTP has the even port of a pair. Beside an odd one may be another call's RTP.
        return (remote[0], remote[1] + 1) if remote[1] % 2 == 0 else None

    def signal_reports(self, address: Sequence[Any] | None) -> None:
        """What the session description says of RTCP; None: nothing."""
        self.signalled_reports_to = (str(address[0]), int(address[1])) if address else None

    def is_peer(self, source: Address, ssrc: int) -> bool:
        """Whether a report of `ssrc` from there is the peer's."""
        return self.session.is_peer(source, self.reports_to, ssrc)

    def send_rtp(self, packet: bytes) -> None:
        """Send an RTP packet beside the sound, encrypted if the session is."""
        protection = self.session.protection
        self.send_now(packet if protection is None else protection.protect(packet), self.session.remote)

    def send_now(self, data: bytes, address: Address | None) -> None:
        """Send something beside the sound; if it cannot leave it is lost on its way like any other."""
        if address is not None:
            with contextlib.suppress(OSError):
                self.socket.sendto(data, address)

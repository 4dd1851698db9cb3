"""Bound UDP ports and the sessions that use them: a port for one session, or one that many share."""

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
from autodialer.media.source import Address

EXPEDITED = 0xB8
"""DSCP EF, RFC 3246."""
IP_MTU_DISCOVER, IP_PMTUDISC_DO = 10, 2
"""Linux's numbers."""
_BUFFER = 4 * 1024 * 1024
"""Octets for a shared port: the packets of a slot leave, and those of many callees come, at once."""

MANY = 8
"""Calls on a shared port from which on a sample of the callees' audio does."""


class Port:
    """One UDP socket. Knows which session a packet belongs to."""

    def __init__(self, host: str, port: int, *, shared: bool) -> None:
        """Raises OSError, or OverflowError for a number that is not a port."""
        self.shared = shared
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self.socket.settimeout(0)
            with contextlib.suppress(OSError):
                self.socket.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, EXPEDITED)
                self.socket.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO)
            if shared:
                for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
                    self.socket.setsockopt(socket.SOL_SOCKET, option, _BUFFER)
            self.socket.bind((host, port))
        except BaseException:
            self.socket.close()
            raise
        self.address: Address = self.socket.getsockname()
        self.reports = ReportPort.beside(self.address)
        """Where the peers' RTCP comes; None: the port beside was taken."""
        self.descriptor = self.socket.fileno()
        self.lines: set[Line] = set()
        """Those that use it."""
        self._by_remote: dict[Address, Line] = {}
        self._settled: set[Line] = set()
        """Those of a shared port whose callee was heard."""
        self._sampled: bool | None = None
        """Whether the kernel drops most of what comes to a shared port; None: not tried yet."""

    def line_of(self, source: Address) -> "Line | None":
        """Whose packet it is that came from there."""
        if self.shared:
            return self._by_remote.get(source)
        return next(iter(self.lines), None)

    def asking(self) -> Iterable["Line"]:
        """The lines whose question to a STUN server may be answered here."""
        return self.lines

    def take(self, line: "Line", remote: Address) -> bool:
        """Packets from `remote` are this line's from now on; False: they are another one's already."""
        if not self.shared:
            return True
        if self._by_remote.setdefault(remote, line) is not line:
            return False
        self.release(line, but=remote)
        if self._sampled:
            line.session.sample(socket_filter.ONE_IN)
        return True

    def settle(self, line: "Line") -> None:
        """A callee of a shared port was heard: once there are many, a sample of their packets is enough.

        The kernel counts what it drops for the whole port, so that no call's loss can be told from then on.
        """
        self._settled.add(line)
        if self._sampled is None and len(self._settled) >= max(MANY, len(self.lines) // 2):
            self._sampled = socket_filter.attach(self.socket)
            for one in self.lines if self._sampled else ():
                one.session.sample(socket_filter.ONE_IN)

    def leave(self, line: "Line") -> None:
        """The line uses another port, or no port."""
        self.release(line)
        self.lines.discard(line)
        self._settled.discard(line)

    def release(self, line: "Line", *, but: Address | None = None) -> None:
        """Packets no longer belong to this line, except those from `but`."""
        for remote in [remote for remote, one in self._by_remote.items() if one is line and remote != but]:
            del self._by_remote[remote]

    def close(self) -> None:
        """Free the port."""
        self.socket.close()
        if self.reports is not None:
            self.reports.socket.close()


class ReportPort:
    """The socket beside an RTP port that RTCP uses, RFC 3550 section 11."""

    def __init__(self, udp: socket.socket) -> None:
        self.socket = udp
        self._by_ssrc: dict[int, Line] = {}

    @classmethod
    def beside(cls, address: Address) -> "ReportPort | None":
        """The next port; None if it cannot be had, and for an odd RTP port, whose next one may be another call's."""
        if address[1] % 2:
            return None
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
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
        """They no longer do."""
        self._by_ssrc.pop(line.session.ssrc, None)

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
        port.lines.add(self)
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
        """Of that socket."""
        return self.port.descriptor

    @property
    def shares_socket(self) -> bool:
        """Other sessions send through that socket too."""
        return self.port.shared

    def use(self, port: Port) -> None:
        """Another port from now on."""
        self.see_all()
        self.leave()
        self.port = port
        port.lines.add(self)
        if self.reporting is not None and port.reports is not None:
            port.reports.join(self)

    def leave(self) -> None:
        """Stop using a port."""
        if self.port.reports is not None:
            self.port.reports.leave(self)
        self.port.leave(self)

    def spare_audio(self) -> None:
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
            self.port.settle(self)
        else:
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
            stats, remote_lost=self.peer.lost, round_trip_ms=self.peer.round_trip_ms, reports=self.peer.reports
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
            return self.signalled_reports_to
        # RFC 3550 section 11: RTP has the even port of a pair. Beside an odd one may be another call's RTP.
        return (remote[0], remote[1] + 1) if remote[1] % 2 == 0 else None

    def signal_reports(self, address: Sequence[Any] | None) -> None:
        """What the session description says of RTCP; None: nothing."""
        self.signalled_reports_to = (str(address[0]), int(address[1])) if address else None

    def is_peer(self, source: Address, ssrc: int) -> bool:
        """Whether a report of `ssrc` from there is the peer's."""
        return self.session.is_peer(source, self.reports_to, ssrc)

    def send_now(self, data: bytes, address: Address | None) -> None:
        """Send something beside the sound; if it cannot leave it is lost on its way like any other."""
        if address is not None:
            with contextlib.suppress(OSError):
                self.socket.sendto(data, address)

"""RTCP of all sessions: whose report is due, and what the peers' reports say."""

import base64
import contextlib
import heapq
import os
import random
import time
from itertools import count

from autodialer.media import rtcp
from autodialer.media.reporting import Reporting
from autodialer.media.shell.lines import Line, ReportPort
from autodialer.media.shell.sending import Sending

REPORTS_A_TURN = 8
"""Reports sent, or taken, before the next slot has its turn."""
LATER_S = 1.0
"""A session that presses keys reports after that."""


class Reports:
    """The reports of answered sessions. A session whose RTCP port could not be had sends no report."""

    def __init__(self, sending: Sending) -> None:
        self._sending = sending
        # The number tells two apart that are due at one time: lines have no order.
        self._due: list[tuple[float, int, Line]] = []
        self._number = count()
        # Taken once: a wall clock that is set must not show in round trips.
        self._epoch_at_zero = time.time() - time.monotonic()
        self._random = random.Random()

    @property
    def due_at(self) -> float | None:
        """When the next report is due; None: never."""
        return self._due[0][0] if self._due else None

    def begin(self, line: Line, now: float) -> None:
        """The call is answered: report on it from now on, where its RTCP port could be had."""
        if line.port.reports is None or line.reporting is not None:
            return
        # RFC 7022 section 4.2: a name for one session, of 96 random bits.
        cname = base64.b64encode(os.urandom(12)).decode("ascii")
        line.reporting = Reporting(now, cname=cname, epoch_at_zero=self._epoch_at_zero, randomness=self._random)
        line.port.reports.join(line)
        self._push(line, line.reporting.due_at)

    def send_due(self, now: float) -> None:
        """Send what is due, a few at a time."""
        for _ in range(REPORTS_A_TURN):
            if not self._due or self._due[0][0] > now:
                return
            line = heapq.heappop(self._due)[2]
            if line.reporting is None:
                continue  # closed meanwhile
            sent = self._sending.sent_by(line, now)
            if sent is None:
                # The timestamp of this moment is not known while digits,
                # with timestamps of their own, stand in for the sound.
                self._push(line, now + LATER_S)
                continue
            self._send(line, line.reporting.report(sent, line.heard(now), now))
            self._push(line, line.reporting.due_at)

    def end(self, line: Line, now: float) -> None:
        """The call is over: say BYE. The session no longer sends."""
        reporting, line.reporting = line.reporting, None
        if reporting is None:
            return
        line.peer = reporting.peer
        sent = self._sending.sent_by(line, now)
        farewell = reporting.farewell(sent, line.heard(now), now) if sent is not None else None
        if farewell is not None:
            self._send(line, farewell)

    def receive(self, port: ReportPort, now: float) -> None:
        """Take what has come to a port, a few packets at a time. Anything but a report of a call is dropped."""
        for _ in range(REPORTS_A_TURN):
            try:
                data, found = port.socket.recvfrom(2048)
            except OSError:
                return
            source = (found[0], found[1])
            sender = port.secure_line_of(data, source)
            # On a shared port plain and encrypted calls stand side by side, so each packet is judged by its sender.
            opened = data if sender is None else sender.session.open_report(data)
            if sender is not None and opened is None and rtcp.looks_like_report(data):
                sender.session.count_stranger()
            for report in rtcp.reports_in(opened or b""):
                line = port.line_of(report)
                if line is None or line.reporting is None or (line.session.encrypted and line is not sender):
                    port.strangers += 1
                    continue
                # A third host knows neither where the call goes nor, on a shared port, its SSRC.
                if line.is_peer(source, report.ssrc):
                    line.reporting.take(report, line.session.ssrc, now)
                else:
                    line.session.count_stranger()

    def _push(self, line: Line, due_at: float) -> None:
        heapq.heappush(self._due, (due_at, next(self._number), line))

    def _send(self, line: Line, packet: bytes) -> None:
        to = line.reports_to
        if to is not None and line.port.reports is not None:
            with contextlib.suppress(OSError):
                line.port.reports.socket.sendto(line.session.close_report(packet), to)

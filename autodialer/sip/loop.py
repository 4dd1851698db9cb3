"""The one I/O module of SIP: a thread with a UDP socket around the pure core.

Other transports become further sockets of this loop; the core then says for each packet which one it takes.
"""

import errno
import heapq
import itertools
import logging
import selectors
import socket
import struct
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial

from autodialer.errors import PortsExhausted
from autodialer.sip.events import Event
from autodialer.sip.invite import Address
from autodialer.sip.user_agent import UserAgent, UserAgentConfig

logger = logging.getLogger(__name__)

Command = Callable[[UserAgent, float], object]

_RECEIVE_BUFFER = 4 * 1024 * 1024
_DATAGRAM = 65_536
_BATCH = 64
"""Datagrams read before timers and sending have their turn."""
_PORTS_TRIED = 1000
_LINUX = sys.platform == "linux"
_IP_RECVERR = 11
"""linux/in.h; Python's socket module does not name it."""
_MSG_ERRQUEUE = 0x2000
_UNREACHABLE = frozenset((errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EPERM, errno.EACCES))
_UNSENDABLE = _UNREACHABLE | {errno.EINVAL, errno.EMSGSIZE}


class SipLoop:
    """One SIP socket with its calls. Public methods may be called from any thread."""

    def __init__(
        self,
        *,
        host: str,
        port: int,
        on_event: Callable[[Event], None],
        user_agent: str = "autodialer",
        known_hosts: Iterable[str] = (),
        name: str = "sip",
    ) -> None:
        """Bind `port` of the local IPv4 address `host`, or the next free one upward; port 0 takes any.

        `on_event` is called in the loop's thread. Raises PortsExhausted when no port is free.
        """
        self._on_event = on_event
        self._name = name
        self._socket = _bind(host, port)
        self.local_address: Address = self._socket.getsockname()
        """What the peers see, NAT aside."""
        self._core = UserAgent(
            UserAgentConfig(local_address=self.local_address, user_agent=user_agent, known_hosts=frozenset(known_hosts))
        )
        self._wake_read, self._wake_write = socket.socketpair()
        self._wake_read.settimeout(0.0)
        self._wake_write.settimeout(0.0)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._socket, selectors.EVENT_READ)
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        self._lock = threading.Lock()
        """Guards the commands and whether any are still taken."""
        self._commands: deque[Command] = deque()
        self._closed = False
        self._later: list[tuple[float, int, Callable[[], object]]] = []
        """A heap of what `run_later` was asked for."""
        self._order = itertools.count()
        self._unsent: deque[tuple[bytes, Address]] = deque()
        self._stop_by: float | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()

    def run(self, command: Command) -> bool:
        """Have `command(user_agent, now)` called in the loop's thread, soon. False when the loop has stopped."""
        with self._lock:
            if self._closed:
                return False
            self._commands.append(command)
            first = len(self._commands) == 1
        if first and threading.current_thread() is not self._thread:
            self._wake()
        return True

    def run_later(self, delay_s: float, action: Callable[[], object]) -> None:
        """Have `action()` called in the loop's thread in `delay_s` seconds; dropped when the loop stops before."""
        self.run(lambda _, now: heapq.heappush(self._later, (now + delay_s, next(self._order), action)))

    def stop(self, drain_s: float = 2.0) -> None:
        """Cancel and hang up all calls, wait at most `drain_s` for the peers' answers, and end the thread.

        Every call has had its final event when this returns. Harmless when stopped already.
        """

        def shut_down(user_agent: UserAgent, now: float) -> None:
            if self._stop_by is None or self._stop_by > now + drain_s:
                self._stop_by = now + drain_s
            user_agent.shutdown(now)

        self.run(shut_down)
        thread = self._thread
        if thread is None:
            self._close()
        elif thread is not threading.current_thread():
            thread.join()

    def _wake(self) -> None:
        try:
            self._wake_write.send(b"\0")
        except OSError:
            # The pipe is full, so the loop will wake anyway, or it has just closed.
            pass

    # The loop's thread.

    def _run(self) -> None:
        try:
            while self._stop_by is None or not (self._core.settled or time.monotonic() >= self._stop_by):
                self._step()
            self._guard(self._run_commands)
            self._guard(lambda: self._core.abandon(time.monotonic()))
            self._guard(self._settle)
        finally:
            self._close()

    def _step(self) -> None:
        for key, mask in self._selector.select(self._timeout()):
            if key.fileobj is self._wake_read:
                self._guard(self._empty_wake_pipe)
            elif mask & selectors.EVENT_READ:
                self._guard(self._receive)
        self._guard(self._run_commands)
        self._guard(lambda: self._core.handle_timer(time.monotonic()))
        while self._later and self._later[0][0] <= time.monotonic():
            self._guard(heapq.heappop(self._later)[2])
        self._guard(self._run_commands)
        self._guard(self._settle)

    def _timeout(self) -> float | None:
        """Seconds that the loop may sleep."""
        if self._commands:
            return 0.0
        later = self._later[0][0] if self._later else None
        due = [when for when in (self._core.get_timer(), self._stop_by, later) if when is not None]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _guard(self, step: Callable[[], object]) -> None:
        """One step. The loop serves hundreds of calls: a bug in one of them is logged and costs no other."""
        try:
            step()
        except Exception:
            logger.exception("%s: error in the SIP loop", self._name)

    def _empty_wake_pipe(self) -> None:
        try:
            self._wake_read.recv(4096)
        except BlockingIOError:
            pass

    def _run_commands(self) -> None:
        # Only those that wait now: a command that posts itself again must not starve the socket.
        for _ in range(len(self._commands)):
            with self._lock:
                command = self._commands.popleft()
            self._guard(partial(command, self._core, time.monotonic()))

    def _receive(self) -> None:
        for count in range(_BATCH):
            try:
                data, address = self._socket.recvfrom(_DATAGRAM)
            except BlockingIOError:
                if count:
                    return
                break
            except OSError:
                # An earlier packet was refused. Linux says which below; elsewhere the timers notice.
                break
            self._guard(partial(self._core.receive_datagram, data, address, time.monotonic()))
        self._read_errors()

    def _read_errors(self) -> None:
        """Tell the core where packets could not be delivered, as the kernel's error queue says."""
        if not _LINUX:
            return
        refused: set[Address] = set()
        for _ in range(_BATCH):
            try:
                _, ancillary, _, address = self._socket.recvmsg(0, 512, _MSG_ERRQUEUE)
            except OSError:
                break
            for level, kind, data in ancillary:
                if (
                    level == socket.IPPROTO_IP
                    and kind == _IP_RECVERR
                    and (struct.unpack_from("=I", data)[0] in _UNREACHABLE)
                ):
                    refused.add(address)
        for address in refused:
            self._core.transport_error(address, time.monotonic())

    def _settle(self) -> None:
        """Send what the core wants sent and hand out its events, until it has no more of either."""
        while True:
            self._unsent.extend(self._core.datagrams_to_send())
            self._send()
            event = self._core.next_event()
            if event is None:
                break
            self._guard(partial(self._on_event, event))

    def _send(self) -> None:
        while self._unsent:
            data, address = self._unsent[0]
            error = self._send_one(data, address)
            if error == errno.EAGAIN:
                self._selector.modify(self._socket, selectors.EVENT_READ | selectors.EVENT_WRITE)
                return
            self._unsent.popleft()
            if error in _UNSENDABLE:
                self._core.transport_error(address, time.monotonic())
            elif error:
                logger.warning("%s: cannot send to %s:%d: %s", self._name, *address, errno.errorcode.get(error, error))
        if self._selector.get_key(self._socket).events != selectors.EVENT_READ:
            self._selector.modify(self._socket, selectors.EVENT_READ)

    def _send_one(self, data: bytes, address: Address) -> int:
        """Error number, 0 when sent."""
        for attempt in range(2):
            try:
                self._socket.sendto(data, address)
            except OSError as exc:
                if exc.errno == errno.ECONNREFUSED and attempt == 0:
                    # The kernel reports an earlier packet, perhaps to another host; this one has not left yet.
                    self._read_errors()
                    continue
                return exc.errno or errno.EIO
            return 0
        return 0

    def _close(self) -> None:
        with self._lock:
            self._closed = True
            self._commands.clear()
        self._selector.close()
        for each in (self._socket, self._wake_read, self._wake_write):
            each.close()


def _bind(host: str, port: int) -> socket.socket:
    last = port if port == 0 else min(65_535, port + _PORTS_TRIED)
    for candidate in range(port, last + 1):
        bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            bound.bind((host, candidate))
        except OSError as exc:
            bound.close()
            if exc.errno == errno.EADDRINUSE:
                continue
            raise
        bound.settimeout(0.0)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        if _LINUX:
            bound.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
        return bound
    raise PortsExhausted(f"no free UDP port from {port} to {last} on {host}; set DIALER_SIP_PORT to another one")

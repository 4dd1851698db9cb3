"""The thread around the pure core: its sockets, its timers, and what other threads ask of it."""

import errno
import heapq
import itertools
import logging
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial

from autodialer.sip.events import Event
from autodialer.sip.hop import UDP, Hop
from autodialer.sip.invite import Address
from autodialer.sip.nonces import Nonces
from autodialer.sip.shell.connections import Connections, TlsSettings
from autodialer.sip.shell.datagrams import UNSENDABLE, DatagramSocket
from autodialer.sip.trace import Tracer
from autodialer.sip.user_agent import UserAgent, UserAgentConfig

logger = logging.getLogger(__name__)

Command = Callable[[UserAgent, float], object]

_BATCH = 64
"""Datagrams read before timers and sending have their turn."""


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
        listen_tcp: bool = False,
        tls: TlsSettings | None = None,
        tracer: Tracer | None = None,
        nonces: Nonces | None = None,
        strict_source: bool = True,
        on_end: Callable[[], None] | None = None,
        name: str = "sip",
    ) -> None:
        """Bind `port` of the local address `host`, or the next free one upward; port 0 takes any.

        `listen_tcp` takes connections on that port too; `tls` is for hops that want TLS; `nonces` are those of the
        trunk, None: this loop has its own. `on_event`, `tracer` and, as the last of all, `on_end` are called in the
        loop's thread. Raises PortsExhausted when no port is free.
        """
        self._on_event = on_event
        self._on_end = on_end
        self._name = name
        self._datagrams = DatagramSocket(host, port, with_listener=listen_tcp)
        self._socket = self._datagrams.socket
        self.local_address: Address = self._datagrams.address
        """What the peers see, NAT aside."""
        self._core = UserAgent(
            UserAgentConfig(
                local_address=self.local_address,
                user_agent=user_agent,
                known_hosts=frozenset(known_hosts),
                tracer=tracer,
                nonces=nonces or Nonces(),
                strict_source=strict_source,
            )
        )
        self._wake_read, self._wake_write = socket.socketpair()
        self._wake_read.settimeout(0.0)
        self._wake_write.settimeout(0.0)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._socket, selectors.EVENT_READ)
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        self._connections = Connections(
            self._selector, self, local_address=self.local_address, listener=self._datagrams.listener, tls=tls
        )
        self._lock = threading.Lock()
        """Guards the commands and whether any are still taken."""
        self._commands: deque[Command] = deque()
        self._closed = False
        self._later: list[tuple[float, int, Callable[[], object]]] = []
        """A heap of what `run_later` was asked for."""
        self._order = itertools.count()
        self._unsent: deque[tuple[bytes, Hop]] = deque()
        self._stop_by: float | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()

    @property
    def closed(self) -> bool:
        """It has ended, and takes no more commands."""
        return self._closed

    def run(self, command: Command) -> bool:
        """Have `command(user_agent, now)` called in the loop's thread, soon. False when the loop has stopped."""
        with self._lock:
            # Under the lock, so that no command is taken after the last look at them.
            if self._closed:
                return False
            self._commands.append(command)
            # One octet wakes the loop for all commands that gather until it runs.
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
        except Exception:
            # Nothing within a step should get here; if it does, the calls end now instead of never.
            logger.exception("%s: the SIP loop ends by an error", self._name)
        try:
            # Calls that were asked for in the last moment get their final event, too.
            self._guard(self._run_commands)
            self._guard(lambda: self._core.abandon(time.monotonic()))
            self._guard(self._settle)
        finally:
            self._close()
            if self._on_end is not None:
                self._guard(self._on_end)

    def _step(self) -> None:
        for key, mask in self._selector.select(self._timeout()):
            if key.fileobj is self._wake_read:
                self._guard(self._empty_wake_pipe)
            elif key.fileobj is not self._socket:
                self._guard(partial(self._connections.handle, key.data, mask))
            elif mask & selectors.EVENT_READ:
                self._guard(self._receive)
        self._guard(self._run_commands)
        self._guard(lambda: self._core.handle_timer(time.monotonic()))
        self._guard(lambda: self._connections.expire(time.monotonic()))
        while self._later and self._later[0][0] <= time.monotonic():
            self._guard(heapq.heappop(self._later)[2])
        # Again: what timers and late actions asked for leaves in the same round.
        self._guard(self._run_commands)
        self._guard(self._settle)

    def _timeout(self) -> float | None:
        """Seconds that the loop may sleep."""
        if self._commands:
            return 0.0
        later = self._later[0][0] if self._later else None
        wanted = (self._core.get_timer(), self._stop_by, later, self._connections.next_deadline())
        due = [when for when in wanted if when is not None]
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
                data, address, waited_s = self._datagrams.receive()
            except BlockingIOError:
                # Without a single packet it was the error queue that woke us.
                if count:
                    return
                break
            except OSError:
                # An earlier packet was refused. Linux says which below; elsewhere the timers notice.
                break
            now = time.monotonic()
            self._guard(partial(self._core.receive_datagram, data, address, now, arrived_at=now - waited_s))
        self._read_errors()

    def _read_errors(self) -> None:
        """Tell the core where packets could not be delivered."""
        for address in self._datagrams.refused():
            self._core.transport_error(address, time.monotonic())

    # What the connections tell.

    def on_message(self, data: bytes, hop: Hop) -> None:
        """A message came on a connection."""
        self._guard(partial(self._core.receive_datagram, data, hop, time.monotonic()))

    def on_made(self, hop: Hop, local_address: Address) -> None:
        """A connection is up."""
        self._core.connection_made(hop, local_address)

    def on_unreachable(self, hop: Hop, complaint: str) -> None:
        """A connection could not be made."""
        self._core.transport_error(hop, time.monotonic(), complaint)

    def on_lost(self, hop: Hop) -> None:
        """A connection is gone."""
        self._core.connection_lost(hop, time.monotonic())

    def _settle(self) -> None:
        """Send what the core wants sent and hand out its events, until it has no more of either."""
        while True:
            self._unsent.extend(self._core.datagrams_to_send())
            self._send()
            event = self._core.next_event()
            if event is not None:
                self._guard(partial(self._on_event, event))
            elif not self._core.has_packets:
                break

    def _send(self) -> None:
        while self._unsent:
            # Off the queue first: a packet that cannot be sent at all must not stand in the way of those behind it.
            data, hop = self._unsent.popleft()
            try:
                error = self._send_by_transport(data, hop)
            except Exception:
                logger.exception("%s: an error in sending to %s", self._name, hop)
                self._core.transport_error(hop, time.monotonic())
                continue
            if error == errno.EAGAIN:
                self._unsent.appendleft((data, hop))
                self._selector.modify(self._socket, selectors.EVENT_READ | selectors.EVENT_WRITE)
                return
            if error in UNSENDABLE:
                self._core.transport_error(hop, time.monotonic())
            elif error:
                logger.warning("%s: cannot send to %s: %s", self._name, hop, errno.errorcode.get(error, error))
        if self._selector.get_key(self._socket).events != selectors.EVENT_READ:
            self._selector.modify(self._socket, selectors.EVENT_READ)

    def _send_by_transport(self, data: bytes, hop: Hop) -> int:
        """Error number, 0 when sent or handed to a connection."""
        if hop.transport == UDP:
            return self._send_one(data, hop.address)
        self._connections.send(data, hop)
        return 0

    def _send_one(self, data: bytes, address: Address) -> int:
        """Error number, 0 when sent."""
        error = self._datagrams.send(data, address)
        if error == errno.ECONNREFUSED:
            # The kernel reports an earlier packet, perhaps to another host; this one has not left yet.
            self._read_errors()
            error = self._datagrams.send(data, address)
        return error

    def _close(self) -> None:
        with self._lock:
            self._closed = True
            self._commands.clear()
        self._connections.close()
        self._selector.close()
        for each in (self._datagrams, self._wake_read, self._wake_write):
            each.close()

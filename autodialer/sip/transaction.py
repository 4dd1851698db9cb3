"""Transactions (RFC 3261 section 17, with RFC 6026): each state machine is a table, a row an arrow of the RFC's figure.

Timers belong to states: entering a state starts its timers and stops all others.
"""

import logging
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, ClassVar, Protocol

from autodialer.sip.hop import Hop
from autodialer.sip.invite import Address
from autodialer.sip.message import Response
from autodialer.sip.outgoing import OutgoingRequest
from autodialer.sip.timers import Timer, TimerQueue

logger = logging.getLogger(__name__)

SILENT_TCP_S = 2.0
"""A peer that has said nothing by then to a request that is only long gets it by UDP."""
_SENDS_AGAIN = "AEG"
"""Timers that a reliable transport makes needless (RFC 3261 section 17)."""
_WAITS_FOR_COPIES = "DIJK"
"""Timers that are zero on a reliable transport."""


class State(StrEnum):
    """States of the four transactions, named as in the RFC."""

    CALLING = "Calling"
    TRYING = "Trying"
    PROCEEDING = "Proceeding"
    ACCEPTED = "Accepted"
    COMPLETED = "Completed"
    CONFIRMED = "Confirmed"
    TERMINATED = "Terminated"


Action = Callable[[Any, float, Response | None], None]
"""A method of the transaction: each table has those of its own class."""
Arrow = tuple[tuple[Action, ...], State]
"""Actions in order, and the state after."""
StateTable = Mapping[tuple[State, str], Arrow]


class Times(Protocol):
    """RFC 3261 section 17.1.1.1, seconds."""

    @property
    def t1(self) -> float:
        """The round trip estimate."""

    @property
    def t2(self) -> float:
        """Longest retransmission interval of all but INVITE requests."""

    @property
    def t4(self) -> float:
        """How long a message lives in the network."""


class Surroundings(Protocol):
    """What a transaction needs of the SIP core that it belongs to."""

    timers: TimerQueue
    clients: "dict[tuple[str, str], ClientTransaction]"
    """Branch and method (RFC 3261 section 17.1.3)."""
    servers: "dict[tuple[str, ...], ServerTransaction]"
    """What RFC 3261 section 17.2.3 compares."""

    @property
    def config(self) -> Times:
        """The times that timers are made of."""

    def send(self, data: bytes, hop: Hop) -> None:
        """Queue a packet for `hop`."""

    def takes_tcp(self, address: Address) -> bool:
        """Whether a peer may take a request by TCP: False where it took one by UDP alone."""

    def learn_without_tcp(self, address: Address) -> None:
        """A peer took no request by TCP, which now goes by UDP."""


class Transaction:
    """What the four state machines share: the table, the timers, the one place that assigns the state."""

    TABLE: ClassVar[StateTable]
    TIMERS: ClassVar[Mapping[State, tuple[str, ...]]]
    """State -> its timers."""
    FIRST: ClassVar[State]

    def __init__(self, stack: Surroundings, method: str, call_id: str, hop: Hop) -> None:
        self.stack = stack
        self.name = f"{method} {call_id}"
        """For the log."""
        self.call_id = call_id
        self.hop = hop
        self.state = self.FIRST
        self._running: dict[str, Timer] = {}
        self._intervals = self._first_intervals()
        """Timer -> seconds; those not named here take 64*T1."""

    def _first_intervals(self) -> dict[str, float]:
        if self.hop.reliable:
            return dict.fromkeys(_WAITS_FOR_COPIES, 0.0)
        # K and I wait for copies that are still in the network; the others for as long as the peer may send again.
        return dict.fromkeys(_SENDS_AGAIN, self.stack.config.t1) | dict.fromkeys("KI", self.stack.config.t4)

    def begin(self, now: float) -> None:
        """Start the timers of the first state."""
        self._start_timers(now)

    def terminate(self, now: float) -> None:
        """Destroy the transaction without a word (RFC 3261 section 9.1)."""
        if self.state is not State.TERMINATED:
            self._enter(State.TERMINATED, now)
            self._ended(now)

    def _feed(self, happening: str, now: float, response: Response | None = None) -> None:
        # The figures have no arrow for a copy or for what comes too late, such as a 1xx after the final response.
        arrow = self.TABLE.get((self.state, happening))
        if arrow is None:
            return
        actions, state = arrow
        # The state first: an action may end the transaction, or tell a user who asks for its state.
        if state is not self.state:
            self._enter(state, now)
        for action in actions:
            action(self, now, response)
        if state is State.TERMINATED:
            self._ended(now)

    def _enter(self, state: State, now: float) -> None:
        logger.debug("%s: %s -> %s", self.name, self.state, state)
        self.state = state
        # A timer of both states runs on: timer F counts from the request, whatever provisional responses say.
        mine = self.TIMERS.get(state, ())
        for timer in [timer for timer in self._running if timer not in mine]:
            self.stack.timers.stop(self._running.pop(timer))
        self._start_timers(now)

    def _start_timers(self, now: float) -> None:
        for timer in self.TIMERS.get(self.state, ()):
            if timer not in self._running and not (self.hop.reliable and timer in _SENDS_AGAIN):
                self._start_timer(timer, now)

    def _start_timer(self, name: str, base: float) -> None:
        interval = self._intervals.get(name, 64 * self.stack.config.t1)
        self._running[name] = self.stack.timers.start(base + interval, self._on_timer(name), call_id=self.call_id)

    def _on_timer(self, name: str) -> Callable[[float], None]:
        def fired(now: float) -> None:
            due = self._running.pop(name).when
            arrow = self.TABLE.get((self.state, f"Timer {name}"))
            if arrow is not None and arrow[1] is self.state:
                # A retransmission: the next interval counts from when this one was due, or lateness would add up.
                self._intervals[name] = self._next_interval(name)
                self._start_timer(name, due)
            self._feed(f"Timer {name}", now)

        return fired

    def _next_interval(self, name: str) -> float:
        doubled = self._intervals[name] * 2
        if name == "A":
            return doubled
        # Timer E of the state Proceeding, RFC 3261 section 17.1.2.2: T2 at once.
        t2 = self.stack.config.t2
        return t2 if name == "E" and self.state is State.PROCEEDING else min(doubled, t2)

    def _ended(self, now: float) -> None:
        raise NotImplementedError


class TransactionUser(Protocol):
    """Who started a client transaction."""

    def on_response(self, transaction: "ClientTransaction", response: Response, now: float) -> None:
        """A response that the transaction does not keep to itself."""

    def on_no_response(self, transaction: "ClientTransaction", now: float, happening: str) -> None:
        """`Timer B`, `Timer F` or `Transport Err.` ended the transaction."""

    def on_terminated(self, transaction: "ClientTransaction", now: float) -> None:
        """The transaction is gone."""


class ClientTransaction(Transaction):
    """A request of ours and its responses."""

    def __init__(self, stack: Surroundings, request: OutgoingRequest, user: TransactionUser) -> None:
        self._datagram: OutgoingRequest | None = None
        """The request by UDP while it is tried by TCP because it is long."""
        if request.too_long and stack.takes_tcp(request.hop.address):
            self._datagram, request = request, request.over_tcp()
        super().__init__(stack, request.method, request.call_id, request.hop)
        self.request = request
        self.user = user
        self._sent_again = False

    @property
    def waiting(self) -> bool:
        """No final response came yet."""
        return self.state in (State.CALLING, State.TRYING, State.PROCEEDING)

    def begin(self, now: float) -> None:
        """Send the request."""
        self.stack.clients[self.request.branch, self.request.method] = self
        self._send_request(now, None)
        super().begin(now)
        if self._datagram is not None:
            # The peer may take a connection and not listen to it.
            self.stack.timers.start(now + SILENT_TCP_S, self._give_up_tcp, call_id=self.call_id)

    def _give_up_tcp(self, now: float) -> None:
        if self._datagram is not None and self.state is self.FIRST:
            self.transport_error(now)

    def receive(self, response: Response, now: float) -> None:
        """A response whose branch and method are ours."""
        kind = "1xx" if response.code < 200 else "2xx" if response.code < 300 else "300-699"
        self._feed(kind, now, response)

    def transport_error(self, now: float) -> None:
        """The request could not be delivered. A long one that TCP did not take goes by UDP after all."""
        datagram, self._datagram = self._datagram, None
        if datagram is None or self.state is not self.FIRST:
            self._feed("Transport Err.", now)
            return
        logger.info("%s: %s takes no TCP, so %d octets go by UDP", self.name, self.hop.host, len(datagram.data))
        self.stack.learn_without_tcp(datagram.hop.address)
        # The request starts over: by UDP timers A and E run too, and the peer gets all of its time.
        for timer in self._running.values():
            self.stack.timers.stop(timer)
        self._running.clear()
        self.request, self.hop = datagram, datagram.hop
        self._intervals = self._first_intervals()
        self.begin(now)

    def connection_lost(self, now: float) -> None:
        """The connection that the request left on is gone: without a response yet it is sent once more, on a new one.

        The branch stays, so a peer that has the request already takes it for a copy.
        """
        # Only once: a peer that drops every connection would get the request without end.
        if self.state is self.FIRST and not self._sent_again:
            self._sent_again = True
            self._send_request(now, None)
        elif self.state is self.FIRST:
            self.transport_error(now)

    def _send_request(self, _now: float, _response: Response | None) -> None:
        self.stack.send(self.request.data, self.hop)

    def _pass_response(self, now: float, response: Response | None) -> None:
        if response is not None:
            self.user.on_response(self, response, now)

    def _inform_timeout(self, now: float, _response: Response | None) -> None:
        self.user.on_no_response(self, now, "Timer B" if self.request.method == "INVITE" else "Timer F")

    def _inform_error(self, now: float, _response: Response | None) -> None:
        self.user.on_no_response(self, now, "Transport Err.")

    def _ended(self, now: float) -> None:
        self.stack.clients.pop((self.request.branch, self.request.method), None)
        self.user.on_terminated(self, now)


class InviteClient(ClientTransaction):
    """RFC 3261 section 17.1.1.2, figure 5, with the state Accepted of RFC 6026 section 8.4."""

    def _send_ack(self, _now: float, response: Response | None) -> None:
        if response is not None:
            self.stack.send(self.request.ack_for(response.headers["to"][0]), self.hop)

    FIRST = State.CALLING
    TABLE: ClassVar[StateTable] = {
        (State.CALLING, "Timer A"): ((ClientTransaction._send_request,), State.CALLING),
        (State.CALLING, "Timer B"): ((ClientTransaction._inform_timeout,), State.TERMINATED),
        # Here alone: a peer that has answered once is there, and the error is another packet's.
        (State.CALLING, "Transport Err."): ((ClientTransaction._inform_error,), State.TERMINATED),
        (State.CALLING, "1xx"): ((ClientTransaction._pass_response,), State.PROCEEDING),
        (State.CALLING, "2xx"): ((ClientTransaction._pass_response,), State.ACCEPTED),
        # The ACK first: what the call sends next, such as the INVITE with credentials, leaves after it.
        (State.CALLING, "300-699"): ((_send_ack, ClientTransaction._pass_response), State.COMPLETED),
        (State.PROCEEDING, "1xx"): ((ClientTransaction._pass_response,), State.PROCEEDING),
        (State.PROCEEDING, "2xx"): ((ClientTransaction._pass_response,), State.ACCEPTED),
        (State.PROCEEDING, "300-699"): ((_send_ack, ClientTransaction._pass_response), State.COMPLETED),
        # The final response comes again because its ACK was lost.
        (State.COMPLETED, "300-699"): ((_send_ack,), State.COMPLETED),
        (State.COMPLETED, "Timer D"): ((), State.TERMINATED),
        # To the call each time: a copy wants the same ACK again, a second fork an ACK and a BYE (RFC 3261 section
        # 13.2.2.4).
        (State.ACCEPTED, "2xx"): ((ClientTransaction._pass_response,), State.ACCEPTED),
        (State.ACCEPTED, "Timer M"): ((), State.TERMINATED),
    }
    TIMERS: ClassVar[Mapping[State, tuple[str, ...]]] = {
        # Proceeding has no timer: a phone may ring for minutes, and the call's ring timeout ends that.
        State.CALLING: ("A", "B"),
        State.COMPLETED: ("D",),
        State.ACCEPTED: ("M",),
    }


class NonInviteClient(ClientTransaction):
    """RFC 3261 section 17.1.2.2, figure 6."""

    FIRST = State.TRYING
    TABLE: ClassVar[StateTable] = {
        (State.TRYING, "Timer E"): ((ClientTransaction._send_request,), State.TRYING),
        (State.TRYING, "Timer F"): ((ClientTransaction._inform_timeout,), State.TERMINATED),
        (State.TRYING, "Transport Err."): ((ClientTransaction._inform_error,), State.TERMINATED),
        (State.TRYING, "1xx"): ((ClientTransaction._pass_response,), State.PROCEEDING),
        (State.TRYING, "2xx"): ((ClientTransaction._pass_response,), State.COMPLETED),
        (State.TRYING, "300-699"): ((ClientTransaction._pass_response,), State.COMPLETED),
        (State.PROCEEDING, "Timer E"): ((ClientTransaction._send_request,), State.PROCEEDING),
        (State.PROCEEDING, "Timer F"): ((ClientTransaction._inform_timeout,), State.TERMINATED),
        (State.PROCEEDING, "Transport Err."): ((ClientTransaction._inform_error,), State.TERMINATED),
        (State.PROCEEDING, "1xx"): ((ClientTransaction._pass_response,), State.PROCEEDING),
        (State.PROCEEDING, "2xx"): ((ClientTransaction._pass_response,), State.COMPLETED),
        (State.PROCEEDING, "300-699"): ((ClientTransaction._pass_response,), State.COMPLETED),
        (State.COMPLETED, "Timer K"): ((), State.TERMINATED),
    }
    TIMERS: ClassVar[Mapping[State, tuple[str, ...]]] = {
        State.TRYING: ("E", "F"),
        # Timer E goes on after a 1xx: by UDP only a copy of the request brings a lost final response again.
        State.PROCEEDING: ("E", "F"),
        State.COMPLETED: ("K",),
    }


class ServerTransaction(Transaction):
    """A peer's request and our answer, which is sent again for every copy of the request."""

    def __init__(self, stack: Surroundings, key: tuple[str, ...], method: str, call_id: str, hop: Hop) -> None:
        super().__init__(stack, method, call_id, hop)
        self.key = key
        self._last_response = b""

    def begin(self, now: float) -> None:
        """Remember the request, so that its copies are known."""
        self.stack.servers[self.key] = self
        super().begin(now)

    def request_again(self, now: float) -> None:
        """A copy of the request came."""
        self._feed("Request", now)

    def respond(self, code: int, data: bytes, now: float) -> None:
        """Send the response `data` with status `code`."""
        self._last_response = data
        self._feed("1xx" if code < 200 else "2xx" if code < 300 else "300-699", now)

    def _send_response(self, _now: float, _response: Response | None) -> None:
        if self._last_response:
            self.stack.send(self._last_response, self.hop)

    def _ended(self, now: float) -> None:
        self.stack.servers.pop(self.key, None)


class InviteServer(ServerTransaction):
    """RFC 3261 section 17.2.1, figure 7, with the state Accepted of RFC 6026 section 8.5."""

    FIRST = State.PROCEEDING
    TABLE: ClassVar[StateTable] = {
        (State.PROCEEDING, "Request"): ((ServerTransaction._send_response,), State.PROCEEDING),
        (State.PROCEEDING, "1xx"): ((ServerTransaction._send_response,), State.PROCEEDING),
        (State.PROCEEDING, "2xx"): ((ServerTransaction._send_response,), State.ACCEPTED),
        (State.PROCEEDING, "300-699"): ((ServerTransaction._send_response,), State.COMPLETED),
        (State.COMPLETED, "Request"): ((ServerTransaction._send_response,), State.COMPLETED),
        (State.COMPLETED, "Timer G"): ((ServerTransaction._send_response,), State.COMPLETED),
        # Nobody is told that the ACK never came: the INVITE was refused, and stays refused.
        (State.COMPLETED, "Timer H"): ((), State.TERMINATED),
        (State.COMPLETED, "ACK"): ((), State.CONFIRMED),
        (State.CONFIRMED, "Timer I"): ((), State.TERMINATED),
        # A copy of the INVITE has no arrow here (RFC 6026 section 7.1): the session repeats its 2xx by itself.
        (State.ACCEPTED, "2xx"): ((ServerTransaction._send_response,), State.ACCEPTED),
        (State.ACCEPTED, "Timer L"): ((), State.TERMINATED),
    }
    TIMERS: ClassVar[Mapping[State, tuple[str, ...]]] = {
        State.COMPLETED: ("G", "H"),
        State.CONFIRMED: ("I",),
        State.ACCEPTED: ("L",),
    }

    def receive_ack(self, now: float) -> None:
        """The ACK to our final response came."""
        self._feed("ACK", now)


class NonInviteServer(ServerTransaction):
    """RFC 3261 section 17.2.2, figure 8."""

    FIRST = State.TRYING
    TABLE: ClassVar[StateTable] = {
        (State.TRYING, "1xx"): ((ServerTransaction._send_response,), State.PROCEEDING),
        (State.TRYING, "2xx"): ((ServerTransaction._send_response,), State.COMPLETED),
        (State.TRYING, "300-699"): ((ServerTransaction._send_response,), State.COMPLETED),
        (State.PROCEEDING, "Request"): ((ServerTransaction._send_response,), State.PROCEEDING),
        (State.PROCEEDING, "1xx"): ((ServerTransaction._send_response,), State.PROCEEDING),
        (State.PROCEEDING, "2xx"): ((ServerTransaction._send_response,), State.COMPLETED),
        (State.PROCEEDING, "300-699"): ((ServerTransaction._send_response,), State.COMPLETED),
        (State.COMPLETED, "Request"): ((ServerTransaction._send_response,), State.COMPLETED),
        (State.COMPLETED, "Timer J"): ((), State.TERMINATED),
    }
    TIMERS: ClassVar[Mapping[State, tuple[str, ...]]] = {State.COMPLETED: ("J",)}

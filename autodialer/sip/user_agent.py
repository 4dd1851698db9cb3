"""The SIP core: bytes and `now` in, datagrams and events out. No socket, no thread, no clock.

`now` is monotonic seconds and never steps back. After each call the owner sends `datagrams_to_send()`, reads
`next_event()` until it is None, and calls `handle_timer` no later than `get_timer()`.
"""

import logging
from collections import Counter, deque

from autodialer.errors import Conflict
from autodialer.sip.answering import answer_request, transaction_key
from autodialer.sip.call import Call
from autodialer.sip.call_states import CallState
from autodialer.sip.events import CallFailed, Event, FailureKind
from autodialer.sip.fields import DEFAULT_PORT
from autodialer.sip.invite import Address, InviteRequest
from autodialer.sip.message import Discard, Request, Response, parse_message
from autodialer.sip.stack import Stack, UserAgentConfig, printable
from autodialer.sip.transaction import InviteServer

__all__ = ["UserAgent", "UserAgentConfig"]

logger = logging.getLogger(__name__)


class UserAgent:
    """All calls of one local address."""

    def __init__(self, config: UserAgentConfig) -> None:
        self._stack = Stack(config)
        self._known_hosts = set(config.known_hosts)
        self._calls: dict[str, Call] = {}
        self._events: deque[Event] = deque()
        self._closing = False

    # Calls.

    def invite(self, request: InviteRequest, now: float) -> str:
        """Start a call and return its Call-ID. After `shutdown` the call fails at once.

        Raises Conflict when a call with this Call-ID is still remembered.
        """
        if request.call_id in self._calls:
            raise Conflict("there is a call with this Call-ID", field="call_id")
        if self._closing:
            self.emit(_refused(request.call_id, now))
            return request.call_id
        self.know_host(request.next_hop[0])
        call = self._calls[request.call_id] = Call(self._stack, self, request)
        call.start(now)
        return request.call_id

    def cancel(self, call_id: str, now: float, *, reason: str | None = None) -> None:
        """Give up a call that is not answered; `reason` comes back in CallFailed.message."""
        if (call := self._calls.get(call_id)) is not None:
            call.cancel(now, reason)

    def bye(self, call_id: str, now: float) -> None:
        """Hang up a call that is answered."""
        if (call := self._calls.get(call_id)) is not None:
            call.bye(now)

    def hang_up(self, call_id: str, now: float, *, reason: str | None = None) -> None:
        """End a call, answered or not."""
        self.cancel(call_id, now, reason=reason)
        self.bye(call_id, now)

    def know_host(self, host: str) -> None:
        """Take messages from this IPv4 address. The next hops of calls are known by themselves."""
        self._known_hosts.add(host)

    def shutdown(self, now: float) -> None:
        """Cancel and hang up everything, and start nothing new."""
        self._closing = True
        for call in list(self._calls.values()):
            self.hang_up(call.call_id, now, reason="the dialer is shutting down")

    def abandon(self, now: float) -> None:
        """Report every call as over, whatever the peers say, and forget all."""
        self._closing = True
        for call in list(self._calls.values()):
            call.abandon(now)
        self._calls.clear()
        self._stack.forget_all()

    @property
    def live_calls(self) -> int:
        """Calls whose final event has not come."""
        return sum(call.state is not CallState.TERMINATED for call in self._calls.values())

    @property
    def settled(self) -> bool:
        """No call lives and no request of ours waits for its final response."""
        return not self.live_calls and not any(client.waiting for client in self._stack.clients.values())

    @property
    def remembered(self) -> int:
        """Calls, transactions and timers in memory; 0 when every call and its last timer is over."""
        stack = self._stack
        return len(self._calls) + len(stack.clients) + len(stack.servers) + len(stack.timers)

    @property
    def discarded(self) -> Counter[str]:
        """Packets that were dropped, by reason."""
        return self._stack.discarded

    # The owner's loop.

    def datagrams_to_send(self) -> list[tuple[bytes, Address]]:
        """Packets to send now, in order; each is handed out once."""
        outbox, self._stack.outbox = self._stack.outbox, []
        return outbox

    def next_event(self) -> Event | None:
        """The next event, None when there is none."""
        return self._events.popleft() if self._events else None

    def get_timer(self) -> float | None:
        """When `handle_timer` is due; None when nothing is."""
        return self._stack.timers.next_at()

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        self._stack.timers.fire(now)

    def transport_error(self, addr: Address, now: float) -> None:
        """A packet to `addr` could not be delivered: what waits there for its first response fails."""
        for client in list(self._stack.clients.values()):
            if client.hop == addr:
                client.transport_error(now)

    def receive_datagram(self, data: bytes, addr: Address, now: float) -> None:
        """Take a packet from `addr`. What is not for us or cannot be read is counted and dropped."""
        message = parse_message(data)
        if isinstance(message, Discard):
            self.discarded[message] += 1
            return
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug("< %s:%d\n%s", *addr, printable(data))
        if isinstance(message, Response):
            self._receive_response(message, now)
        else:
            self._receive_request(message, addr, now)

    def _receive_response(self, response: Response, now: float) -> None:
        """Whoever knows the branch, the Call-ID and our tag may answer: a gateway may send from another address."""
        vias = response.get_all("via")
        via = response.top_via
        if len(vias) != 1 or via is None or (via.host, via.port or DEFAULT_PORT) != self._stack.sent_by:
            self.discarded["stray_response"] += 1
            return
        client = self._stack.clients.get((via.params.get("branch", ""), response.cseq_method))
        if (
            client is None
            or response.call_id != client.request.call_id
            or response.cseq != client.request.cseq
            or response.from_tag != client.request.from_tag
        ):
            self.discarded["stray_response"] += 1
            return
        client.receive(response, now)

    def _receive_request(self, request: Request, addr: Address, now: float) -> None:
        via = request.top_via
        if via is None:
            self.discarded[Discard.HEADER] += 1
            return
        if request.method == "ACK":
            invite = self._stack.servers.get(transaction_key(request, via, "INVITE"))
            if isinstance(invite, InviteServer):
                invite.receive_ack(now)
            call = self._calls.get(request.call_id)
            taken = call is not None and call.receive_ack(request, now)
            if invite is None and not taken:
                self.discarded["stray_ack"] += 1
            return
        earlier = self._stack.servers.get(transaction_key(request, via, request.method))
        if earlier is not None:
            earlier.request_again(now)
            return
        call = self._calls.get(request.call_id)
        known = addr[0] in self._known_hosts
        dropped = answer_request(self._stack, call, request, via, addr, now, known=known)
        if dropped is not None:
            self.discarded[dropped] += 1

    # What calls report.

    def emit(self, event: Event) -> None:
        """Queue an event for the owner."""
        self._events.append(event)

    def forget(self, call: Call) -> None:
        """The last transaction of a call is over."""
        self._calls.pop(call.call_id, None)


def _refused(call_id: str, now: float) -> CallFailed:
    return CallFailed(
        call_id=call_id,
        at=now,
        kind=FailureKind.CANCELLED,
        code=None,
        reason=None,
        cancelled=True,
        saw_18x=False,
        reason_cause=None,
        retry_after_s=None,
        message="the dialer is shutting down",
    )

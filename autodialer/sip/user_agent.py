"""The SIP core: bytes and `now` in, packets and events out. No socket, no thread, no clock.

`now` is monotonic seconds and never steps back. After each call the owner sends `datagrams_to_send()`, reads
`next_event()` until it returns None, and calls `handle_timer` no later than `get_timer()`.
"""

import logging
from collections import Counter, deque
from collections.abc import Iterable, Sequence

from autodialer import stun
from autodialer.errors import Conflict
from autodialer.sip.answering import answer_request, transaction_key
from autodialer.sip.attempts import Attempts
from autodialer.sip.auth import Authenticator
from autodialer.sip.call import Call, CallState
from autodialer.sip.dialog_state import DialogState
from autodialer.sip.discovery import Discovery
from autodialer.sip.events import CallBroken, Event, RegistrationChanged, RegistrationStanding, cancelled_unsent
from autodialer.sip.farewell import Farewells
from autodialer.sip.hop import RELIABLE, Hop
from autodialer.sip.invite import Address, InviteRequest
from autodialer.sip.keep_alive import PING, PONG, KeepAlive
from autodialer.sip.left_invite import LeftInvite
from autodialer.sip.message import Discard, Request, Response, parse_message
from autodialer.sip.own_end import OwnEnd
from autodialer.sip.probe import Probe, ProbeRequest
from autodialer.sip.registration import Registration, RegistrationRequest
from autodialer.sip.stack import Stack, UserAgentConfig, printable
from autodialer.sip.trace import RECEIVED
from autodialer.sip.transaction import ClientTransaction, InviteServer

__all__ = ["UserAgent", "UserAgentConfig"]

logger = logging.getLogger(__name__)

_TOLD_OF_STRANGERS = frozenset(10**power for power in range(10))
"""The log names the first, the tenth, the hundredth: a stranger may send a thousand a second."""
BROKEN = "call %s: an error in the SIP core"
"""An error costs the call that it was met for, and no other: this core may have hundreds."""


class UserAgent:
    """All calls of one local address."""

    def __init__(self, config: UserAgentConfig) -> None:
        self._stack = Stack(config)
        self._known_hosts = set(config.known_hosts)
        self._calls: dict[str, Call] = {}
        self._registration: Registration | None = None
        self._discovery: Discovery | None = None
        self._farewells = Farewells(self._stack, self.emit)
        self._keep_alive = KeepAlive(self._stack, self._paths_in_use)
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
            self.emit(cancelled_unsent(request.call_id, now, OwnEnd.SHUTDOWN))
            return request.call_id
        self.know_host(request.next_hop.host)
        call = self._calls[request.call_id] = Call(self._stack, self, request)
        for hop in request.alternatives:
            self.know_host(hop.host)
        call.start(now)
        self._keep_alive.wake(now)
        return request.call_id

    def cancel(self, call_id: str, now: float, *, reason: str | None = None) -> None:
        """Give up a call that is not answered; `reason` comes back in CallFailed.message."""
        if (call := self._calls.get(call_id)) is not None:
            call.cancel(now, reason)

    def bye(self, call_id: str, now: float, *, reason: str | None = None) -> None:
        """Hang up a call that is answered; `reason` comes back in CallEnded.message."""
        if (call := self._calls.get(call_id)) is not None:
            call.bye(now, reason)

    def hang_up(self, call_id: str, now: float, *, reason: str | None = None) -> None:
        """End a call, answered or not; `reason` comes back in the message of its last event."""
        # Each does nothing in the states of the other.
        self.cancel(call_id, now, reason=reason)
        self.bye(call_id, now, reason=reason)

    def break_off(self, call_id: str, now: float) -> bool:
        """An error of ours in a call, which the caller has logged: hang it up, as far as that still goes.

        CallBroken is told, and CallFailed or CallEnded when the peer has answered. A second error ends the call without
        waiting for the peer. False: this core has no such call whose end is still to come.
        """
        call = self._calls.get(call_id)
        if call is None or call.over:
            return False
        if call.broken:
            self.drop(call_id, now)
            return True
        call.broken = True
        self.emit(CallBroken(call_id=call_id, at=now))
        try:
            self.hang_up(call_id, now, reason="an error in the dialer itself")
        except Exception:
            logger.exception("call %s: hanging up failed too", call_id)
        if call.awaits_peer:
            # Its own timers may be what is broken.
            give_up_at = now + 64 * self._stack.config.t1
            self._stack.timers.start(give_up_at, lambda at: self.drop(call_id, at), call_id=call_id)
        elif not call.over:
            self.drop(call_id, now)
        return True

    def drop(self, call_id: str, now: float) -> None:
        """Report a call as over, whatever the peer says, and forget it with its transactions."""
        call = self._calls.get(call_id)
        if call is None or call.over:
            return
        # First, so that an error below cannot keep the call.
        del self._calls[call_id]
        try:
            call.abandon(now)
        except Exception:
            logger.exception("call %s: its end cannot be cleared up", call_id)
        for client in [client for client in self._stack.clients.values() if client.call_id == call_id]:
            try:
                client.terminate(now)
            except Exception:
                logger.exception("call %s: %s cannot be ended", call_id, client.name)

    def change_address(self, call_id: str, host: str | None, port: int, now: float) -> None:
        """Tell the callee that our stream is at another port, and at another address too when `host` is given."""
        if (call := self._calls.get(call_id)) is not None:
            call.change_address(host, port, now)

    def refer(self, call_id: str, target: str, now: float) -> None:
        """Transfer an answered call to a SIP URI; TransferEnded tells how it ended."""
        if (call := self._calls.get(call_id)) is not None:
            call.refer(target, now)

    def place(self, call_id: str, uri: str, hop: Hop, now: float) -> None:
        """The answer to a NameWanted: the host named in `uri` is at `hop`."""
        if (call := self._calls.get(call_id)) is not None:
            call.place(uri, hop, now)

    def acknowledge(self, call_id: str) -> None:
        """Let the ACK leave that an INVITE's `ack_within_s` holds back."""
        if (call := self._calls.get(call_id)) is not None:
            call.acknowledge()

    def say_farewell(self, dialog: DialogState, credentials: tuple[str, str] | None, now: float) -> None:
        """Hang up a dialog that an earlier process left up; FarewellEnded tells how that went."""
        self.know_host(dialog.flow.host)
        self._farewells.say(dialog, credentials, now)

    def recall(self, left: LeftInvite, now: float) -> None:
        """Cancel an INVITE that an earlier process left; FarewellEnded tells how that went."""
        self.know_host(left.hop.host)
        self._farewells.recall(left.request(), now, certain=True)

    def recall_unheard(self, request: InviteRequest, now: float) -> None:
        """Cancel what an earlier process may have sent for this call; FarewellEnded comes where something rang."""
        for invite in Attempts(self._stack, request, Authenticator(self._stack, None)).possible_invites():
            self.know_host(invite.hop.host)
            self._farewells.recall(invite, now, certain=False)

    def expect_answers(self, call_ids: Iterable[str], credentials: tuple[str, str] | None, until: float) -> None:
        """Hang up what still answers INVITEs of an earlier process, by hosts that are known."""
        self._farewells.expect(call_ids, credentials, until)

    def know_host(self, host: str) -> None:
        """Take messages from this IP address. The next hops of calls are known by themselves."""
        self._known_hosts.add(host)

    def shutdown(self, now: float) -> None:
        """Cancel and hang up everything, and start nothing new."""
        self._closing = True
        for call in list(self._calls.values()):
            self.hang_up(call.call_id, now, reason=OwnEnd.SHUTDOWN)
        self.unregister(now)
        if self._discovery is not None:
            self._discovery.stop()

    def abandon(self, now: float) -> None:
        """Report every call as over, whatever the peers say, and forget all."""
        self._closing = True
        for call in list(self._calls.values()):
            call.abandon(now)
        self._calls.clear()
        self._stack.forget_all()

    # What goes on beside the calls.

    def register(self, request: RegistrationRequest, now: float) -> None:
        """Keep a binding with a registrar from now on; RegistrationChanged tells how it stands. Once a core."""
        for hop in request.hops:
            self.know_host(hop.host)
        self._registration = Registration(self._stack, request, self._emit_registration)
        self._registration.start(now)

    def unregister(self, now: float) -> None:
        """Take the binding back; nothing happens without one."""
        if self._registration is not None:
            self._registration.stop(now)

    def move_registration(self, hops: Sequence[Hop]) -> None:
        """The registrar is at other addresses from now on."""
        for hop in hops:
            self.know_host(hop.host)
        if self._registration is not None:
            self._registration.move(hops)

    def discover_address(self, stun_server: Hop, now: float) -> None:
        """Ask a STUN server, and go on asking; AddressDiscovered tells what it says."""
        self._discovery = Discovery(self._stack, stun_server, self.emit)
        self._discovery.ask(now)

    def probe(self, request: ProbeRequest, now: float) -> str:
        """Ask a server by OPTIONS or REGISTER; returns the id that its ProbeEnded will have."""
        self.know_host(request.hop.host)
        probe = Probe(self._stack, request, self.emit)
        probe.start(now)
        return probe.call_id

    def public_address(self, hop: Hop) -> Address:
        """Our SIP address as the peer at `hop` sees it, as far as anybody has told; else the local one."""
        return self._stack.public_address(hop)

    def knows_public_address(self, hop: Hop) -> bool:
        """Whether anybody outside has told."""
        return self._stack.knows_public_address(hop)

    def _paths_in_use(self) -> set[Hop]:
        """Where a NAT must stay open: to the registrar that knows us, and to the peers of live calls."""
        paths = {hop for call in self._calls.values() for hop in call.paths}
        if self._registration is not None and self._registration.bound:
            paths.add(self._registration.hop)
        return paths

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

    def datagrams_to_send(self) -> list[tuple[bytes, Hop]]:
        """Packets, and messages for connections, to send now, in order; each is handed out once."""
        outbox, self._stack.outbox = self._stack.outbox, []
        return outbox

    @property
    def has_packets(self) -> bool:
        """Whether `datagrams_to_send` has any."""
        return bool(self._stack.outbox)

    def next_event(self) -> Event | None:
        """The next event; None when no event waits."""
        return self._events.popleft() if self._events else None

    def get_timer(self) -> float | None:
        """When `handle_timer` is due; None when nothing is due."""
        return self._stack.timers.next_at()

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        while True:
            try:
                self._stack.timers.fire(now)
                return
            except Exception:
                fired = self._stack.timers.fired
                call_id = fired.call_id if fired is not None else ""
                logger.exception(BROKEN, call_id)
                self.break_off(call_id, now)

    def transport_error(self, hop: Hop | Address, now: float, complaint: str | None = None) -> None:
        """Nothing can be delivered to `hop`: what waits there for its first response fails.

        `complaint` says why, in a sentence for a person.
        """
        hop = Hop(*hop)
        if complaint is not None:
            self._stack.learn_complaint(hop, complaint)
        for client in self._clients_at(hop):
            try:
                client.transport_error(now)
            except Exception:
                logger.exception(BROKEN, client.call_id)
                self.break_off(client.call_id, now)

    def connection_lost(self, hop: Hop, now: float) -> None:
        """A connection that was up is gone: what waits for its first response is sent again, on a new one."""
        for client in self._clients_at(hop):
            try:
                client.connection_lost(now)
            except Exception:
                logger.exception(BROKEN, client.call_id)
                self.break_off(client.call_id, now)

    def connection_made(self, hop: Hop, local_address: Address) -> None:
        """A connection is up, from this local address."""
        self._stack.learn_complaint(hop, None)
        self._stack.learn_local_address(hop, local_address)

    def _clients_at(self, hop: Hop) -> list[ClientTransaction]:
        return [client for client in self._stack.clients.values() if client.hop == hop]

    def receive_datagram(
        self, data: bytes, source: Hop | Address, now: float, *, arrived_at: float | None = None
    ) -> None:
        """Take a packet, or a message of a connection, from `source`, which reached this machine at `arrived_at`.

        What is not for us or cannot be read is counted and dropped.
        """
        source = Hop(*source)
        self._stack.arrived_at = now if arrived_at is None else arrived_at
        message = parse_message(data)
        if isinstance(message, Discard):
            self._receive_other(message, data, source, now)
            return
        try:
            self._receive(message, data, source, now)
        except Exception:
            logger.exception(BROKEN, message.call_id)
            self.break_off(message.call_id, now)

    def _receive(self, message: Request | Response, data: bytes, source: Hop, now: float) -> None:
        if self._stack.tracer is not None:
            self._stack.tracer(message.call_id, RECEIVED, data, source)
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug("< %s\n%s", source, printable(data))
        if isinstance(message, Response):
            self._receive_response(message, source, now)
        else:
            self._receive_request(message, source, now)

    def _receive_other(self, reason: Discard, data: bytes, source: Hop, now: float) -> None:
        """STUN shares the socket with SIP; a ping on a connection wants its pong (RFC 5626 section 3.5.1)."""
        answer = stun.parse(data)
        if answer is not None and self._discovery is not None and self._discovery.receive(answer, now):
            return
        if reason is Discard.KEEPALIVE and source.transport in RELIABLE and data.startswith(PING):
            self._stack.outbox.append((PONG, source))
        self.discarded[reason] += 1

    def _receive_response(self, response: Response, source: Hop, now: float) -> None:
        """From where the request went, or another of the trunk's servers; the rest is a stranger's word."""
        vias = response.get_all("via")
        via = response.top_via
        # RFC 3261 section 8.1.3.3: a response with a second Via is not for us.
        if len(vias) != 1 or via is None or not self._stack.is_ours(via):
            self._receive_stray(response, source, now)
            return
        client = self._stack.clients.get((via.params.get("branch", ""), response.cseq_method))
        # RFC 3261 section 17.1.3 compares branch and method alone; a response that names another call is a stray.
        if (
            client is None
            or response.call_id != client.request.call_id
            or response.cseq != client.request.cseq
            or response.from_tag != client.request.from_tag
        ):
            self._receive_stray(response, source, now)
            return
        if not self._is_own(source, client.hop.host):
            self._drop_stranger(response, source)
            return
        # First: the request that follows at once from this response has the new address in its Contact.
        self._stack.learn_address(via, client.hop)
        client.receive(response, now)

    def _is_own(self, source: Hop, host: str) -> bool:
        return not self._stack.config.strict_source or source.host == host or source.host in self._known_hosts

    def _drop_stranger(self, message: Request | Response, source: Hop) -> None:
        self.discarded["other_host"] += 1
        if self.discarded["other_host"] in _TOLD_OF_STRANGERS:
            logger.warning(
                "call %s: a %s from %s is dropped: that host has no part in this call. If it is one of the provider's,"
                " turn strict_source of the trunk off",
                message.call_id,
                message.method if isinstance(message, Request) else f"{message.code} response",
                source,
            )

    def _receive_stray(self, response: Response, source: Hop, now: float) -> None:
        """No transaction waits for it: perhaps a 2xx sent again with another Via, or one to an earlier process."""
        call = self._calls.get(response.call_id)
        if source.host in self._known_hosts:
            if call is not None and call.receive_strange_copy(response):
                return
            if self._farewells.take(response, source, now):
                return
        self.discarded["stray_response"] += 1

    def _receive_request(self, request: Request, source: Hop, now: float) -> None:
        via = request.top_via
        if via is None:
            self.discarded[Discard.HEADER] += 1
            return
        if request.method == "ACK":
            # The ACK to a refusal has the branch of its INVITE, the ACK to a 2xx only the dialog (RFC 3261 section
            # 17.1.1.3, 13.2.2.4).
            invite = self._stack.servers.get(transaction_key(request, via, "INVITE"))
            if isinstance(invite, InviteServer):
                invite.receive_ack(now)
            call = self._calls.get(request.call_id)
            if self._is_strangers(call, request, source):
                return
            taken = call is not None and call.receive_ack(request, now)
            if invite is None and not taken:
                self.discarded["stray_ack"] += 1
            return
        earlier = self._stack.servers.get(transaction_key(request, via, request.method))
        # Before all checks: a copy gets the very same response, whatever has changed since (RFC 3261 section 17.2.2).
        if earlier is not None:
            earlier.request_again(now)
            return
        call = self._calls.get(request.call_id)
        known = source.host in self._known_hosts
        if self._is_strangers(call, request, source):
            return
        dropped = answer_request(self._stack, call, request, via, source, now, known=known)
        if dropped is not None:
            self.discarded[dropped] += 1

    def _is_strangers(self, call: Call | None, request: Request, source: Hop) -> bool:
        """Whether a request within a dialog comes from a host that has no part in it; that is dropped and counted."""
        if not self._stack.config.strict_source or source.host in self._known_hosts:
            return False
        dialog = call.find_dialog(request) if call is not None else None
        if dialog is None or dialog.may_come_from(source.host):
            return False
        self._drop_stranger(request, source)
        return True

    # What calls report.

    def emit(self, event: Event) -> None:
        """Queue an event for the owner."""
        self._events.append(event)

    def _emit_registration(self, event: RegistrationChanged) -> None:
        self.emit(event)
        if event.standing is RegistrationStanding.REGISTERED:
            self._keep_alive.wake(event.at)

    def forget(self, call: Call) -> None:
        """The last transaction of a call is over."""
        self._calls.pop(call.call_id, None)

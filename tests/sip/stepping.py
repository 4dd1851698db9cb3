"""Drives the pure core with a scripted gateway and a clock that the test moves.

Reads the wire by itself: the parser under test never judges what the core sent.
"""

from dataclasses import dataclass
from itertools import count

from autodialer.sip.events import Event
from autodialer.sip.hop import Hop
from autodialer.sip.invite import InviteRequest
from autodialer.sip.registration import RegistrationRequest
from autodialer.sip.user_agent import UserAgent, UserAgentConfig

LOCAL = ("192.0.2.1", 5060)
GATEWAY = ("192.0.2.9", 5060)
TARGET = "sip:79161234567@192.0.2.9"
CONTACT = "<sip:callee@192.0.2.77:5070>"
ANSWER = (
    "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n"
    "m=audio 40000 RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\n"
)


@dataclass(frozen=True)
class Sent:
    """One packet of the core."""

    at: float
    data: bytes
    to: tuple[str, int]
    hop: Hop | None = None

    @property
    def start_line(self) -> str:
        return self.lines[0]

    @property
    def method(self) -> str:
        return self.start_line.split(" ")[0]

    @property
    def uri(self) -> str:
        return self.start_line.split(" ")[1]

    @property
    def code(self) -> int:
        return int(self.start_line.split(" ")[1])

    @property
    def lines(self) -> list[str]:
        return self.data.decode().partition("\r\n\r\n")[0].split("\r\n")

    @property
    def body(self) -> bytes:
        return self.data.partition(b"\r\n\r\n")[2]

    def all(self, name: str) -> list[str]:
        return [line.partition(": ")[2] for line in self.lines[1:] if line.partition(":")[0] == name]

    def __getitem__(self, name: str) -> str:
        (value,) = self.all(name)
        return value

    @property
    def branch(self) -> str:
        return self["Via"].partition("branch=")[2].partition(";")[0]

    @property
    def from_tag(self) -> str:
        return self["From"].partition(";tag=")[2]


PROVISIONAL = ("CallProgress", "InviteHeard")


class Steps:
    """A core, its clock and everything it ever sent."""

    def __init__(self, *, chance: int | None = None, **config: object) -> None:
        """`chance`: the octet that decides wherever a span is drawn, 0 the shortest and 255 the longest."""
        numbers = count(1)

        def random_bytes(octets: int) -> bytes:
            drawn = chance if chance is not None and octets == 1 else next(numbers) % 256**octets
            return drawn.to_bytes(octets, "big")

        self.core = UserAgent(
            UserAgentConfig(
                local_address=LOCAL,
                random_bytes=random_bytes,
                **config,  # type: ignore[arg-type]
            )
        )
        self.now = 100.0
        self.began = self.now
        self.events: list[Event] = []
        self._sent: list[Sent] = []
        self.everything: list[Sent] = []
        """All that was ever sent but keep-alives."""
        self.pings: list[Sent] = []
        """Keep-alives, which are kept apart."""

    def invite(self, **fields: object) -> Sent:
        """Start a call; its INVITE."""
        values: dict[str, object] = {
            "target": TARGET,
            "from_uri": "sip:100@192.0.2.1",
            "next_hop": GATEWAY,
            "sdp": b"v=0\r\n",
            "ring_timeout_s": 40.0,
            "call_id": "call-1",
        }
        self.core.invite(InviteRequest(**(values | fields)), self.now)  # type: ignore[arg-type]
        return self.take_one()

    def register(self, **fields: object) -> Sent:
        """Start the registration; its first REGISTER."""
        values: dict[str, object] = {
            "registrar": "sip:example.test",
            "address_of_record": "sip:user@example.test",
            "contact_user": "user",
            "hops": (Hop(*GATEWAY),),
            "credentials": ("user", "secret"),
        }
        self.core.register(RegistrationRequest(**(values | fields)), self.now)  # type: ignore[arg-type]
        return self.take_one()

    def advance(self, seconds: float) -> list[Sent]:
        """Move the clock, let each timer fire at its time; what was sent on the way."""
        end = self.now + seconds
        while (when := self.core.get_timer()) is not None and when <= end:
            self.now = max(self.now, when)
            self.core.handle_timer(self.now)
            self._collect()
        self.now = end
        return self.take()

    def receive(self, data: str | bytes, addr: tuple[str, int] = GATEWAY) -> list[Sent]:
        """A packet comes in; what the core sends at once."""
        self.core.receive_datagram(data.encode() if isinstance(data, str) else data, addr, self.now)
        return self.take()

    def reply(
        self,
        request: Sent,
        status: str,
        *,
        tag: str | None = "callee",
        headers: tuple[str, ...] = (),
        body: str = "",
        contact: str | None = CONTACT,
        addr: tuple[str, int] = GATEWAY,
    ) -> list[Sent]:
        """The gateway answers a request; what the core sends at once."""
        return self.receive(response(request, status, tag=tag, headers=headers, body=body, contact=contact), addr)

    def answer(self, request: Sent, **options: object) -> Sent:
        """The gateway answers the INVITE with 200; the ACK."""
        (ack,) = self.reply(request, "200 OK", body=ANSWER, **options)  # type: ignore[arg-type]
        return ack

    def take(self) -> list[Sent]:
        """What was sent since the last look."""
        self._collect()
        sent, self._sent = self._sent, []
        return sent

    def take_one(self) -> Sent:
        (sent,) = self.take()
        return sent

    def _collect(self) -> None:
        for data, to in self.core.datagrams_to_send():
            sent = Sent(self.now, data, to.address, to)
            if data.strip():
                self._sent.append(sent)
                self.everything.append(sent)
            else:
                self.pings.append(sent)
        while (event := self.core.next_event()) is not None:
            self.events.append(event)

    @property
    def names(self) -> list[str]:
        """Names of the events so far, provisional ones left out."""
        return [name for event in self.events if (name := type(event).__name__) not in PROVISIONAL]

    @property
    def last(self) -> Event:
        return self.events[-1]

    def finish(self) -> None:
        """Let every timer run out; nothing may remain and the call has exactly one end."""
        self.advance(1000.0)
        assert self.core.remembered == 0
        ends = [name for name in self.names if name in ("CallFailed", "CallEnded")]
        assert len(ends) == 1, self.events


def response(
    request: Sent,
    status: str,
    *,
    tag: str | None = "callee",
    headers: tuple[str, ...] = (),
    body: str = "",
    contact: str | None = CONTACT,
) -> str:
    """A well-formed response as the gateway would write it."""
    to = request["To"]
    if tag is not None and ";tag=" not in to:
        to += f";tag={tag}"
    lines = [
        f"SIP/2.0 {status}",
        *(f"Via: {via}" for via in request.all("Via")),
        f"From: {request['From']}",
        f"To: {to}",
        f"Call-ID: {request['Call-ID']}",
        f"CSeq: {request['CSeq']}",
        *([f"Contact: {contact}"] if contact else []),
        *headers,
        *(["Content-Type: application/sdp"] if body and not any("Content-Type" in line for line in headers) else []),
        f"Content-Length: {len(body.encode())}",
    ]
    return "\r\n".join(lines) + "\r\n\r\n" + body


def early(invite: Sent, tag: str) -> Sent:
    """The INVITE with the callee's tag in To: what `in_dialog` makes a request of the early dialog from."""
    text = invite.data.decode().replace(f"To: {invite['To']}", f"To: {invite['To']};tag={tag}")
    return Sent(invite.at, text.encode(), invite.to)


def in_dialog(
    ack: Sent, method: str, cseq: int = 1, *, branch: str = "z9hG4bKpeer", headers: tuple[str, ...] = (), **tags: str
) -> str:
    """A request of the callee within the dialog that `ack` acknowledged."""
    local, remote = ack["From"], ack["To"]
    if "to_tag" in tags:
        local = local.partition(";tag=")[0] + f";tag={tags['to_tag']}"
    if "from_tag" in tags:
        remote = remote.partition(";tag=")[0] + f";tag={tags['from_tag']}"
    lines = [
        f"{method} sip:192.0.2.1:5060 SIP/2.0",
        f"Via: SIP/2.0/UDP 192.0.2.77:5070;branch={branch}",
        "Max-Forwards: 70",
        f"From: {remote}",
        f"To: {local}",
        f"Call-ID: {ack['Call-ID']}",
        f"CSeq: {cseq} {method}",
        *headers,
        "Content-Length: 0",
    ]
    return "\r\n".join(lines) + "\r\n\r\n"

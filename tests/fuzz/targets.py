"""What is attacked, each a function of the bytes: an AssertionError or any other exception is a defect."""

import math
import random
import re
from collections.abc import Callable
from ipaddress import IPv4Address
from itertools import count
from pathlib import Path

from autodialer import stun
from autodialer.media import dtmf, rtcp, rtp
from autodialer.media.deck import Deck
from autodialer.media.reporting import Heard, Reporting, Sent
from autodialer.media.session import Session
from autodialer.sip import fields
from autodialer.sip.digest import authorize, choose, parse_challenges
from autodialer.sip.events import CallAnswered, CallEnded, CallFailed, TransferEnded
from autodialer.sip.framing import BrokenStream, StreamReader
from autodialer.sip.invite import InviteRequest
from autodialer.sip.message import Discard, Message, Request, build_response, parse_message
from autodialer.sip.offer_answer import Accepted, LocalMedia
from autodialer.sip.sdp import MediaPlan, build_offer, extract_sdp, negotiate, parse_description
from autodialer.sip.tokens import split, tokens
from autodialer.sip.user_agent import UserAgent, UserAgentConfig

TESTS = Path(__file__).resolve().parent.parent
MESSAGES = (TESTS / "sip" / "messages", TESTS / "sip" / "messages" / "torture")
US, GATEWAY = ("192.0.2.1", 5060), ("192.0.2.9", 5060)
CODECS = ("PCMA", "PCMU")
OFFER = build_offer("192.0.2.1", 4000, CODECS, session_id=1)
TOKEN = re.compile(r"[A-Za-z0-9.!%*_+`'~-]+")


def message(data: bytes) -> None:
    """Headers and their fields; what is built from a request can be read again."""
    parsed = parse_message(data)
    if isinstance(parsed, Discard):
        return
    _touch(parsed)
    if isinstance(parsed, Request) and parsed.top_via is not None:
        built = build_response(parsed, 480, "x", via=parsed.get_all("via")[0], to=parsed.headers["to"][0])
        again = parse_message(built)
        if 0 < parsed.cseq < 2**31 and parsed.fault is None:
            assert isinstance(again, Message)
            assert (again.call_id, again.cseq, again.cseq_method) == (parsed.call_id, parsed.cseq, parsed.cseq_method)
            assert (again.from_tag, again.to_tag) == (parsed.from_tag, parsed.to_tag)
            assert again.get_all("via") == parsed.get_all("via")
            assert set(again.headers) <= {
                *("via", "record-route", "from", "to", "call-id", "cseq", "content-length"),
            }


def _touch(parsed: Message) -> None:
    for via in parsed.get_all("via"):
        read = fields.parse_via(via)
        assert read is None or (read.host and (read.port is None or 0 < read.port < 65536))
    for name, values in parsed.headers.items():
        for value in (*values, *parsed.get_all(name)):
            assert "\n" not in value and "\r" not in value
            address = fields.parse_name_addr(value)
            parts = fields.parse_uri.__wrapped__(address.uri if address else value)
            assert parts is None or (parts.host and (parts.port is None or 0 < parts.port < 65536))
            assert fields.parse_tag(value) != ""
        cause = fields.parse_q850_cause(values)
        assert cause is None or 0 <= cause <= 999
        wait = fields.parse_retry_after(values[0])
        assert wait is None or 0 <= wait < 10**10


def header_values(data: bytes) -> None:
    """Values of a header, one a line: no token is lost, and an address that is written again is read the same."""
    lines = data.decode("utf-8", "surrogateescape").replace("\r", " ").split("\n")
    for line in lines:
        assert "".join(token.text for token in tokens(line)) == line
        for separator in ",;":
            assert separator.join(split(line, separator)) == line
    for value in fields.split_values(lines):
        address = fields.parse_name_addr(value)
        if address is None or set(address.uri) & set("<>") or not all(map(TOKEN.fullmatch, address.params)):
            continue
        written = "".join(
            ';{}="{}"'.format(name, text.replace("\\", "\\\\").replace('"', '\\"'))
            for name, text in address.params.items()
        )
        assert fields.parse_name_addr(f"<{address.uri}>{written}") == address
        assert fields.split_values([f"<{address.uri}>{written}"]) == [f"<{address.uri}>{written}"]


def sdp(data: bytes) -> None:
    """Answers to our offer, offers to us, and a body in a multipart; the first line is its Content-Type."""
    content_type, _, rest = data.partition(b"\n")
    for body in (data, extract_sdp(content_type.decode("latin-1"), rest) or rest):
        plan = negotiate(body, CODECS)
        if isinstance(plan, MediaPlan):
            assert plan.named or plan.nowhere or IPv4Address(plan.host)
            assert plan.host.isascii() and plan.host.isprintable() and len(plan.host) < 254
            assert not plan.found_at("192.0.2.7").named
            assert 0 < plan.port < 65536 and plan.codec in CODECS and 0 <= plan.payload_type < 128
        accepted = LocalMedia(OFFER).answer(body, plan if isinstance(plan, MediaPlan) else None)
        if isinstance(accepted, Accepted):
            _, offered = parse_description(body)
            session, answered = parse_description(accepted.sdp)
            assert session is not None
            # RFC 3264 section 6: as many m= lines, of the same kinds in the same order.
            assert [media.kind for media in answered] == [media.kind for media in offered]
            assert isinstance(negotiate(accepted.sdp, CODECS), MediaPlan)


def digest(data: bytes) -> None:
    """Challenges, one a line, and our answer to them, which has to say their words again."""
    text = data.decode("utf-8", "surrogateescape").replace("\r", " ")
    for challenge in choose(parse_challenges(text.split("\n"))):
        value = authorize(
            challenge, username='us"er\\', password="p", method="INVITE", uri="sip:1@h", nonce_count=1, cnonce="c"
        )
        (read,) = parse_challenges([value])
        assert (read.realm, read.nonce, read.opaque) == (challenge.realm, challenge.nonce, challenge.opaque)
        assert (read.algorithm, read.session) == (challenge.algorithm, challenge.session)


def media(data: bytes) -> None:
    """A stream of RTP packets, each after an octet with its length, from two addresses in turn."""
    session = Session(random.Random(1))
    session.play(remote=GATEWAY, codec="PCMA", payload_type=8, codes=bytes(1600), telephone_event_pt=101, lead_in_ms=0)
    now, received = 0.0, 0
    while data:
        packet, data = data[1 : 1 + data[0]], data[1 + data[0] :]
        now += 0.02
        parsed = rtp.parse(packet)
        if parsed is not None:
            received += 1
            assert parse_again(parsed) == parsed
        digit = session.receive(packet, GATEWAY if received % 3 else ("192.0.2.66", 4), now)
        assert digit is None or digit in dtmf.EVENTS
    stats = session.stats(now)
    assert stats.received <= received
    assert stats.lost is None or 0 <= stats.lost <= 0x10000 * max(1, received)
    assert stats.jitter_ms is None or (math.isfinite(stats.jitter_ms) and stats.jitter_ms >= 0)
    deck: Deck[None] = Deck()
    deck.add(session, None)
    assert len(deck.packet(0)) == 172


def rtcp_reports(data: bytes) -> None:
    """An RTCP datagram: what is read of it is written and read the same, and taken without an exception."""
    reporting = Reporting(0.0, cname="x", epoch_at_zero=0.0, randomness=random.Random(1))
    for report in rtcp.reports_in(data):
        assert rtcp.reports_in(bytes(report)) == [report]
        for block in report.blocks:
            reporting.take(report, block.ssrc, 1.0)
        assert reporting.peer.lost is None or reporting.peer.lost >= 0
        assert reporting.peer.round_trip_ms is None or 0 <= reporting.peer.round_trip_ms <= 60_000
    heard = Heard(ssrc=1, expected=10, lost=2, highest=10, jitter=3)
    sent = Sent(ssrc=2, timestamp=1600, packets=10, octets=1600)
    assert len(rtcp.reports_in(reporting.report(sent, heard, 2.0))) == 1


def parse_again(packet: rtp.RtpPacket) -> rtp.RtpPacket | None:
    """What is read of a packet that we write."""
    built = rtp.pack(
        packet.payload_type, packet.sequence, packet.timestamp, packet.ssrc, packet.payload, marker=packet.marker
    )
    return rtp.parse(built)


def stun_response(data: bytes) -> None:
    """A Binding response."""
    answer = stun.parse(data)
    if answer is not None:
        assert len(answer.transaction_id) == stun.TRANSACTION_ID_OCTETS
        assert answer.mapped is None or (IPv4Address(answer.mapped[0]) and 0 <= answer.mapped[1] < 65536)


def framing(data: bytes) -> None:
    """A stream of a connection gives the same messages however it is cut."""
    whole, pieces = _read_stream(data, len(data) or 1), _read_stream(data, 7)
    if whole is not None and pieces is not None:
        assert whole == pieces


def _read_stream(data: bytes, step: int) -> list[bytes] | None:
    reader = StreamReader()
    try:
        messages = [each for start in range(0, len(data), step) for each in reader.feed(data[start : start + step])]
    except BrokenStream:
        return None
    # Pings, and what else says nothing, may be cut in one way or the other.
    return [each for each in messages if each.strip(b"\r\n\0")]


SEPARATOR = b"\n\xff\xff\n"
"""Between the packets of one input."""
PACKETS = 8
OURS = {
    *("Via", "Route", "Max-Forwards", "From", "To", "Call-ID", "CSeq", "Contact", "Authorization", "Record-Route"),
    *("Proxy-Authorization", "Session-Expires", "Min-SE", "Supported", "Allow", "User-Agent", "Content-Type", "RAck"),
    *("Content-Length", "Unsupported", "Accept", "Require", "Refer-To", "Referred-By"),
}
"""Headers that we ever write."""


class LiveCall:
    """A user agent with one call, attacked by who knows its branch and tag: z9hG4bKours and callertag in the input.

    z9hG4bKlast is the branch of what was sent last.
    """

    def __init__(self, *, transfers: bool = False) -> None:
        """`transfers`: once it is answered, its peer is asked to call somebody in its place."""
        self._transfers = transfers
        self.transfers_asked = self.transfers_ended = 0
        numbers = count(1)
        config = UserAgentConfig(
            local_address=US,
            known_hosts=frozenset([GATEWAY[0]]),
            random_bytes=lambda octets: next(numbers).to_bytes(octets, "big"),
        )
        self.now = 0.0
        self.ends = 0
        self.agent = UserAgent(config)
        invite = InviteRequest(
            target="sip:79161234567@192.0.2.9",
            from_uri="sip:100@192.0.2.1",
            next_hop=GATEWAY,  # type: ignore[arg-type]
            sdp=OFFER,
            call_id="call-1",
            credentials=("user", "secret"),
        )
        self.agent.invite(invite, self.now)
        self.words = {b"z9hG4bKours": b"", b"callertag": b"", b"z9hG4bKlast": b""}
        self.collect()
        self.words[b"z9hG4bKours"] = self.words[b"z9hG4bKlast"]

    def receive(self, packet: bytes) -> None:
        """A packet of the gateway, 0.4 s after the one before."""
        for word, value in self.words.items():
            packet = packet.replace(word, value)
        self.now += 0.4
        self.agent.receive_datagram(packet, GATEWAY, self.now)
        self.agent.handle_timer(self.now)
        self.collect()

    def collect(self) -> None:
        """What is sent is well formed, with no header but ours."""
        for data, _ in self.agent.datagrams_to_send():
            if not data.strip():
                continue
            head, empty_line, body = data.partition(b"\r\n\r\n")
            assert empty_line
            start_line, *lines = head.decode("utf-8", "surrogateescape").split("\r\n")
            assert "\n" not in start_line and "\r" not in start_line
            headers = dict(line.split(": ", 1) for line in lines)
            assert set(headers) <= OURS, headers
            assert int(headers["Content-Length"]) == len(body)
            if not start_line.startswith("SIP/2.0"):
                assert len(start_line.split(" ")) == 3, start_line
                self.words[b"z9hG4bKlast"] = headers["Via"].partition("branch=")[2].encode()
                self.words[b"callertag"] = headers["From"].partition(";tag=")[2].encode()
        while (event := self.agent.next_event()) is not None:
            self.ends += isinstance(event, CallFailed | CallEnded)
            self.transfers_ended += isinstance(event, TransferEnded)
            if isinstance(event, CallAnswered) and self._transfers:
                self.transfers_asked += 1
                self.agent.refer("call-1", "sip:74951234567@192.0.2.9", self.now)
                self.collect()

    def finish(self) -> None:
        """Hang up and let all timers run out: the call has ended once, and nothing remains."""
        self._run(50)
        self.agent.hang_up("call-1", self.now)
        self.collect()
        self._run(2000)
        assert self.agent.remembered == 0, "something is remembered for ever"
        assert self.ends == 1
        assert self.transfers_ended <= self.transfers_asked

    def _run(self, steps: int) -> None:
        while steps and (when := self.agent.get_timer()) is not None:
            self.now = max(self.now, when)
            self.agent.handle_timer(self.now)
            self.collect()
            steps -= 1


def call(data: bytes) -> None:
    """Packets at a live call."""
    live = LiveCall()
    for packet in data.split(SEPARATOR)[:PACKETS]:
        live.receive(packet)
    live.finish()


def transfer(data: bytes) -> None:
    """Packets at a live call that asks for a transfer once it is answered."""
    live = LiveCall(transfers=True)
    for packet in data.split(SEPARATOR)[:PACKETS]:
        live.receive(packet)
    live.finish()


TARGETS: dict[str, Callable[[bytes], None]] = {
    "message": message,
    "headers": header_values,
    "sdp": sdp,
    "digest": digest,
    "media": media,
    "rtcp": rtcp_reports,
    "stun": stun_response,
    "framing": framing,
    "call": call,
    "transfer": transfer,
}
SEEDS = {"message": MESSAGES, "framing": MESSAGES, "call": MESSAGES, "transfer": MESSAGES}
"""Folders to start from beside the target's own corpus."""

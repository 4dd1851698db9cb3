"""What really went over the wire: dumpcap on the loopback interface, read back by tshark's dissectors as typed values.

dumpcap needs root or its capabilities. A capture is ready, and complete, when a mark sent through the interface is
found in the file.
"""

import json
import re
import signal
import socket
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, cast

from tests.peers.namespaces import within
from tests.peers.ports import LOCALHOST, free_port, wait_until
from tests.peers.process import Process
from tests.peers.requirements import find_program
from tests.timing import at_most

Address = tuple[str, int]

_SIP_FIELDS = (
    "frame.number", "frame.time_epoch", "ip.src", "ip.dst", "udp.srcport", "udp.dstport", "udp.payload",
    "tcp.srcport", "tcp.dstport", "tcp.payload", "tcp.reassembled.data",
    "sip.Method", "sip.Status-Code", "sip.r-uri", "sip.Call-ID", "sip.Via.branch", "sip.from.tag", "sip.to.tag",
    "sip.CSeq.seq", "sip.CSeq.method",
)  # fmt: skip
_RTP_FIELDS = (
    "frame.number", "frame.time_epoch", "ip.src", "ip.dst", "udp.srcport", "udp.dstport", "udp.payload",
    "rtp.seq", "rtp.timestamp", "rtp.ssrc", "rtp.p_type", "rtp.marker", "rtp.payload",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class WireMessage:
    """A SIP message as tshark dissects it."""

    frame: int
    """Its place in the capture file."""
    at: float
    """When it passed, in seconds since 1970."""
    source: Address
    destination: Address
    raw: bytes
    """The whole datagram, or what a connection brought up to the end of the message."""
    method: str | None
    """The request's method; None for a response."""
    code: int | None
    """The response's status code; None for a request."""
    request_uri: str | None
    call_id: str
    branch: str
    """The branch of the topmost Via."""
    from_tag: str
    to_tag: str | None
    """None where To carries no tag."""
    cseq: int
    cseq_method: str

    @property
    def is_request(self) -> bool:
        """A request, not a response."""
        return self.method is not None

    @property
    def text(self) -> str:
        """The datagram as text."""
        return self.raw.decode("utf-8", errors="replace")

    @property
    def start_line(self) -> str:
        """The request or status line."""
        return self.text.partition("\r\n")[0]

    @property
    def body(self) -> bytes:
        """What follows the empty line."""
        return self.raw.partition(b"\r\n\r\n")[2]

    def headers(self, name: str) -> list[str]:
        """The values of every header of this name (as written in full), in order."""
        head = self.text.partition("\r\n\r\n")[0]
        found = re.findall(rf"^{re.escape(name)}[ \t]*:[ \t]*(.*?)\r?$", head, re.IGNORECASE | re.MULTILINE)
        return [str(value) for value in found]

    def header(self, name: str) -> str | None:
        """The first header of this name, or None."""
        return next(iter(self.headers(name)), None)

    def __str__(self) -> str:
        return f"{self.at:.3f} {self.source[1]} -> {self.destination[1]} {self.start_line}"


@dataclass(frozen=True, kw_only=True, slots=True)
class RtpPacket:
    """An RTP packet as tshark dissects it."""

    frame: int
    at: float
    """When it passed, in seconds since 1970."""
    source: Address
    destination: Address
    sequence: int
    timestamp: int
    ssrc: int
    payload_type: int
    marker: bool
    payload: bytes


def before_silence(packets: Sequence[RtpPacket]) -> list[RtpPacket]:
    """Without the packets of digital silence (0xD5 in PCMA, 0xFF in PCMU) that are the last ones of each stream."""
    streams: dict[int, list[RtpPacket]] = {}
    for packet in packets:
        streams.setdefault(packet.ssrc, []).append(packet)
    kept = set()
    for stream in streams.values():
        loud = [
            number for number, one in enumerate(stream) if one.payload.strip(b"\xd5") and one.payload.strip(b"\xff")
        ]
        kept.update(one.frame for one in stream[: loud[-1] + 1 if loud else 0])
    return [packet for packet in packets if packet.frame in kept]


class Capture:
    """A capture of UDP on given ports of 127.0.0.0/8; a context manager. Read it after it has ended.

    `sip_ports` and `rtp_ports` are both captured and told to tshark, which knows only 5060 by itself; a pair is a range
    with both ends in it. `everything=True` captures all UDP of the interface (for ports chosen while the test runs) and
    then sees other runs' packets too: filter by address. With `namespace`, what passes all interfaces of that host.
    """

    def __init__(
        self,
        file: Path,
        *,
        sip_ports: Iterable[int],
        rtp_ports: Iterable[int | tuple[int, int]] = (),
        tcp_ports: Iterable[int] = (),
        seconds: int = 120,
        everything: bool = False,
        host: str | None = None,
        namespace: str | None = None,
    ) -> None:
        self.file = file
        self._namespace = namespace
        self.sip_ports = sorted(set(sip_ports))
        self.rtp_ports = sorted({port if isinstance(port, tuple) else (port, port) for port in rtp_ports})
        self.tcp_ports = sorted(set(tcp_ports))
        """SIP over TCP; of several messages in one segment `sip` shows the first."""
        self._seconds = seconds
        self._everything = everything
        self._host = host
        self._marks = 0
        self._mark_port = free_port()
        self._process: Process | None = None

    @property
    def filter(self) -> str:
        """The capture filter, in pcap's language."""
        mark = f"udp dst port {self._mark_port}"
        if self._everything:
            wanted = "udp"
        else:
            ranges = [f"udp portrange {first}-{last}" for first, last in self.rtp_ports]
            tcp = [f"tcp port {port}" for port in self.tcp_ports]
            wanted = " or ".join([f"udp port {port}" for port in self.sip_ports] + ranges + tcp)
        return f"({mark}) or (({wanted}) and host {self._host})" if self._host else f"({mark}) or {wanted}"

    def __enter__(self) -> Self:
        interface = "any" if self._namespace else "lo"
        arguments = ["-i", interface, "-q", "-P", "-B", "16", "-a", f"duration:{self._seconds}", "-w", str(self.file)]
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self._process = Process(
            "dumpcap",
            [*arguments, "-f", self.filter],
            output=self.file.with_suffix(".log"),
            limit_s=self._seconds + 10,
            cwd=self.file.parent.resolve(),
            namespace=self._namespace,
        )
        try:
            self._process.wait_ready(self._mark_seen, what="a mark in the capture file")
        except BaseException:
            self._process.stop()
            raise
        return self

    def stop(self) -> None:
        """Wait until what has passed so far is in the file, then end the capture. Does nothing the second time."""
        process, self._process = self._process, None
        if process is None:
            return
        try:
            if process.exit_status is None:
                mark = self._send_mark()
                wait_until(lambda: mark in self.file.read_bytes(), what="the last mark in the capture file")
        finally:
            process.stop(first=signal.SIGINT)

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _send_mark(self) -> bytes:
        self._marks += 1
        mark = f"capture-mark-{self._mark_port}-{self._marks:06}".encode()
        with within(self._namespace), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(mark, (LOCALHOST, self._mark_port))
        return mark

    def _mark_seen(self) -> bool:
        self._send_mark()
        return self.file.exists() and b"capture-mark-" in self.file.read_bytes()

    def sip(self, *, call_id: str | None = None) -> list[WireMessage]:
        """Every SIP message in order of time, of one call or of all, but no keep-alives."""
        found = [_sip_message(fields) for fields in self._dissect(_SIP_FIELDS, "sip.Method or sip.Status-Code")]
        return [message for message in found if call_id in (None, message.call_id)]

    def rtp(self, *, source: Address | None = None, destination: Address | None = None) -> list[RtpPacket]:
        """Every RTP packet in order of time, between these addresses or all."""
        found = (_rtp_packet(fields) for fields in self._dissect(_RTP_FIELDS, "rtp.seq"))
        return [
            packet for packet in found if source in (None, packet.source) and destination in (None, packet.destination)
        ]

    def connections(self, port: int) -> list[Address]:
        """Who began a TCP connection to this port, in order of time."""
        fields = ("frame.number", "ip.src", "tcp.srcport")
        wanted = f"tcp.flags.syn==1 and tcp.flags.ack==0 and tcp.dstport=={port} and not tcp.analysis.retransmission"
        return [(line["ip.src"][0], int(line["tcp.srcport"][0])) for line in self._dissect(fields, wanted)]

    def field(self, name: str, wanted: str) -> list[str]:
        """A field of tshark's in every packet that its display filter `wanted` lets through; the first of each."""
        return [line[name][0] for line in self._dissect(("frame.number", name), wanted) if name in line]

    def times(self, wanted: str) -> list[float]:
        """When the packets passed that the display filter `wanted` lets through, in seconds since 1970."""
        return [float(when) for when in self.field("frame.time_epoch", wanted)]

    def contains(self, data: bytes) -> bool:
        """Whether any packet has these octets, whatever protocol it is of."""
        self.stop()
        return data in self.file.read_bytes()

    def malformed(self) -> list[str]:
        """What tshark's dissectors complain about at the level of errors and warnings, a line a packet."""
        lines = self._dissect(("frame.number", "_ws.expert.message"), "_ws.expert.severity >= 6291456 or _ws.malformed")
        return [
            f"frame {fields['frame.number'][0]}: {'; '.join(fields.get('_ws.expert.message', []))}" for fields in lines
        ]

    def _dissect(self, fields: Sequence[str], wanted: str) -> list[dict[str, list[str]]]:
        self.stop()
        decode = [f"udp.port=={port},sip" for port in self.sip_ports]
        decode += [f"tcp.port=={port},sip" for port in self.tcp_ports]
        decode += [f"udp.port=={first}-{last},rtp" for first, last in self.rtp_ports]
        command = [find_program("tshark") or "tshark", "-n", "-r", str(self.file)]
        command += [part for rule in decode for part in ("-d", rule)]
        command += ["-Y", f"({wanted}) and not udp.port=={self._mark_port} and not icmp", "-T", "json"]
        command += [part for field in fields for part in ("-e", field)]
        result = subprocess.run(command, capture_output=True, check=False, timeout=at_most(120))
        if result.returncode != 0:
            raise RuntimeError(f"tshark: {result.stderr.decode(errors='replace')}")
        packets = cast(list[dict[str, Any]], json.loads(result.stdout or b"[]"))
        return [cast(dict[str, list[str]], packet["_source"]["layers"]) for packet in packets]


def _addresses(fields: dict[str, list[str]]) -> tuple[Address, Address]:
    source, destination = ((fields.get(f"udp.{end}") or fields[f"tcp.{end}"])[0] for end in ("srcport", "dstport"))
    return (fields["ip.src"][0], int(source)), (fields["ip.dst"][0], int(destination))


def _first(fields: dict[str, list[str]], name: str) -> str | None:
    values = fields.get(name)
    return values[0] if values else None


def _sip_message(fields: dict[str, list[str]]) -> WireMessage:
    source, destination = _addresses(fields)
    code = _first(fields, "sip.Status-Code")
    raw = next(name for name in ("udp.payload", "tcp.reassembled.data", "tcp.payload") if name in fields)
    return WireMessage(
        frame=int(fields["frame.number"][0]),
        at=float(fields["frame.time_epoch"][0]),
        source=source,
        destination=destination,
        raw=bytes.fromhex(fields[raw][0].replace(":", "")),
        method=_first(fields, "sip.Method") if code is None else None,
        code=None if code is None else int(code),
        request_uri=_first(fields, "sip.r-uri"),
        call_id=_first(fields, "sip.Call-ID") or "",
        branch=_first(fields, "sip.Via.branch") or "",
        from_tag=_first(fields, "sip.from.tag") or "",
        to_tag=_first(fields, "sip.to.tag"),
        cseq=int(_first(fields, "sip.CSeq.seq") or -1),
        cseq_method=_first(fields, "sip.CSeq.method") or "",
    )


def _rtp_packet(fields: dict[str, list[str]]) -> RtpPacket:
    source, destination = _addresses(fields)
    datagram = bytes.fromhex(fields["udp.payload"][0].replace(":", ""))
    payload = _first(fields, "rtp.payload")
    return RtpPacket(
        frame=int(fields["frame.number"][0]),
        at=float(fields["frame.time_epoch"][0]),
        source=source,
        destination=destination,
        sequence=int(fields["rtp.seq"][0]),
        timestamp=int(fields["rtp.timestamp"][0]),
        ssrc=int(fields["rtp.ssrc"][0], 16),
        payload_type=int(fields["rtp.p_type"][0]),
        marker=fields["rtp.marker"][0] in ("1", "True"),
        payload=bytes.fromhex(payload.replace(":", "")) if payload else datagram[12 + 4 * (datagram[0] & 15) :],
    )

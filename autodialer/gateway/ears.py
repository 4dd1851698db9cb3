"""The fake carrier's RTP: callees that listen, send silence back, and one who is recorded."""

import contextlib
import selectors
import socket
import wave
from dataclasses import dataclass, field
from pathlib import Path

from autodialer.media import g711, rtp
from autodialer.media.session import FRAME
from autodialer.sip.sdp import MediaPlan

Address = tuple[str, int]


@dataclass(kw_only=True)
class Line:
    """One callee's RTP."""

    socket: socket.socket
    number: str
    media: MediaPlan
    sent: int = 0
    heard: dict[int, bytes] = field(default_factory=dict)
    """Sequence number, counted on beyond 65535, to payload; kept of the recorded callee only."""
    last: int | None = None


class Ears:
    """All callees' RTP sockets, registered with the gateway's selector."""

    def __init__(self, host: str, selector: selectors.BaseSelector, *, record: str | None, wav: Path | None) -> None:
        self._host = host
        self._selector = selector
        self._record = record
        self._wav = wav
        self._lines: dict[str, Line] = {}

    def open(self, call_id: str, number: str, media: MediaPlan) -> int:
        """A port for the callee's RTP."""
        bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        bound.settimeout(0)
        bound.bind((self._host, 0))
        self._lines[call_id] = line = Line(socket=bound, number=number, media=media)
        self._selector.register(bound, selectors.EVENT_READ, line)
        return int(bound.getsockname()[1])

    def close(self, call_id: str) -> None:
        """The call is over; what the recorded callee heard is written down."""
        line = self._lines.pop(call_id, None)
        if line is None:
            return
        self.listen(line)
        self._selector.unregister(line.socket)
        line.socket.close()
        if line.heard and self._wav:
            write_heard(line.heard, line.media.codec, self._wav)

    def listen(self, line: Line) -> None:
        """Take what came; for each packet one of silence goes back."""
        with contextlib.suppress(OSError):
            while True:
                data, source = line.socket.recvfrom(2048)
                packet = rtp.parse(data)
                if packet is None or packet.payload_type != line.media.payload_type:
                    continue
                if line.number == self._record:
                    self._keep(line, packet)
                self._send_silence(line, source)

    def _keep(self, line: Line, packet: rtp.RtpPacket) -> None:
        if line.last is None:
            line.last = packet.sequence
        else:
            line.last += (packet.sequence - line.last + 0x8000) % 0x10000 - 0x8000
        line.heard[line.last] = packet.payload

    def _send_silence(self, line: Line, source: Address) -> None:
        silence = bytes([g711.SILENCE[line.media.codec]]) * FRAME
        packet = rtp.pack(line.media.payload_type, line.sent, line.sent * FRAME, 1, silence, marker=line.sent == 0)
        line.socket.sendto(packet, source)
        line.sent += 1


def write_heard(heard: dict[int, bytes], codec: str, path: Path) -> None:
    """The payloads in the order of their sequence numbers as a WAV; what never came is silence."""
    silence = bytes([g711.SILENCE[codec]]) * FRAME
    first, last = min(heard), max(heard)
    codes = b"".join(heard.get(number, silence) for number in range(first, last + 1))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(g711.SAMPLE_RATE)
        file.writeframes(g711.decode(codes, codec))

"""The media process under test, with its events at hand, and sockets that stand for callees."""

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self, TypeVar

from autodialer.media import rtp
from autodialer.media.rtp import RtpPacket
from autodialer.media.shell import (
    MediaEvent,
    MediaProcess,
    SessionClosed,
    SessionNotOpened,
    SessionOpened,
    SessionStats,
)
from tests.peers.ports import LOCALHOST, free_ports
from tests.timing import at_most

SO_TIMESTAMPNS = 35
"""Linux: the kernel says when each datagram arrived."""
FRAME = 160

E = TypeVar("E")


class Events:
    """Collects what the media process tells."""

    def __init__(self) -> None:
        self.all: list[MediaEvent] = []
        self._changed = threading.Condition()

    def __call__(self, event: MediaEvent) -> None:
        with self._changed:
            self.all.append(event)
            self._changed.notify_all()

    def of(self, kind: type[E], session_id: str | None = None) -> list[E]:
        """Events of one kind so far, of one session or of all."""
        return [
            event
            for event in list(self.all)
            if isinstance(event, kind) and session_id in (None, getattr(event, "session_id", None))
        ]

    def wait(self, kind: type[E], session_id: str | None = None, *, count: int = 1, timeout_s: float = 10.0) -> list[E]:
        """The events of a kind once there are `count` of them."""
        self.wait_any((kind,), session_id, count=count, timeout_s=timeout_s)
        return self.of(kind, session_id)

    def wait_any(
        self, kinds: tuple[type, ...], session_id: str | None = None, *, count: int = 1, timeout_s: float = 10.0
    ) -> list[Any]:
        """The events of some kinds once there are `count` of them."""

        def found() -> list[Any]:
            named = [event for event in list(self.all) if isinstance(event, kinds)]
            return [event for event in named if session_id in (None, getattr(event, "session_id", None))]

        with self._changed:
            if not self._changed.wait_for(lambda: len(found()) >= count, at_most(timeout_s)):
                raise TimeoutError(f"{count} of {kinds} did not come, only {self.all[-5:]}")
        return found()


class PortTaken(Exception):
    """The session was not opened."""


class Callee:
    """A socket that keeps what comes; the kernel holds a few seconds of one call, so it can be read afterwards."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((LOCALHOST, 0))
        self.socket.settimeout(0)
        with contextlib.suppress(OSError):
            self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.address: tuple[str, int] = self.socket.getsockname()
        self.packets: list[RtpPacket] = []
        self.arrived_at: list[float] = []
        self.senders: set[tuple[str, int]] = set()

    def read(self) -> list[RtpPacket]:
        """All packets that have come so far, but the RTCP of a neighbour's call."""
        with contextlib.suppress(BlockingIOError):
            while True:
                data, ancillary, _flags, sender = self.socket.recvmsg(4096, 64)
                if len(data) > 1 and data[1] in (200, 201):
                    continue
                packet = rtp.parse(data)
                assert packet is not None, data
                self.packets.append(packet)
                self.senders.add(sender)
                self.arrived_at += [_seconds(value) for _level, kind, value in ancillary if kind == SO_TIMESTAMPNS]
        return self.packets

    @property
    def heard(self) -> bytes:
        """The payloads in the order of arrival."""
        return b"".join(packet.payload for packet in self.read())

    def send(self, data: bytes, port: int) -> None:
        """Send a datagram to a port of the media process."""
        self.socket.sendto(data, (LOCALHOST, port))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


def _seconds(value: bytes) -> float:
    whole, nanoseconds = struct.unpack("qq", value)
    return float(whole + nanoseconds * 1e-9)


class Media(MediaProcess):
    """A media process whose events are collected."""

    def __init__(self, on_event: Callable[[MediaEvent], None] | None = None) -> None:
        self.events = Events()
        super().__init__(on_event or self.events)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def open_any(self, session_id: str) -> int:
        """Open a session at a free even port, which is returned."""
        port = free_ports(2, even=True)[0]
        self.open_and_wait(session_id, LOCALHOST, port)
        return port

    def open_and_wait(self, session_id: str, host: str, port: int, **options: Any) -> SessionOpened:
        """Open a session. Raises PortTaken."""
        told = self.events.of(SessionOpened, session_id) + self.events.of(SessionNotOpened, session_id)
        self.open(session_id, host, port, **options)
        event = self.events.wait_any((SessionOpened, SessionNotOpened), session_id, count=len(told) + 1)[-1]
        if isinstance(event, SessionNotOpened):
            raise PortTaken(event.message)
        return event

    def play_to(self, session_id: str, remote: tuple[str, int], stem: Path | str | None, **changes: Any) -> None:
        """Play a sound as PCMA."""
        options: dict[str, Any] = {"codec": "PCMA", "payload_type": 8, "telephone_event_pt": 101, "lead_in_ms": 0}
        self.play(session_id, remote=remote, sound_stem=str(stem) if stem else None, **{**options, **changes})

    def close_and_wait(self, session_id: str) -> SessionStats:
        """Close a session; its figures."""
        self.close(session_id)
        return self.events.wait(SessionClosed, session_id)[0].stats


def sound_of(folder: Path, *, frames: float) -> Path:
    """A sound of so many packets, every packet different; the path without its ending."""
    codes = bytes((n // FRAME + n * 7) % 256 for n in range(round(frames * FRAME)))
    for ending in (".alaw", ".ulaw"):
        (folder / f"sound{ending}").write_bytes(codes)
    return folder / "sound"


def is_whole(heard: bytes, codes: bytes) -> bool:
    """Whether a callee heard the sound in PCMA from its start, and after it only silence."""
    return heard.startswith(codes) and not heard[len(codes) :].strip(b"\xd5")


@contextlib.contextmanager
def callees(count: int) -> Iterator[list[Callee]]:
    """Many callees."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Callee()) for _ in range(count)]

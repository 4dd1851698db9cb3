"""The dialer's handle on the media process."""

import contextlib
import json
import logging
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autodialer.errors import MediaUnavailable
from autodialer.media.session import SessionStats
from autodialer.media.source import Address
from autodialer.media.srtp_keys import SrtpKeys

logger = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parents[3]
END_S = 2.0
"""How long the process may take to end by itself."""


@dataclass(frozen=True, kw_only=True)
class SessionOpened:
    """A session has its port."""

    session_id: str
    mapped: Address | None
    """The port as the STUN server sees it; None when none was asked, or when it is silent."""


@dataclass(frozen=True, kw_only=True)
class SessionNotOpened:
    """Another program, or another call, has that UDP port."""

    session_id: str
    message: str


@dataclass(frozen=True, kw_only=True)
class PortWanted:
    """On the shared port another session has that callee's address already: this one waits for `reopen`."""

    session_id: str


@dataclass(frozen=True, kw_only=True)
class SoundFinished:
    """The last packet of the sound has left, or there was none to send."""

    session_id: str
    repeats: int = 0
    """How often the sound had been begun again by then."""


@dataclass(frozen=True, kw_only=True)
class DigitReceived:
    """The callee pressed a key."""

    session_id: str
    digit: str
    at: float
    """Monotonic seconds at which its first packet came."""


@dataclass(frozen=True, kw_only=True)
class CalleeSilent:
    """Neither RTP nor RTCP has come from the callee's side for as long as `watch` said; told once a `watch`."""

    session_id: str


@dataclass(frozen=True, kw_only=True)
class SessionClosed:
    """A session was closed; exactly one a session unless the process dies."""

    session_id: str
    stats: SessionStats


@dataclass(frozen=True, kw_only=True)
class MediaDied:
    """The process ended unasked, and with it its sessions: id -> packets of the sound that had left, to 1 s."""

    played_frames: dict[str, int]


SessionEvent = (
    SessionOpened | SessionNotOpened | PortWanted | SoundFinished | DigitReceived | CalleeSilent | SessionClosed
)
"""What is told of one session."""
MediaEvent = SessionEvent | MediaDied


class MediaProcess:
    """Starts the media process and speaks with it. Thread-safe; `on_event` is called from a reader thread.

    Commands leave through a thread of their own, so that a process that does not read them holds up nobody.
    """

    def __init__(self, on_event: Callable[[MediaEvent], None]) -> None:
        self._on_event = on_event
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None
        self._writer: threading.Thread | None = None
        self._commands: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._listening = False
        """Whether answers and events of the process still come."""
        self._lock = threading.Lock()
        self._played: dict[str, int] = {}
        self.pacing: dict[str, Any] = {}
        """How late packets have left since the start of the process, see `Lateness.as_json`; empty before the first."""
        self._stopping = False

    @property
    def alive(self) -> bool:
        """Whether the process was started, and its answers still come."""
        return self._process is not None and self._listening

    @property
    def pid(self) -> int | None:
        """Process id; None before the start."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the process. Raises MediaUnavailable when the system refuses."""
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        # One thread for numpy, whose others would have nothing to do.
        environment = {**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1"}
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "autodialer.media.shell.child"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=environment,
                # A Ctrl-C at the terminal goes to the whole group: the dialer must end its calls before the sound goes.
                start_new_session=True,
            )
        except OSError as exc:
            raise MediaUnavailable(f"The media process cannot be started: {exc.strerror}") from exc
        self._listening = True
        self._reader = threading.Thread(target=self._read, args=(self._process,), name="media events", daemon=True)
        self._writer = threading.Thread(target=self._write, args=(self._process,), name="media commands", daemon=True)
        self._reader.start()
        self._writer.start()
        logger.info("media started, pid %s", self._process.pid)

    def stop(self) -> None:
        """End the process, by force after 2 s, and wait for it. Idempotent; open sessions are dropped silently."""
        self._stopping = True
        process, self._process = self._process, None
        if not process:
            return
        assert self._reader and self._writer
        # The writer closes the pipe then, and its end ends the process.
        self._commands.put(None)
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            logger.warning("the media process does not end by itself, it is killed")
            process.kill()
            process.wait()
        self._writer.join()
        # The owner may stop it from `on_event`, which the reader calls.
        if threading.current_thread() is not self._reader:
            self._reader.join(END_S)

    def open(
        self, session_id: str, host: str, port: int, *, stun_server: Address | None = None, shared: bool = False
    ) -> None:
        """Bind a UDP port for a session. Never waits: SessionOpened or SessionNotOpened follows.

        Other shared sessions may have a `shared` port already. A `stun_server` is asked first under which
        address the port is seen outside. Raises MediaUnavailable when the process is gone.
        """
        with self._lock:
            if not self._listening:
                raise MediaUnavailable
            # From the first moment on: MediaDied has to name also a session that has not sent anything.
            self._played[session_id] = 0
        self._send(
            {
                "op": "open",
                "session": session_id,
                "host": host,
                "port": port,
                "stun_server": stun_server,
                "shared": shared,
            }
        )

    def reopen(self, session_id: str, host: str, port: int, *, stun_server: Address | None = None) -> None:
        """Bind a port of its own for a session that wants one, where its sound begins or goes on. Never waits.

        SessionOpened or SessionNotOpened follows, as after `open`.
        """
        self._send({"op": "reopen", "session": session_id, "host": host, "port": port, "stun_server": stun_server})

    def play(
        self,
        session_id: str,
        *,
        remote: Address,
        codec: str,
        payload_type: int,
        sound_stem: str | None,
        telephone_event_pt: int | None,
        lead_in_ms: int,
        symmetric: bool = True,
        peer_host: str | None = None,
        earlier: Sequence[Address] = (),
        reports_to: Address | None = None,
        keys: SrtpKeys | None = None,
    ) -> None:
        """The call is answered: send the sound (None: nothing) to the IPv4 address `remote`. Never waits.

        RTCP goes to `reports_to`, or to the port beside `remote` where nothing is said.

        `symmetric`: or to where the callee's RTP steadily comes from, if that is elsewhere, on the terms of
        `RtpSource`. `peer_host` is where the SIP answer comes from; `earlier` are the addresses that session
        descriptions before the answer named. `keys` encrypt RTP and RTCP both ways; None: they are plain.

        SoundFinished follows a sound, at once if it cannot be read or sent; MediaDied tells of a dead process.
        """
        self._send(
            {
                "op": "play",
                "session": session_id,
                "remote": remote,
                "codec": codec,
                "payload_type": payload_type,
                "sound": sound_stem,
                "telephone_event_pt": telephone_event_pt,
                "lead_in_ms": lead_in_ms,
                "symmetric": symmetric,
                "peer_host": peer_host,
                "earlier": list(earlier),
                "reports_to": reports_to,
                "keys": _packed(keys),
            }
        )

    def hold(self, session_id: str, *, remote: Address | None = None, keys: SrtpKeys | None = None) -> None:
        """Send nothing until `move`: the sound stops where it is. Never waits.

        `remote`: where the callee is meanwhile, by the description that holds the call; None: as before. `keys`: those
        of that description; None: as before.
        """
        self._send({"op": "hold", "session": session_id, "remote": remote, "keys": _packed(keys)})

    def move(
        self,
        session_id: str,
        *,
        remote: Address,
        codec: str,
        payload_type: int,
        sound_stem: str | None,
        telephone_event_pt: int | None,
        reports_to: Address | None = None,
        keys: SrtpKeys | None = None,
    ) -> None:
        """Go on with the same sound, from where it stands, to `remote`; ends a hold. Never waits.

        Nothing happens to a session that has not begun to play.
        """
        self._send(
            {
                "op": "move",
                "session": session_id,
                "remote": remote,
                "reports_to": reports_to,
                "keys": _packed(keys),
                "codec": codec,
                "payload_type": payload_type,
                "sound": sound_stem,
                "telephone_event_pt": telephone_event_pt,
            }
        )

    def repeat(self, session_id: str) -> None:
        """Begin the sound again, without its lead-in; SoundFinished follows once more. Never waits."""
        self._send({"op": "repeat", "session": session_id})

    def send_digits(self, session_id: str, digits: str) -> None:
        """Press keys (0 to 9, *, #, A to D) as telephone-events, one after the other. Never waits.

        The sound stands still meanwhile. Nothing happens to a session that has not begun to play, is on hold, or whose
        callee takes no telephone-events.
        """
        self._send({"op": "send_digits", "session": session_id, "digits": digits})

    def watch(self, session_id: str, span_s: float) -> None:
        """Tell once when neither RTP nor RTCP has come from the callee's side for `span_s`. Never waits."""
        self._send({"op": "watch", "session": session_id, "span_s": span_s})

    def close(self, session_id: str, *, ended_at: float | None = None) -> None:
        """Send nothing more and free the port; answered by SessionClosed. Idempotent, never waits.

        Packets that left after the monotonic time `ended_at`, at which the callee ended the call, do not count as
        played; the clock is the same in both processes.
        """
        self._send({"op": "close", "session": session_id, "ended_at": ended_at})

    def _send(self, command: dict[str, Any]) -> None:
        if not self._listening:
            logger.warning("media is gone, %s for %s is dropped", command["op"], command["session"])
            return
        self._commands.put(json.dumps(command).encode() + b"\n")

    def _write(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin
        with contextlib.suppress(OSError):  # the process has died, which the reader tells
            while (line := self._commands.get()) is not None:
                process.stdin.write(line)
                # What has gathered leaves with one system call.
                if self._commands.empty():
                    process.stdin.flush()
        with contextlib.suppress(OSError):
            process.stdin.close()

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout
        with process.stdout as messages:
            for line in messages:
                if line.endswith(b"\n"):  # else killed in the middle of it
                    self._take(json.loads(line))
        # Together, so that `open` either refuses a session or has
        # it told by MediaDied; no call waits for a port for ever.
        with self._lock:
            self._listening = False
            played, self._played = self._played, {}
        self._commands.put(None)
        if not self._stopping:
            logger.error("the media process ended unasked with %d sessions", len(played))
            self._tell(MediaDied(played_frames=played))

    def _take(self, message: dict[str, Any]) -> None:
        event, session_id = message["event"], message.get("session", "")
        if event == "opened":
            self._tell(SessionOpened(session_id=session_id, mapped=_address(message["mapped"])))
        elif event == "not_opened":
            with self._lock:
                self._played.pop(session_id, None)
            self._tell(SessionNotOpened(session_id=session_id, message=message["message"]))
        elif event == "port_wanted":
            self._tell(PortWanted(session_id=session_id))
        elif event == "progress":
            with self._lock:
                self._played.update(message["played"])
        elif event == "pacing":
            self.pacing = message["figures"]
        elif event == "finished":
            with self._lock:
                self._played[session_id] = message["played"]
            self._tell(SoundFinished(session_id=session_id, repeats=message["repeats"]))
        elif event == "digit":
            self._tell(DigitReceived(session_id=session_id, digit=message["digit"], at=message["at"]))
        elif event == "silent":
            self._tell(CalleeSilent(session_id=session_id))
        elif event == "problem":
            logger.warning("media session %s: %s", session_id, message["message"])
        elif event == "closed":
            with self._lock:
                self._played.pop(session_id, None)
            self._tell(SessionClosed(session_id=session_id, stats=SessionStats(**message["stats"])))

    def _tell(self, event: MediaEvent) -> None:
        try:
            self._on_event(event)
        except Exception:  # the owner's fault must not end the reading of events
            logger.exception("an event of the media process was not taken")


def _packed(keys: SrtpKeys | None) -> tuple[str, str, str] | None:
    """For the pipe, which nobody else reads."""
    return (keys.suite, keys.ours.hex(), keys.theirs.hex()) if keys is not None else None


def _address(pair: list[Any] | None) -> Address | None:
    return (str(pair[0]), int(pair[1])) if pair else None

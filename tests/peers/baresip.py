"""baresip as a callee that answers by itself and records what it hears."""

import re
import socket
import threading
from pathlib import Path
from typing import Self

from tests.peers.namespaces import within
from tests.peers.ports import LOCALHOST, free_port, free_ports, is_bound, wait_until
from tests.peers.process import Process

Address = tuple[str, int]

_MODULE_FOLDERS = ("/usr/lib/baresip/modules", "/usr/local/lib/baresip/modules", "/usr/lib64/baresip/modules")

# snd_path is relative to the working folder: baresip cuts a recording's whole path after 127 characters.
_CONFIG = """poll_method epoll
sip_listen {host}:{port}
call_local_timeout 120
call_max_calls 100
audio_player aubridge,{name}
audio_source aubridge,{mouth}
audio_alert aubridge,alert
ausrc_format s16
auplay_format s16
auenc_format s16
audec_format s16
audio_buffer 20-160
rtp_ports {first_rtp}-{last_rtp}
rtcp_mux no
net_interface {host}
jitter_buffer_delay {jitter_buffer}
rtp_stats yes
module_path {modules}
module g711.so
{srtp}module aubridge.so
module sndfile.so
module_tmp account.so
module_app menu.so
module_app cons.so
cons_listen {console}
snd_path recordings
"""

_OVER = "audio: destroyed"
"""Logged when a call's recording is complete."""


class Baresip:
    """baresip at `address`, which answers calls to sip:`user`@`address`; a context manager.

    It records what it hears into a WAV a call (`recordings`; named by the second, so no two calls in one) and sends
    back what it hears, so that RTP flows both ways. Unlike SIPp it minds tags, Request-URI and ACK: a 200 without a
    right ACK is sent again, and the call cut after 32 s.
    """

    def __init__(
        self,
        *,
        folder: Path,
        host: str = LOCALHOST,
        user: str = "callee",
        codecs: tuple[str, ...] = ("PCMA", "PCMU"),
        limit_s: int = 120,
        registrar: Address | None = None,
        password: str = "",
        namespace: str | None = None,
        early: bool = False,
        jitter_buffer: str = "1-10",
        encryption: str = "",
        silent: bool = False,
    ) -> None:
        """`early`: it answers with 183 and early media, and with 200 once it is told to `accept`.

        `jitter_buffer`: how many packets it waits for at least, and holds at most; its own default is 5-10.
        `encryption`: baresip's `mediaenc`: `srtp-mand` takes and sends nothing but SRTP, `srtp` what it is offered.
        `silent`: it has no microphone, so that it hears and sends RTCP but no sound.
        """
        self._srtp = "module srtp.so\n" if encryption else ""
        self._jitter_buffer = jitter_buffer
        self.user = user
        # A bridge gives its source what its player hears; to a source without a player it gives nothing.
        self._mouth = "mouth" if silent else "ear"
        self.address: Address = (host, free_port(host, namespace=namespace))
        self.rtp_ports = free_ports(20, host=host, even=True, namespace=namespace)
        self._console = (host, free_port(host, namespace=namespace))
        self._namespace = namespace
        self.folder = folder / f"baresip-{self.address[1]}"
        self._limit_s = limit_s
        self._process: Process | None = None
        domain = f"{host}:{self.address[1]}" if registrar is None else f"{registrar[0]}:{registrar[1]}"
        interval = 0 if registrar is None else 60
        names = ",".join(f"{codec}/8000/1" for codec in codecs)
        self._account = (
            f"<sip:{user}@{domain};transport=udp>;auth_pass={password};regint={interval};"
            f"answermode={'early' if early else 'auto'};audio_codecs={names};medianat=;mediaenc={encryption}\n"
        )

    @property
    def uri(self) -> str:
        """What to call."""
        return f"sip:{self.user}@{self.address[0]}:{self.address[1]}"

    def __enter__(self) -> Self:
        (self.folder / "recordings").mkdir(parents=True)
        modules = next((path for path in _MODULE_FOLDERS if Path(path).is_dir()), _MODULE_FOLDERS[0])
        config = _CONFIG.format(
            host=self.address[0],
            port=self.address[1],
            name="ear",
            jitter_buffer=self._jitter_buffer,
            srtp=self._srtp,
            mouth=self._mouth,
            first_rtp=self.rtp_ports[0],
            last_rtp=self.rtp_ports[-1],
            modules=modules,
            console=f"{self._console[0]}:{self._console[1]}",
        )
        (self.folder / "config").write_text(config)
        (self.folder / "accounts").write_text(self._account)
        (self.folder / "contacts").write_text("")
        self._process = Process(
            "stdbuf",
            ["-oL", "baresip", "-4", "-v", "-f", str(self.folder.resolve()), "-t", str(self._limit_s)],
            output=self.folder / "baresip.log",
            limit_s=self._limit_s + 10,
            cwd=self.folder,
            namespace=self._namespace,
        )
        try:
            self._process.wait_ready(self._is_ready, what="its port to open")
        except BaseException:
            self._process.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.stop()

    def _is_ready(self) -> bool:
        return "baresip is ready" in self.log and is_bound(*self.address, namespace=self._namespace)

    def hang_up(self) -> None:
        """Have baresip end its present call, as its user would; returns when the recording is complete."""
        before = self.log.count(_OVER)
        with within(self._namespace), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as keys:
            keys.sendto(b"b", self._console)
        wait_until(lambda: self.log.count(_OVER) > before, what="baresip to hang up")

    def accept(self) -> None:
        """Have baresip's user answer the call that is there."""
        with within(self._namespace), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as console:
            console.sendto(b"a", self._console)

    def press(self, keys: str) -> None:
        """Have baresip's user press keys in its present call, one each 300 ms."""
        with within(self._namespace), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as console:
            for key in keys:
                console.sendto(key.encode(), self._console)
                threading.Event().wait(0.3)

    @property
    def digits(self) -> str:
        """The keys that it was told of by telephone-events, one for each press."""
        return "".join(re.findall(r"received event: '(.)' \(end=0\)", self.log))

    @property
    def digits_let_go(self) -> str:
        """The keys whose end it was told of."""
        return "".join(re.findall(r"received event: '(.)' \(end=1\)", self.log))

    @property
    def log(self) -> str:
        """All that baresip wrote, without its colours."""
        return re.sub(r"\x1b\[[\d;]*m", "", (self.folder / "baresip.log").read_text(errors="replace"))

    @property
    def established(self) -> int:
        """How many calls it holds to be established: it got the ACK for each, or is still waiting for it."""
        return len(re.findall(r"^.*: Call established: ", self.log, re.MULTILINE))

    @property
    def closed(self) -> list[str]:
        """The reason of the end of each call that the other side has ended, in baresip's words."""
        return [str(reason) for reason in re.findall(r"session closed: (.*)$", self.log, re.MULTILINE)]

    @property
    def received_packets(self) -> list[int]:
        """How many RTP packets each ended call brought."""
        return [int(count) for count in re.findall(r"^packets:\s+\d+\s+(\d+)", self.log, re.MULTILINE)]

    @property
    def recordings(self) -> list[Path]:
        """What it heard, a WAV a call in order of time; complete once the call is closed."""
        return sorted((self.folder / "recordings").glob("dump-*-dec.wav"))

    def wait_established(self, *, count: int = 1, timeout_s: float = 10.0) -> None:
        """Return once so many calls were established."""
        wait_until(lambda: self.established >= count, what=f"{count} calls established at baresip", timeout_s=timeout_s)

    def wait_closed(self, *, count: int = 1, timeout_s: float = 10.0) -> None:
        """Return once so many calls have ended and their recordings are complete."""
        what = f"{count} calls closed at baresip"
        wait_until(lambda: len(self.closed) >= count and self.log.count(_OVER) >= count, what=what, timeout_s=timeout_s)

"""linphone as a callee that answers by itself and records what it hears."""

import os
from pathlib import Path
from typing import Self

from tests.peers.ports import LOCALHOST, free_port, free_ports
from tests.peers.process import Process

Address = tuple[str, int]

_CONFIG = """[sip]
sip_port={port}
sip_tcp_port=-2
sip_tls_port=-2
media_encryption={encryption}
media_encryption_mandatory={mandatory}
srtp_crypto_suites={suites}
guess_hostname=1
[rtp]
audio_rtp_port={rtp}
[net]
auto_net_state_mon=0
dns_srv_enabled=0
[audio_codec_0]
mime=PCMA
rate=8000
enabled=1
"""


class Linphone:
    """linphone at `address`, for calls to sip:callee@`address`; a context manager.

    With `suites` (names as linphone has them, by comma) it takes nothing but SRTP by these. Without a sound card it
    sends silence.
    """

    def __init__(self, *, folder: Path, suites: str = "", limit_s: int = 60) -> None:
        self.address: Address = (LOCALHOST, free_port())
        self.rtp_port = free_ports(2, even=True)[0]
        self.folder = folder / f"linphone-{self.address[1]}"
        self._suites = suites
        self._limit_s = limit_s
        self._process: Process | None = None
        self._commands = -1

    def __enter__(self) -> Self:
        # It cannot make the folder of its database.
        (self.folder / ".local" / "share" / "linphone").mkdir(parents=True)
        config = _CONFIG.format(
            port=self.address[1],
            encryption="srtp" if self._suites else "none",
            mandatory=int(bool(self._suites)),
            suites=self._suites,
            rtp=self.rtp_port,
        )
        (self.folder / "linphonerc").write_text(config)
        os.mkfifo(self.folder / "commands")
        run = "linphonec -c linphonerc -a -d 5 -l linphone.log < commands"
        self._process = Process(
            "sh", ["-c", run], output=self.folder / "output.log", limit_s=self._limit_s, cwd=self.folder
        )
        self._commands = os.open(self.folder / "commands", os.O_RDWR)
        self._tell("soundcard use files")
        self._tell("record heard.wav")
        try:
            self._process.wait_ready(self._is_ready, what="its port to open")
        except BaseException:
            self.__exit__()
            raise
        return self

    def _is_ready(self) -> bool:
        # It listens to IPv6 with IPv4 in it, which the kernel's table of IPv4 does not show.
        log = self.folder / "linphone.log"
        return log.exists() and f":{self.address[1]};transport=UDP]" in self.log

    def _tell(self, command: str) -> None:
        os.write(self._commands, f"{command}\n".encode())

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.stop()
        if self._commands >= 0:
            os.close(self._commands)
            self._commands = -1

    @property
    def recording(self) -> Path:
        """What it heard; complete once the call is over."""
        return self.folder / "heard.wav"

    @property
    def log(self) -> str:
        """All that linphone wrote, for people."""
        return (self.folder / "linphone.log").read_text(errors="replace")

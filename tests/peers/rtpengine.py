"""rtpengine, through which providers pass the sound of their calls: in user space, without its kernel module."""

from pathlib import Path
from typing import Self

from tests.peers.ports import LOCALHOST, free_port, free_ports, is_bound
from tests.peers.process import Process

Address = tuple[str, int]


class Rtpengine:
    """rtpengine, told by a proxy at `control` what to relay, between ports of `rtp_ports`; a context manager.

    Each side of each call gets ports of its own. It passes on what it takes in, octet by octet, and sends to where a
    side's packets come from.
    """

    def __init__(self, *, folder: Path, host: str = LOCALHOST, ports: int = 100, limit_s: int = 120) -> None:
        self.host = host
        self.control: Address = (host, free_port(host))
        self.rtp_ports = free_ports(ports, host=host, even=True)
        self.folder = folder / f"rtpengine-{self.control[1]}"
        self._limit_s = limit_s
        self._process: Process | None = None

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True)
        arguments = [
            *(
                "--config-file=none",
                "--foreground",
                "--log-stderr",
                "--log-level=6",
                "--table=-1",
                "--no-redis-required",
            ),
            *(f"--interface={self.host}", f"--listen-ng={self.control[0]}:{self.control[1]}"),
            *(f"--port-min={self.rtp_ports[0]}", f"--port-max={self.rtp_ports[-1]}", "--delete-delay=0"),
        ]
        self._process = Process(
            "rtpengine", arguments, output=self.folder / "rtpengine.log", limit_s=self._limit_s, cwd=self.folder
        )
        try:
            self._process.wait_ready(lambda: is_bound(*self.control), what="its control port to open")
        except BaseException:
            self._process.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.stop()

    @property
    def log(self) -> str:
        """All that rtpengine wrote, for people."""
        return (self.folder / "rtpengine.log").read_text(errors="replace")

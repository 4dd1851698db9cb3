"""coturn as a STUN server."""

from pathlib import Path
from typing import Self

from tests.peers.ports import LOCALHOST, free_port, is_bound
from tests.peers.process import Process


class StunServer:
    """coturn at `address`, answering Binding requests and nothing else; a context manager."""

    def __init__(
        self, *, folder: Path, host: str = LOCALHOST, namespace: str | None = None, limit_s: int = 180
    ) -> None:
        self.address = (host, free_port(host, namespace=namespace))
        self.folder = folder / f"turnserver-{self.address[1]}"
        self._namespace = namespace
        self._limit_s = limit_s
        self._process: Process | None = None

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True)
        host, port = self.address
        arguments = ["-n", "--stun-only", "--no-auth", "--no-tcp", "--no-tls", "--no-dtls", "--no-cli", "--no-rfc5780"]
        files = ["--log-file", "stdout", "--pidfile", str(self.folder.resolve() / "turnserver.pid")]
        database = ["--userdb", str(self.folder.resolve() / "turndb")]
        self._process = Process(
            "turnserver",
            [*arguments, *files, *database, "--listening-ip", host, "--listening-port", str(port)],
            output=self.folder / "turnserver.log",
            limit_s=self._limit_s,
            cwd=self.folder,
            namespace=self._namespace,
        )
        try:
            self._process.wait_ready(
                lambda: is_bound(*self.address, namespace=self._namespace), what="its port to open"
            )
        except BaseException:
            self._process.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.stop()

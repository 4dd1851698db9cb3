"""NSD as the name server of the zones a test writes."""

import os
import signal
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self

import dns.exception
import dns.message
import dns.query
import dns.rdatatype

from tests.peers.ports import LOCALHOST, free_port, wait_until
from tests.peers.process import Process

Address = tuple[str, int]

_CONFIG = """server:
    ip-address: {host}@{port}
    port: {port}
    do-ip6: no
    server-count: 1
    username: ""
    chroot: ""
    zonesdir: "{folder}"
    pidfile: "{folder}/nsd.pid"
    zonelistfile: "{folder}/zone.list"
    xfrdfile: ""
    xfrdir: "{folder}"
    database: ""
    zonefiles-check: yes
    verbosity: 2
    rrl-ratelimit: 0
    rrl-whitelist-ratelimit: 0
remote-control:
    control-enable: no
"""

_ZONE = """
zone:
    name: "{name}"
    zonefile: "{name}.zone"
"""


class DnsServer:
    """A name server at `address` for the zone `origin`; a context manager.

    `records` are lines of a zone file (RFC 1035 section 5), names relative to `origin` unless they end in a dot:
    `DnsServer(["sip 300 IN A 127.0.0.2", "_sip._udp.sip IN SRV 10 60 5060 sip"], folder=tmp_path)`. Without a TTL of
    its own a record has `ttl_s`. What is not in the zone does not exist (NXDOMAIN); zones named in `broken` are
    answered by SERVFAIL, all others by REFUSED. For silence take `tests.peers.ports.silent_host`.
    """

    def __init__(
        self,
        records: Iterable[str],
        *,
        folder: Path,
        origin: str = "example.test",
        ttl_s: int = 60,
        broken: Sequence[str] = (),
        host: str = LOCALHOST,
        port: int | None = None,
        limit_s: int = 180,
    ) -> None:
        self.address: Address = (host, port or free_port(host))
        self.origin = origin.rstrip(".")
        self.folder = (folder / f"nsd-{host}-{self.address[1]}").resolve()
        self._records = list(records)
        self._ttl_s = ttl_s
        self._broken = tuple(broken)
        self._serial = 0
        self._limit_s = limit_s
        self._process: Process | None = None

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True)
        zones = "".join(_ZONE.format(name=name) for name in (self.origin, *self._broken))
        host, port = self.address
        (self.folder / "nsd.conf").write_text(_CONFIG.format(host=host, port=port, folder=self.folder) + zones)
        self._write()
        self._process = Process(
            "nsd",
            ["-d", "-c", str(self.folder / "nsd.conf")],
            output=self.folder / "nsd.log",
            limit_s=self._limit_s,
            cwd=self.folder,
        )
        try:
            self._process.wait_ready(lambda: self._serves(self._serial), what=f"the zone {self.origin}")
        except BaseException:
            self._process.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.stop()

    def replace(self, records: Iterable[str]) -> None:
        """Serve these records instead from now on."""
        self._records = list(records)
        self._write()
        os.kill(int((self.folder / "nsd.pid").read_text()), signal.SIGHUP)
        wait_until(lambda: self._serves(self._serial), what=f"the new zone {self.origin}\n{self.log}", poll_s=0.02)

    @property
    def log(self) -> str:
        """All that NSD wrote, for people."""
        return (self.folder / "nsd.log").read_text(errors="replace")

    def _write(self) -> None:
        self._serial += 1
        file = self.folder / f"{self.origin}.zone"
        beginning = [f"$ORIGIN {self.origin}.", f"$TTL {self._ttl_s}", f"@ IN SOA ns root {self._serial} 60 60 60 60"]
        file.write_text("\n".join([*beginning, "@ IN NS ns", "ns IN A 127.0.0.1", *self._records, ""]))
        # NSD reads a zone again only if the file's time has changed.
        os.utime(file, (self._serial, self._serial))

    def _serves(self, serial: int) -> bool:
        question = dns.message.make_query(f"{self.origin}.", dns.rdatatype.SOA)
        try:
            answer = dns.query.udp(question, self.address[0], port=self.address[1], timeout=0.2)
        except (dns.exception.DNSException, OSError):
            return False
        return [record.serial for rrset in answer.answer for record in rrset] == [serial]

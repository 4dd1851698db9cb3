"""What transactions, dialogs and calls share: settings, timers, the packets to send and the live transactions.

Transports other than UDP come in here: `send` decides by hop, `via` and `contact` name what the peer may use.
"""

import logging
import os
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from autodialer.sip.fields import DEFAULT_PORT, parse_uri
from autodialer.sip.invite import Address, is_ipv4, sip_uri
from autodialer.sip.timers import TimerQueue

if TYPE_CHECKING:
    from autodialer.sip.transaction import ClientTransaction, ServerTransaction

logger = logging.getLogger(__name__)

MAGIC_COOKIE = "z9hG4bK"
"""RFC 3261 section 8.1.1.7."""
_SECRETS = re.compile(rb"(?im)^((?:proxy-)?authorization[ \t]*:).*$")


@dataclass(frozen=True, kw_only=True)
class UserAgentConfig:
    """Settings of the SIP core."""

    local_address: Address
    """Where our socket listens; stands in Via and Contact."""
    user_agent: str = "autodialer"
    """User-Agent header."""
    known_hosts: frozenset[str] = frozenset()
    """IPv4 addresses whose messages are taken although no call went there yet."""
    t1: float = 0.5
    """Seconds, RFC 3261 section 17.1.1.1: the round trip estimate."""
    t2: float = 4.0
    """Seconds: longest retransmission interval of all but INVITE requests."""
    t4: float = 5.0
    """Seconds that a message lives in the network."""
    random_bytes: Callable[[int], bytes] = os.urandom
    """Makes tags, branches and cnonces; tests hand in their own."""


class Stack:
    """The common ground of everything in one SIP core."""

    def __init__(self, config: UserAgentConfig) -> None:
        self.config = config
        self.timers = TimerQueue()
        self.outbox: list[tuple[bytes, Address]] = []
        self.discarded: Counter[str] = Counter()
        """Packets that were dropped, by reason."""
        self.clients: dict[tuple[str, str], ClientTransaction] = {}
        """Branch and method (RFC 3261 section 17.1.3)."""
        self.servers: dict[tuple[str, ...], ServerTransaction] = {}
        """What RFC 3261 section 17.2.3 compares."""
        host, port = config.local_address
        self.sent_by = (host.lower(), port)
        self._via = f"Via: SIP/2.0/UDP {host}:{port};rport;branch="

    def token(self, octets: int = 8) -> str:
        """A random hexadecimal word for tags and cnonces."""
        return self.config.random_bytes(octets).hex()

    def new_branch(self) -> str:
        """A branch that no other transaction has."""
        return MAGIC_COOKIE + self.token()

    def via(self, branch: str) -> str:
        """Our Via header line; asks for symmetric responses (RFC 3581)."""
        return self._via + branch

    def contact(self, user: str) -> str:
        """Our Contact header line."""
        return f"Contact: <{sip_uri(user, *self.config.local_address)}>"

    def send(self, data: bytes, hop: Address) -> None:
        """Queue a packet for `hop`."""
        self.outbox.append((data, hop))
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug("> %s:%d\n%s", *hop, printable(data))

    def forget_all(self) -> None:
        """Drop every transaction and timer."""
        self.clients.clear()
        self.servers.clear()
        self.timers = TimerQueue()


def printable(data: bytes) -> str:
    """A message for the log, credentials masked."""
    return _SECRETS.sub(rb"\1 ***", data).decode("utf-8", "replace").replace("\r\n", "\n")


def hop_of(uri: str) -> Address | None:
    """Where a request for this URI goes over UDP; None when the URI names no IPv4 address (RFC 3263 finds it then)."""
    parts = parse_uri(uri)
    if parts is None:
        return None
    host = parts.params.get("maddr") or parts.host
    return (host, parts.port or DEFAULT_PORT) if is_ipv4(host) else None

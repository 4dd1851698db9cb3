"""What the doctor asks of the providers: whether each trunk's server answers, how it sees us, and what time it is."""

import socket
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import make_url
from sqlalchemy.exc import DatabaseError

from autodialer.commands.finding import BAD, NOTE, OK, Finding
from autodialer.config import Settings
from autodialer.errors import DialerError
from autodialer.model import CheckResult, Trunk
from autodialer.phone.checks.check import TrunkCheck
from autodialer.phone.provider import Provider, address_towards, families_here
from autodialer.phone.resolver import Resolver
from autodialer.store import Secrets, Store

MOST_TRUNKS = 20
"""Asked, the oldest first; a silent one takes some 15 s."""
TOGETHER = 4
CLOCK_OFF_S = 5.0
"""More than a Date header's second and a slow answer."""
CLOCK_BAD_S = 120.0
"""Calls would begin and end at wrong times, and the tokens of clients would be refused."""
NO_CLOCK = (
    "the clock cannot be compared: no provider tells the time in its answers. `timedatectl` says whether this machine "
    "synchronises it; calling windows and sessions go by it"
)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A trunk and what its provider answered."""

    trunk: Trunk
    result: CheckResult | None
    """None: it could not be asked."""
    why: str = ""
    local: str | None = None
    """Our address towards the provider."""
    clock_ahead_s: float | None = None


def examine_trunks(settings: Settings) -> Iterator[Finding]:
    """Ask each trunk's provider OPTIONS, and REGISTER without a Contact, which changes nothing there."""
    database = Path(make_url(settings.url).database or "")
    if not database.exists() or not settings.keys.is_dir():
        yield Finding(grade=OK, sentence="there is no database yet, and so no trunk: the first start makes it")
        yield Finding(grade=NOTE, sentence=NO_CLOCK)
        return
    try:
        with closing(Store(settings.url, secrets=Secrets(settings.keys))) as store:
            trunks, more = store.trunks.page(None, limit=MOST_TRUNKS)
    except (DialerError, DatabaseError, OSError) as exc:
        why = str(exc) if isinstance(exc, DialerError) else "it is of another version, or cannot be opened for writing"
        yield Finding(grade=NOTE, sentence=f"the trunks cannot be read from {database}: {why}")
        yield Finding(grade=NOTE, sentence=NO_CLOCK)
        return
    with ThreadPoolExecutor(TOGETHER) as threads:
        asked = list(threads.map(lambda trunk: _ask(trunk, settings), trunks))
    for each in asked:
        yield _judged(each)
    if more is not None:
        yield Finding(grade=NOTE, sentence=f"only the first {MOST_TRUNKS} trunks were asked; check others by the API")
    yield _clock(asked)


def _ask(trunk: Trunk, settings: Settings) -> Asked:
    if trunk.problem is not None:
        return Asked(trunk=trunk, result=None, why=trunk.problem)
    local: list[str] = []

    def address_for(provider: Provider) -> str:
        first = provider.targets[0]
        local.append(settings.sip_address or address_towards(first.host, first.port))
        return local[0]

    check = TrunkCheck(
        trunk,
        resolver=Resolver(),
        address_for=address_for,
        sip_port=settings.sip_port,
        call=None,
        families=families_here(settings.sip_address),
    )
    try:
        result = check.run()
    except (DialerError, OSError, socket.gaierror) as exc:
        return Asked(trunk=trunk, result=None, why=str(exc))
    return Asked(trunk=trunk, result=result, local=local[0] if local else None, clock_ahead_s=check.clock_ahead_s)


def _judged(asked: Asked) -> Finding:
    name, result = f"trunk {asked.trunk.name!r}", asked.result
    if result is None:
        return Finding(grade=BAD, sentence=f"{name} could not be asked: {asked.why}")
    if not result.ok:
        return Finding(grade=BAD, sentence=f"{name}: {result.verdict}")
    took = f" in {result.rtt_ms:.0f} ms" if result.rtt_ms is not None else ""
    seen = ""
    if result.public_address is not None and result.public_address.rpartition(":")[0] != asked.local:
        seen = f" It sees {asked.local} as {result.public_address}: a NAT stands between."
    return Finding(grade=OK, sentence=f"{name} answers{took}. {result.verdict}{seen}")


def _clock(asked: Sequence[Asked]) -> Finding:
    """By the provider that agrees best: one may have a wrong clock itself, all of them hardly."""
    told = [(abs(each.clock_ahead_s), each) for each in asked if each.clock_ahead_s is not None]
    if not told:
        return Finding(grade=NOTE, sentence=NO_CLOCK)
    off_s, best = min(told, key=lambda pair: pair[0])
    by = f"by the clock of trunk {best.trunk.name!r}'s server"
    if off_s <= CLOCK_OFF_S:
        return Finding(grade=OK, sentence=f"the clock is right {by}, to {CLOCK_OFF_S:.0f} s")
    way = "ahead" if (best.clock_ahead_s or 0) > 0 else "behind"
    return Finding(
        grade=BAD if off_s > CLOCK_BAD_S else NOTE,
        sentence=f"the clock is {off_s:.0f} s {way} {by}: synchronise it (`timedatectl set-ntp true`), for calling "
        "windows and sessions go by it",
    )

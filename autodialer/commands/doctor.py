"""`python main.py doctor`: what of this machine helps or hinders the service, a line each, with the remedy."""

import ipaddress
import platform
import shutil
import socket
import stat
import sys
from collections.abc import Iterator

from autodialer.commands.doctor_trunks import examine_trunks
from autodialer.commands.finding import BAD, NOTE, OK, Finding
from autodialer.config import Settings
from autodialer.media.shell.machine import descriptor_limit, may_go_first
from autodialer.phone.trunk_phones import CHANNELS_A_PHONE
from autodialer.sip.shell.datagrams import open_socket
from autodialer.supervisor import why_unwritable
from autodialer.takeover.takeover import KEPT

SPARE_DESCRIPTORS = 40
"""What the media process needs beside those of calls."""
LITTLE_ROOM_MB = 500
SOMEWHERE = "192.0.2.1"
"""A documentation address (RFC 5737); asked for the route only, nothing is sent."""


def run_doctor(settings: Settings) -> int:
    """Print what was found; the exit status is 1 when the service cannot work like this."""
    is_fit = True
    for finding in examine(settings):
        # At once: a provider that does not answer takes some seconds.
        sys.stdout.write(f"{finding.grade:<5} {finding.sentence}\n")
        sys.stdout.flush()
        is_fit = is_fit and finding.grade != BAD
    return int(not is_fit)


def examine(settings: Settings) -> Iterator[Finding]:
    """Look at everything."""
    yield _python()
    yield _data(settings)
    yield from _old_files(settings)
    yield _address(settings)
    yield _sip_port(settings)
    yield _calls(settings)
    yield _scheduling()
    yield from examine_trunks(settings)


def _python() -> Finding:
    version, system = platform.python_version(), platform.system()
    if version.startswith("3.11.") and system == "Linux":
        return Finding(grade=OK, sentence=f"Python {version} on Linux, as proven")
    return Finding(grade=NOTE, sentence=f"Python {version} on {system}: only 3.11 on Linux is proven")


def _data(settings: Settings) -> Finding:
    folder = settings.data.resolve()
    unwritable = why_unwritable(folder)
    if unwritable is not None:
        return Finding(grade=BAD, sentence=unwritable)
    mode = folder.stat().st_mode
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        who = "every user of this machine" if mode & stat.S_IWOTH else "its group"
        sentence = f"{who} may write in {folder}, and so replace the database: `chmod go-w {folder}`"
        # Where each user has a group of their own, as on Ubuntu, a folder that the group may write in is the usual one.
        return Finding(grade=BAD if mode & stat.S_IWOTH else NOTE, sentence=sentence)
    free_mb = shutil.disk_usage(folder).free // 1_000_000
    if free_mb < LITTLE_ROOM_MB:
        sentence = f"{folder} has {free_mb} MB left; with a full disk nothing is dialled, make room"
        return Finding(grade=BAD if free_mb < 50 else NOTE, sentence=sentence)
    return Finding(grade=OK, sentence=f"{folder} can be written and has {free_mb} MB left")


def _old_files(settings: Settings) -> Iterator[Finding]:
    """Those of a prototype that was taken over."""
    for path in sorted(settings.data.resolve().glob(f"*{KEPT}*")):
        yield Finding(
            grade=NOTE,
            sentence=f"{path} is the prototype's database and holds passwords in clear text: delete it once nobody "
            "needs it",
        )


def _address(settings: Settings) -> Finding:
    try:
        with open_socket(settings.sip_address or SOMEWHERE, socket.SOCK_DGRAM) as probe:
            probe.connect((settings.sip_address or SOMEWHERE, 9))
            address = settings.sip_address or str(probe.getsockname()[0])
    except OSError as exc:
        remedy = "connect the machine to a network, or set DIALER_SIP_ADDRESS to its IPv6 address if it has no IPv4"
        return Finding(grade=BAD, sentence=f"there is no way out ({exc.strerror}); {remedy}")
    if ipaddress.ip_address(address).is_private:
        return Finding(
            grade=NOTE,
            sentence=f"{address} is a private address: calls go through a router. Mostly that works by itself; check "
            "each trunk with POST /srv1/trunks/{id}/check and a number, and see docs/deploy.md, Behind a router",
        )
    return Finding(grade=OK, sentence=f"{address} is a public address")


def _sip_port(settings: Settings) -> Finding:
    try:
        with open_socket(settings.sip_address or "", socket.SOCK_DGRAM) as probe:
            probe.bind((settings.sip_address or "", settings.sip_port))
    except OSError as exc:
        return Finding(
            grade=NOTE,
            sentence=f"UDP port {settings.sip_port} cannot be had ({exc.strerror}): the service runs already, or "
            "another program has it; the next free port is taken then",
        )
    return Finding(grade=OK, sentence=f"UDP port {settings.sip_port} is free for SIP")


def _calls(settings: Settings) -> Finding:
    low, high = settings.rtp_ports
    ports = (high - low + 1) // 2
    limit = descriptor_limit()
    own = ports if limit is None else min(ports, (limit - SPARE_DESCRIPTORS) // 2)
    what = "DIALER_RTP_PORTS" if own == ports else f"the limit of {limit} descriptors (ulimit -Hn)"
    sentence = f"at most {own} calls at a time by {what}; with media_ports shared, {CHANNELS_A_PHONE} by each port"
    return Finding(grade=OK if own >= 500 else NOTE, sentence=sentence)


def _scheduling() -> Finding:
    if may_go_first():
        return Finding(grade=OK, sentence="the sound may go before all other processes (SCHED_FIFO)")
    return Finding(
        grade=NOTE,
        sentence="the sound may not go before other processes: beside busy ones the gap between two packets was 32 ms "
        "instead of 20.6 (99th percentile); allow it by LimitRTPRIO=2 or ulimit -r 2, see docs/deploy.md, Many calls",
    )

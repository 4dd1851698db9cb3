"""kill -9 of each process and of all at once, at random instants of a campaign; the gateway logs every INVITE.

20 runs; KILL_RUNS=200 makes it a soak. KILL_SEED repeats what a run that failed shows.
"""

import os
import random
import re
import signal
import sqlite3
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from autodialer.model import CallOutcome, CallRecord, Disposition
from tests.dialer.world import DialerProcess, World
from tests.peers.by_number import Behaviour, behaviour_of, by_number
from tests.peers.ports import free_ports, wait_until
from tests.peers.sipp import SippGateway

pytestmark = [pytest.mark.peer("sipp"), pytest.mark.loopback, pytest.mark.timeout(150)]

RUNS = int(os.environ.get("KILL_RUNS", "20"))
VICTIMS = {"dialer": "dialer.py", "media": "media.shell", "api": "serve", "all": ""}
NUMBERS = [f"7000000{index:04d}" for index in range(300)]
BEHAVIOURS = {"2": Behaviour.BUSY, "5": Behaviour.UNAVAILABLE, "8": Behaviour.PROGRESS, "9": Behaviour.UNKNOWN}
CANCELLED = Disposition.CANCELLED
EXPECTED = {
    Behaviour.ANSWER: Disposition.ANSWERED,
    Behaviour.PROGRESS: Disposition.ANSWERED,
    Behaviour.BUSY: Disposition.BUSY,
    Behaviour.UNAVAILABLE: Disposition.NO_ANSWER,
    Behaviour.UNKNOWN: Disposition.INVALID_NUMBER,
}


def calls_up(gateway: SippGateway) -> set[str]:
    """Call-IDs that the gateway answered and that have had no BYE."""
    answered, ended = set(), set()
    for message in gateway.messages:
        call_id, cseq = message.header("Call-ID") or "", message.header("CSeq") or ""
        if message.sent and message.start_line.startswith("SIP/2.0 200") and cseq.endswith("INVITE"):
            answered.add(call_id)
        elif message.start_line.startswith("BYE"):
            ended.add(call_id)
    return answered - ended


def dialing(world: World) -> set[str]:
    """Numbers whose claim is committed and whose outcome is not."""
    database = sqlite3.connect(world.settings.data / "db.sqlite3")
    rows = database.execute(
        "SELECT number FROM call_jobs JOIN subscribers ON subscribers.key = subscriber_key"
        " WHERE call_jobs.state = 'dialing'"
    ).fetchall()
    database.close()
    return {number for (number,) in rows}


def strike(service: DialerProcess, victim: str) -> None:
    """kill -9, of all in one go."""
    for pid in service.descendants():
        command = Path(f"/proc/{pid}/cmdline").read_bytes().decode()
        if victim == "all" or re.search(rf"{re.escape(VICTIMS[victim])}\0?", command):
            os.kill(pid, signal.SIGKILL)
    if victim == "all":
        service.running.wait()


@pytest.mark.parametrize("run", range(RUNS))
def test_kill_9_at_any_instant_loses_no_number_and_calls_none_twice(tmp_path: Path, run: int) -> None:
    seed = int(os.environ.get("KILL_SEED") or random.SystemRandom().getrandbits(32))
    chance, victim = random.Random(seed), list(VICTIMS)[run % len(VICTIMS)]
    strikes_at, later_s = chance.randrange(20, 270), chance.uniform(0, 0.05)
    print(f"KILL_SEED={seed}: {victim} dies {later_s:.3f} s after INVITE {strikes_at}")
    world = World.make(tmp_path / "data", sound_s=0.3)
    port = str(free_ports(2)[0])
    # The next dialer also cancels INVITEs that the dead one may have sent (CSeq 2, 3). SIPp, which knows a call by its
    # Call-ID alone, finds them unexpected; other servers answer them 481.
    bears = ["-default_behaviors", "all,-abortunexp"]
    gateway = SippGateway(by_number(BEHAVIOURS, ring_ms=60, max_call_s=90), calls=1000, timeout_s=140, extra=bears)
    with gateway:
        campaign = world.campaign(gateway.address, NUMBERS, cps=120, max_channels=100)
        with world.service(DIALER_SIP_PORT=port) as service:
            gateway.wait_for("INVITE", count=strikes_at, timeout_s=60)
            time.sleep(later_s)
            strike(service, victim)
            cut_off = dialing(world) if victim in ("dialer", "all") else set()
            if victim != "all":
                world.wait_finished(campaign, timeout_s=60)
                wait_until(lambda: not calls_up(gateway), what="the last BYE", timeout_s=20, poll_s=0.3)
        if victim == "all":
            with world.service(DIALER_SIP_PORT=port):
                world.wait_finished(campaign, timeout_s=60)
                wait_until(lambda: not calls_up(gateway), what="the last BYE", timeout_s=20, poll_s=0.3)
        invited = {request.call_id for request in gateway.requests if request.method == "INVITE"}
    compare(world.records(campaign), invited, cut_off, rang_in_vain_is_cancelled=victim == "media")


def compare(
    records: Mapping[str, Sequence[CallRecord]],
    invited: set[str],
    cut_off: set[str],
    *,
    rang_in_vain_is_cancelled: bool,
) -> None:
    """What the books say and what the gateway has seen."""
    assert sorted(records) == NUMBERS, "no number is lost"
    by_call = {str(call.id): (number, call.outcome) for number, calls in records.items() for call in calls}
    interrupted = {call_id for call_id, (_, outcome) in by_call.items() if how(outcome) is Disposition.INTERRUPTED}
    assert {by_call[call_id][0] for call_id in interrupted} == cut_off, "a claim was committed, and no outcome"
    assert invited <= set(by_call), "no call without a record"
    assert set(by_call) - invited <= interrupted, "no record without a call"
    # Without media a call that rings would be silent: it is cancelled, and made again later.
    ends = {
        number: [how(c.outcome) for c in calls if how(c.outcome) is not CANCELLED] for number, calls in records.items()
    }
    assert {number: len(found) for number, found in ends.items()} == dict.fromkeys(NUMBERS, 1), "one call a number"
    if not rang_in_vain_is_cancelled:
        assert all(len(calls) == 1 for calls in records.values())
    rest = set(NUMBERS) - cut_off
    assert {n: ends[n][0] for n in rest} == {n: EXPECTED[behaviour_of(n, BEHAVIOURS)] for n in rest}


def how(outcome: CallOutcome | None) -> Disposition:
    """How a call that is over ended."""
    assert outcome is not None
    return outcome.disposition

"""Checks of trunks against foreign servers: what is wrong is found at the right step, and said in plain words."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from autodialer.clock import Clock
from autodialer.model import CallOutcome, CheckResult, CheckStage, Disposition, RtpStats, Trunk, TrunkSettings
from autodialer.phone.checks import check as trunk_check
from autodialer.phone.checks import verdicts
from autodialer.phone.checks.checks import TrunkChecks
from autodialer.phone.pool import PhonePool
from autodialer.store import trunk_of
from tests.peers.baresip import Baresip
from tests.peers.ports import LOCALHOST, free_port, wait_until
from tests.peers.providers import provider, rings_late
from tests.peers.scenario import ANSWER_SDP, Scenario
from tests.peers.sipp import SippGateway
from tests.timing import at_most

pytestmark = [pytest.mark.loopback, pytest.mark.peer("sipp")]

SAMPLE = Path(__file__).resolve().parents[3] / "autodialer" / "gateway" / "sample.flac"
G729_SDP = [line.replace("RTP/AVP 8 ", "RTP/AVP 18 ").replace("rtpmap:8 PCMA", "rtpmap:18 G729") for line in ANSWER_SDP]


@pytest.fixture
def pool() -> Iterator[PhonePool]:
    pool = PhonePool(sip_address=LOCALHOST, sip_port=free_port(), rtp_ports=(33000, 60000), clock=Clock())
    yield pool
    pool.stop()


def trunk(address: tuple[str, int], **fields: Any) -> Trunk:
    return trunk_of(
        TrunkSettings(**{"name": "Provider", "host": address[0], "port": address[1], "username": "user", **fields})
    )


def check(
    pool: PhonePool,
    folder: Path,
    asked: Trunk,
    number: str | None = None,
    *,
    on_result: Callable[[], object] = lambda: None,
) -> CheckResult:
    """Have it checked; nothing is left behind."""
    found: list[CheckResult] = []
    threads = threading.active_count() + (2 if number else 0)  # those of the media process stay

    def record(result: CheckResult) -> None:
        on_result()
        found.append(result)

    TrunkChecks(pool, sample=SAMPLE, folder=folder, place=lambda _trunk: nullcontext()).start(asked, number, record)
    wait_until(lambda: bool(found), what="the result", timeout_s=90)
    # A call that was given up is seen off by its timer B.
    wait_until(lambda: threading.active_count() <= threads, what="the threads to end", timeout_s=at_most(45))
    return found[0]


@contextmanager
def gateway(scenario: Scenario, folder: Path, *, calls: int = 10, extra: Sequence[str] = ()) -> Iterator[SippGateway]:
    with SippGateway(scenario, calls=calls, folder=folder, timeout_s=60, extra=extra) as running:
        yield running


def test_a_name_that_does_not_resolve_is_told_at_the_first_step(pool: PhonePool, tmp_path: Path) -> None:
    result = check(pool, tmp_path, trunk(("no-such-host.invalid", 5060)))
    assert (result.ok, result.stage) == (False, CheckStage.DNS)
    assert "was not found" in result.verdict and "no-such-host.invalid" in result.verdict


def test_a_closed_port_is_told_at_once(pool: PhonePool, tmp_path: Path) -> None:
    result = check(pool, tmp_path, trunk((LOCALHOST, free_port())))
    assert (result.ok, result.stage) == (False, CheckStage.CONNECT)
    assert "Nothing listens" in result.verdict and "port" in result.verdict


def test_a_tcp_port_that_nobody_listens_on_is_told_at_once(pool: PhonePool, tmp_path: Path) -> None:
    result = check(pool, tmp_path, trunk((LOCALHOST, free_port()), transport="tcp"))
    assert (result.ok, result.stage) == (False, CheckStage.CONNECT)
    assert "No TCP connection" in result.verdict


def test_a_provider_that_never_answers_is_told_as_silence(pool: PhonePool, tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind((LOCALHOST, 0))
        result = check(pool, tmp_path, trunk(silent.getsockname(), password="secret"))
    assert (result.ok, result.stage, result.sip_code, result.rtt_ms) == (False, CheckStage.OPTIONS, None, None)
    assert "No answer at all" in result.verdict


def test_a_provider_that_answers_only_by_tcp_is_told_with_the_advice(pool: PhonePool, tmp_path: Path) -> None:
    with ExitStack() as stack:
        running = stack.enter_context(gateway(provider(), tmp_path, extra=["-t", "t1"]))
        silent = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        silent.bind(running.address)
        result = check(pool, tmp_path, trunk(running.address))
    assert (result.ok, result.stage, result.sip_code) == (False, CheckStage.OPTIONS, 200)
    assert "Set transport to tcp" in result.verdict


def test_a_wrong_password_is_told(pool: PhonePool, tmp_path: Path) -> None:
    with gateway(provider(password="right"), tmp_path) as running:
        result = check(pool, tmp_path, trunk(running.address, password="wrong"))
    assert (result.ok, result.stage, result.sip_code) == (False, CheckStage.REGISTER, 401)
    assert "wrong password" in result.verdict


def test_a_right_password_and_the_way_there_are_told(pool: PhonePool, tmp_path: Path) -> None:
    with gateway(provider(password="right"), tmp_path) as running:
        result = check(pool, tmp_path, trunk(running.address, password="right"))
        assert not any("Contact:" in message.text for message in running.messages if "REGISTER" in message.start_line)
    assert (result.ok, result.stage, result.sip_code) == (True, CheckStage.REGISTER, 200)
    assert "takes the login" in result.verdict
    assert result.rtt_ms is not None and result.rtt_ms < 5000


def test_a_provider_that_does_not_take_the_address_is_told_as_forbidden(pool: PhonePool, tmp_path: Path) -> None:
    with gateway(provider(register=403), tmp_path) as running:
        result = check(pool, tmp_path, trunk(running.address, password="x", register=True))
    assert (result.ok, result.stage, result.sip_code) == (False, CheckStage.REGISTER, 403)
    assert "forbids" in result.verdict


def test_a_provider_that_ignores_options_is_not_called_silent(pool: PhonePool, tmp_path: Path) -> None:
    with gateway(provider(options=None), tmp_path) as running:
        result = check(pool, tmp_path, trunk(running.address, password="x"))
    assert (result.ok, result.stage) == (True, CheckStage.REGISTER)


def test_a_gateway_that_ignores_options_and_takes_calls_is_told_as_working(pool: PhonePool, tmp_path: Path) -> None:
    with SippGateway(provider(options=None), calls=10, folder=tmp_path, timeout_s=60, rtp_echo=True) as running:
        result = check(pool, tmp_path, trunk(running.address), "79160000000")
    assert (result.ok, result.stage, result.sip_code) == (True, CheckStage.CALL, 200)
    assert "both ways" in result.verdict and "OPTIONS" in result.verdict


@pytest.mark.parametrize("password", ["wrong", "right"])
def test_a_gateway_that_answers_nothing_but_calls_tells_whether_the_password_is_right(
    pool: PhonePool, tmp_path: Path, password: str
) -> None:
    scenario = provider(options=None, register=None, invite_password="right")
    with SippGateway(scenario, calls=10, folder=tmp_path, timeout_s=60, rtp_echo=True) as running:
        result = check(pool, tmp_path, trunk(running.address, password=password), "79160000000")
    expected = (True, 200) if password == "right" else (False, 401)
    assert (result.ok, result.sip_code, result.stage) == (*expected, CheckStage.CALL)
    assert ("wrong password" in result.verdict) == (password == "wrong")


def test_a_gateway_that_wants_a_password_for_calls_asks_a_trunk_that_has_none_for_it(
    pool: PhonePool, tmp_path: Path
) -> None:
    with gateway(provider(options=None, invite_password="right"), tmp_path) as running:
        result = check(pool, tmp_path, trunk(running.address), "79160000000")
    assert (result.ok, result.stage, result.sip_code) == (False, CheckStage.CALL, 401)
    assert "has none" in result.verdict


def test_a_wrong_password_is_told_where_options_is_ignored(pool: PhonePool, tmp_path: Path) -> None:
    with gateway(provider(options=None, password="right"), tmp_path) as running:
        result = check(pool, tmp_path, trunk(running.address, password="wrong"))
    assert (result.ok, result.stage, result.sip_code) == (False, CheckStage.REGISTER, 401)
    assert "wrong password" in result.verdict


def test_a_refused_registration_that_the_trunk_does_not_want_does_not_keep_the_call_from_being_tried(
    pool: PhonePool, tmp_path: Path
) -> None:
    with SippGateway(provider(register=403), calls=10, folder=tmp_path, timeout_s=60, rtp_echo=True) as running:
        result = check(pool, tmp_path, trunk(running.address, password="x"), "79160000000")
    assert (result.ok, result.stage, result.sip_code) == (True, CheckStage.CALL, 200)
    assert "403" in result.verdict


def test_a_provider_that_answers_neither_questions_nor_the_call_is_told_as_silence(
    pool: PhonePool, tmp_path: Path
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind((LOCALHOST, 0))
        began = time.monotonic()
        told: list[float] = []
        result = check(
            pool, tmp_path, trunk(silent.getsockname()), "79160000000", on_result=lambda: told.append(time.monotonic())
        )
        silent.settimeout(0.0)
        received = [silent.recv(4096)[:7] for _ in range(5)]
        with contextlib.suppress(BlockingIOError):
            while True:
                received.append(silent.recv(4096)[:7])
    assert (result.ok, result.stage, result.sip_code) == (False, CheckStage.CALL, None)
    assert "No answer at all" in result.verdict and b"INVITE " in received
    # OPTIONS, REGISTER and OPTIONS by TCP 5 s each, the INVITE 10 s; a proxy before the API gives up after 60.
    assert told[0] - began < at_most(32)


def test_a_call_that_was_given_up_as_silent_is_hung_up_when_it_rings_after_all(pool: PhonePool, tmp_path: Path) -> None:
    with gateway(rings_late(silence_ms=14_000), tmp_path) as running:
        result = check(pool, tmp_path, trunk(running.address), "79160000000")
        running.wait_for("CANCEL", timeout_s=at_most(20))
    assert (result.ok, result.stage) == (False, CheckStage.CALL)
    assert "No answer at all" in result.verdict


def test_a_provider_that_has_answered_a_question_gets_all_the_time_for_the_call(
    pool: PhonePool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trunk_check, "SILENCE_S", 0.0)
    with SippGateway(provider(), calls=10, folder=tmp_path, timeout_s=60, rtp_echo=True) as running:
        result = check(pool, tmp_path, trunk(running.address), "79160000000")
    assert (result.ok, result.stage, result.sip_code) == (True, CheckStage.CALL, 200)


def test_a_gateway_without_a_registrar_is_fine_for_a_trunk_that_does_not_register(
    pool: PhonePool, tmp_path: Path
) -> None:
    with gateway(provider(register=405), tmp_path) as running:
        result = check(pool, tmp_path, trunk(running.address, password="x"))
    assert result.ok


def test_a_call_that_needs_registration_is_told(pool: PhonePool, tmp_path: Path) -> None:
    with gateway(provider(invite=403), tmp_path) as running:
        result = check(pool, tmp_path, trunk(running.address, password="x"), "79160000000")
    assert (result.ok, result.stage, result.sip_code) == (False, CheckStage.CALL, 403)
    assert "needs registration" in result.verdict


def test_a_forbidden_call_is_told(pool: PhonePool, tmp_path: Path) -> None:
    with gateway(provider(invite=403), tmp_path) as running:
        result = check(pool, tmp_path, trunk(running.address), "79160000000")
    assert (result.ok, result.stage, result.sip_code) == (False, CheckStage.CALL, 403)
    assert "forbids the call" in result.verdict


def test_a_caller_id_that_the_registrar_refuses_is_not_called_a_wrong_password(pool: PhonePool, tmp_path: Path) -> None:
    scenario = provider(password="right", invite_password="nobody's")
    with gateway(scenario, tmp_path) as running:
        asked = trunk(running.address, password="right", caller_id="74951234567")
        result = check(pool, tmp_path, asked, "79160000000")
    assert (result.ok, result.stage, result.sip_code) == (False, CheckStage.CALL, 401)
    assert "74951234567" in result.verdict and "caller_id_header" in result.verdict
    assert "wrong password" not in result.verdict


@pytest.mark.parametrize("scenario", [provider(invite=488), provider(sdp=G729_SDP)], ids=["488", "answer"])
def test_a_refused_codec_is_told(pool: PhonePool, tmp_path: Path, scenario: Scenario) -> None:
    with gateway(scenario, tmp_path) as running:
        result = check(pool, tmp_path, trunk(running.address), "79160000000")
    assert (result.ok, result.stage) == (False, CheckStage.CALL)
    assert "codec was refused" in result.verdict


def test_an_answered_call_without_anything_from_there_is_told_as_silence_or_a_firewall(
    pool: PhonePool, tmp_path: Path
) -> None:
    with gateway(provider(), tmp_path) as running:
        result = check(pool, tmp_path, trunk(running.address), "79160000000")
    assert (result.ok, result.stage, result.sip_code) == (False, CheckStage.CALL, 200)
    assert "no RTP came back" in result.verdict and "the callee is silent, or a firewall" in result.verdict


@pytest.mark.peer("baresip")
def test_a_callee_that_hears_us_and_is_silent_is_told_as_silence(pool: PhonePool, tmp_path: Path) -> None:
    with Baresip(folder=tmp_path, user="79160000000", silent=True) as callee:
        result = check(pool, tmp_path, trunk(callee.address, codecs=("PCMA",)), "79160000000")
    assert (result.ok, result.stage, result.sip_code) == (True, CheckStage.CALL, 200), result
    assert "silence at the callee" in result.verdict


R = RtpStats
SOUND = [
    (R(sent=200, received=200), False, True, "both ways"),
    (R(sent=200, received=200, reports=3, remote_lost=2), True, True, "both ways"),
    (R(sent=200, received=200, reports=3, remote_lost=200), False, False, "our sound does not arrive there"),
    (R(sent=200, received=0, reports=3, remote_lost=4), True, True, "silence at the callee"),
    (R(sent=200, received=0, reports=3, remote_lost=190), False, False, "our sound does not arrive there"),
    (R(sent=200, received=0, reports=2), True, False, "does not seem to arrive"),
    (R(sent=200, received=0, strangers=90), False, False, "packets came from another one"),
    (R(sent=200, received=0), True, False, "behind a NAT"),
    (R(sent=200, received=0), False, False, "the callee is silent, or a firewall"),
]


@pytest.mark.parametrize(("rtp", "behind_nat", "ok", "said"), SOUND)
def test_what_came_and_what_the_callee_reports_tell_silence_one_way_and_nat_apart(
    rtp: RtpStats, behind_nat: bool, ok: bool, said: str
) -> None:
    now = datetime.now(UTC)
    outcome = CallOutcome(disposition=Disposition.ANSWERED, invited_at=now, ended_at=now, answered_at=now, rtp=rtp)
    judged = verdicts.of_call(
        outcome, registers=False, registrar_knows_us=False, has_password=False, behind_nat=behind_nat
    )
    assert judged.ok is ok
    assert said in judged.verdict
    assert ("is behind a NAT" in judged.verdict) is (
        bool(rtp.strangers or behind_nat) and not rtp.received and not rtp.reports
    )


def test_a_call_with_sound_both_ways_is_all_well(pool: PhonePool, tmp_path: Path) -> None:
    with SippGateway(provider(), calls=10, folder=tmp_path, rtp_echo=True) as running:
        result = check(pool, tmp_path, trunk(running.address), "79160000000")
    assert (result.ok, result.stage, result.sip_code) == (True, CheckStage.CALL, 200)
    assert "both ways" in result.verdict


def test_a_busy_phone_shows_that_the_trunk_works(pool: PhonePool, tmp_path: Path) -> None:
    with gateway(provider(invite=486), tmp_path) as running:
        result = check(pool, tmp_path, trunk(running.address), "79160000000")
    assert (result.ok, result.sip_code) == (True, 486)
    assert "works" in result.verdict and "busy" in result.verdict

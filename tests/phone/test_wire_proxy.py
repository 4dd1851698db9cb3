"""Through Kamailio with record_route and digest, which forgives no wrong tag, Route or Request-URI."""

from collections.abc import Callable

import pytest

from autodialer.model import Disposition, EndedBy
from tests.peers import sox
from tests.peers.baresip import Baresip
from tests.peers.capture import Capture
from tests.peers.kamailio import Kamailio
from tests.phone.desk import Desk
from tests.phone.test_wire_calls import check_every_message, named

pytestmark = [pytest.mark.loopback, pytest.mark.peer("kamailio", "baresip", "tshark", "sox")]


@pytest.mark.parametrize(
    ("code", "algorithm", "qop"),
    [(407, "MD5", True), (401, "MD5", True), (407, "MD5", False), (407, "SHA-256", True)],
    ids=["407_md5_qop", "401_md5_qop", "407_md5_without_qop", "407_sha256"],
)
def test_ack_and_bye_follow_the_record_route_and_the_digest_is_accepted(
    kamailio: Callable[..., Kamailio],
    baresip: Callable[..., Baresip],
    capture_wire: Callable[..., Capture],
    desk: Callable[..., Desk],
    code: int,
    algorithm: str,
    qop: bool,
) -> None:
    callee = baresip()
    proxy = kamailio(callee.address, callee_user="callee", password="secret", code=code, algorithm=algorithm, qop=qop)
    wire = capture_wire(proxy.address[1])
    phone = desk(proxy.address, sound_s=2.0, username="user", password="secret")
    outcome = phone.outcome(phone.call())
    callee.wait_closed()
    proxy.wait_for("loose_route", "BYE")
    assert (outcome.disposition, outcome.ended_by, outcome.played_share) == (Disposition.ANSWERED, EndedBy.US, 1.0)
    assert proxy.count("authenticated", "INVITE") == 1
    assert proxy.count("loose_route", "ACK") >= 1
    assert proxy.count("loose_route", "BYE") == 1
    assert proxy.count("no_route", "BYE") == proxy.count("no_route", "ACK") == 0
    assert callee.established == 1
    ours = [message for message in wire.sip() if message.source == phone.phone.sip.loop.local_address]
    first, second = named(ours, "INVITE")
    header = "Proxy-Authorization" if code == 407 else "Authorization"
    assert first.header(header) is None
    assert algorithm in (second.header(header) or "") or algorithm == "MD5"
    check_every_message(ours)
    (recording,) = callee.recordings
    assert sox.compare(phone.stem.with_suffix(".wav"), recording).missing_s < 0.1

"""Registration on the wire: Kamailio with its location table where a registrar has to judge, SIPp for odd answers."""

import re
from collections.abc import Callable

import pytest
from pyVoIP.VoIP.status import PhoneStatus

from autodialer.model import Cause, Disposition
from autodialer.sip.auth import REFUSED
from autodialer.sip.events import RegistrationStanding
from autodialer.sip.hop import Hop
from autodialer.sip.locate import Targets
from tests.peers import gateways, registrars
from tests.peers.baresip import Baresip
from tests.peers.capture import Capture, WireMessage
from tests.peers.kamailio import Kamailio
from tests.peers.ports import LOCALHOST, silent_host, wait_until
from tests.peers.providers import provider
from tests.peers.sipp import SippCaller, SippGateway
from tests.phone.desk import Desk
from tests.phone.test_wire_calls import named
from tests.phone.test_wire_cases import out_of_dialog

pytestmark = [pytest.mark.loopback, pytest.mark.peer("sipp", "kamailio", "baresip", "tshark")]

Gateways = Callable[..., SippGateway]
Captures = Callable[..., Capture]
Desks = Callable[..., Desk]
Proxies = Callable[..., Kamailio]


def wait_failed(desk: Desk, timeout_s: float = 10.0) -> str:
    """The sentence, once the registration has failed."""
    standing = RegistrationStanding.FAILED
    wait_until(lambda: desk.phone.registration.standing is standing, what="the failure", timeout_s=timeout_s)
    assert desk.phone.get_status() is PhoneStatus.FAILED
    assert not desk.phone.ready
    return desk.phone.registration.message or ""


def granted(messages: list[WireMessage]) -> list[WireMessage]:
    return [message for message in messages if message.code == 200 and message.cseq_method == "REGISTER"]


def check_registers(registers: list[WireMessage]) -> None:
    """One Call-ID, one From tag, CSeq one up each time, a branch each."""
    assert len({(message.call_id, message.from_tag) for message in registers}) == 1
    assert [message.cseq for message in registers] == list(range(1, len(registers) + 1))
    assert len({message.branch for message in registers}) == len(registers)


@pytest.mark.parametrize("nonce_s", [300, 2], ids=["fresh_nonce", "stale_nonce"])
def test_the_binding_is_made_refreshed_used_and_taken_back(
    kamailio: Proxies, baresip: Callable[..., Baresip], capture_wire: Captures, desk: Desks, nonce_s: int
) -> None:
    callee = baresip()
    proxy = kamailio(callee.address, callee_user="callee", password="secret", max_expires_s=20, nonce_s=nonce_s)
    wire = capture_wire(proxy.address[1])
    phone = desk(proxy.address, register=True, sound_s=4.0)
    phone.wait_ready()
    assert phone.phone.get_status() is PhoneStatus.REGISTERED
    # A BYE of nobody's call must not touch it.
    target = (LOCALHOST, phone.phone.sip.myPort)
    with SippCaller(out_of_dialog("BYE", 481), target, numbers=["dialer"], timeout_s=20) as stranger:
        stranger.expect_success()
    proxy.wait_for("registered", "REGISTER", count=2, timeout_s=15)
    assert phone.phone.ready
    outcome = phone.outcome(phone.call())
    assert (outcome.disposition, outcome.played_share) == (Disposition.ANSWERED, 1.0)
    phone.phone.stop()
    proxy.wait_for("registered", "REGISTER", count=3)
    messages = wire.sip()
    registers = named(messages, "REGISTER")
    check_registers(registers)
    first, refreshed, gone = granted(messages)
    port = phone.phone.sip.myPort
    assert re.fullmatch(rf"<sip:user@127\.0\.0\.1:{port}>;expires=20", first.header("Contact") or "")
    assert 9.0 <= refreshed.at - first.at <= 11.0
    assert refreshed.header("Contact") == first.header("Contact") and gone.header("Contact") is None
    assert registers[-1].header("Expires") == "0"
    # The second REGISTER and all after it bring a digest; a nonce that is too old costs one more.
    challenged = [message for message in messages if message.code == 401]
    assert len(challenged) == (1 if nonce_s == 300 else 3)
    assert [("stale=true" in message.text) for message in challenged] == [False, True, True][: len(challenged)]
    assert all(message.header("Authorization") for message in registers[1:])


def test_a_wrong_password_is_not_tried_again_and_no_call_leaves(
    kamailio: Proxies, capture_wire: Captures, desk: Desks
) -> None:
    proxy = kamailio(("127.0.0.1", 9), password="secret")
    wire = capture_wire(proxy.address[1])
    phone = desk(proxy.address, register=True, password="wrong")
    assert "login or password" in wait_failed(phone)
    call = phone.call()
    wait_until(lambda: any(event.unstarted for event in phone.events), what="the call to be turned away")
    assert call.outcome is None
    wait_until(lambda: not phone.phone.calls and not phone.phone.assignedPorts, what="the port to be given back")
    messages = wire.sip()
    assert [message.method for message in messages if message.is_request] == ["REGISTER", "REGISTER"]
    assert proxy.count("challenged", "REGISTER") == 2


@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        ([(403, ())], "forbids"),
        ([(404, ())], "does not know this account"),
        ([(423, ())], "423"),
        ([registrars.unauthorised(407), (407, (gateways.challenge(407),))], "login or password"),
        ([(200, ("Expires: 0",))], "forgot"),
        ([(500, ())], "500"),
        ([(503, ("Retry-After: 120",))], "503"),
    ],
    ids=["403", "404", "423_without_min_expires", "407_twice", "200_for_nothing", "500", "503"],
)
def test_a_refusal_is_told_in_a_sentence_and_no_call_leaves(
    sipp_gateway: Gateways, desk: Desks, answers: list[tuple[int, tuple[str, ...]]], sentence: str
) -> None:
    registrar = sipp_gateway(registrars.registers(*answers), timeout_s=20)
    phone = desk(registrar.address, register=True)
    assert sentence in wait_failed(phone)
    phone.call()
    wait_until(lambda: any(event.unstarted for event in phone.events), what="the call to be turned away")
    registrar.expect_success()
    starts = {message.start_line.split()[0] for message in registrar.messages if not message.sent}
    assert starts == {"REGISTER"}
    assert registrar.count("REGISTER") == len(answers)


@pytest.mark.parametrize(
    "answers",
    [
        [registrars.too_brief(1800), (200, ("Expires: 1800",))],
        [registrars.unauthorised(407), (200, ("Expires: 600",))],
        [registrars.unauthorised(401), registrars.too_brief(900), (200, ())],
    ],
    ids=["423", "407", "401_then_423"],
)
def test_what_the_registrar_asks_for_is_given(
    sipp_gateway: Gateways, capture_wire: Captures, desk: Desks, answers: list[tuple[int, tuple[str, ...]]]
) -> None:
    registrar = sipp_gateway(registrars.registers(*answers, (200, ("Expires: 0",))), timeout_s=20)
    wire = capture_wire(registrar.address[1])
    phone = desk(registrar.address, register=True)
    phone.wait_ready()
    phone.phone.stop()
    registrar.expect_success()
    registers = named(wire.sip(), "REGISTER")
    check_registers(registers)
    if answers[0][0] == 407:
        assert all(message.header("Proxy-Authorization") for message in registers[1:])
    else:
        assert registers[-2].header("Expires") in ("1800", "900")
    assert registers[-1].header("Expires") == "0"


def test_a_silent_registrar_is_told_after_32_s(capture_wire: Captures, desk: Desks) -> None:
    with silent_host() as address:
        wire = capture_wire(address[1])
        phone = desk(address, register=True)
        assert phone.phone.get_status() is PhoneStatus.REGISTERING
        assert not phone.phone.ready
        assert "does not answer" in wait_failed(phone, timeout_s=40)
        registers = named(wire.sip(), "REGISTER")
        assert len(registers) == 11 and len({message.raw for message in registers}) == 1


def test_an_address_behind_a_nat_replaces_the_local_one_in_contact_and_sdp(
    sipp_gateway: Gateways, capture_wire: Captures, desk: Desks
) -> None:
    gateway = sipp_gateway(registrars.behind_nat("received=198.51.100.7;rport=41000"), calls=2, timeout_s=40)
    wire = capture_wire(gateway.address[1])
    phone = desk(gateway.address, register=True, sound_s=0.4)
    wait_until(
        lambda: sum("REGISTER " in m.start_line for m in gateway.messages if not m.sent) == 2, what="two of them"
    )
    outcome = phone.outcome(phone.call())
    assert outcome.disposition is Disposition.ANSWERED
    phone.phone.stop()
    gateway.stop()
    messages = wire.sip()
    first, second, removal = named(messages, "REGISTER")
    local = f"<sip:user@127.0.0.1:{phone.phone.sip.myPort}>"
    assert first.headers("Contact") == [local]
    assert second.headers("Contact") == ["<sip:user@198.51.100.7:41000>", f"{local};expires=0"]
    assert removal.headers("Contact") == ["<sip:user@198.51.100.7:41000>"]
    (invite,) = named(messages, "INVITE")
    assert invite.header("Contact") == "<sip:user@198.51.100.7:41000>"
    assert b"c=IN IP4 198.51.100.7\r\n" in invite.body and b"o=- " in invite.body
    assert b"127.0.0.1" not in invite.body


@pytest.mark.parametrize("known", [False, True], ids=["unknown_server", "second_server"])
def test_calls_take_the_way_that_the_registrar_names(
    sipp_gateway: Gateways, capture_wire: Captures, desk: Desks, known: bool
) -> None:
    gateway = sipp_gateway(gateways.answered(), timeout_s=30)
    host, port = gateway.address
    way = f"sip:{host}:{port};lr"
    granting = (200, (f"Service-Route: <{way}>", "Expires: 600"))
    registrar = sipp_gateway(registrars.registers(granting, (200, ())), timeout_s=30)
    wire = capture_wire(gateway.address[1], registrar.address[1])
    servers = [Hop(*registrar.address), Hop(*gateway.address)]
    phone = desk(registrar.address, register=True, sound_s=0.4, targets=Targets(servers if known else servers[:1]))
    phone.wait_ready()
    assert phone.outcome(phone.call()).disposition is Disposition.ANSWERED
    gateway.expect_success()
    (invite,) = named(wire.sip(), "INVITE")
    assert invite.destination == gateway.address
    assert invite.headers("Route") == [f"<{way}>"]
    assert invite.request_uri == "sip:79160000000@127.0.0.1"


FOREIGN = [
    ({"register": True}, "takes the login and the password for the registration"),
    ({}, "refuses the login or the password, or else"),
    ({"caller_id": "user"}, None),
    ({"register": True, "caller_id_header": "p_asserted_identity"}, None),
]


@pytest.mark.parametrize(("fields", "said"), FOREIGN)
def test_a_second_challenge_names_the_caller_id_where_it_may_be_to_blame(
    sipp_gateway: Gateways, desk: Desks, fields: dict[str, object], said: str | None
) -> None:
    gateway = sipp_gateway(provider(password="secret", invite_password="nobody's"), calls=10, timeout_s=40)
    phone = desk(gateway.address, **{"caller_id": "74951234567", **fields})
    phone.wait_ready()
    outcome = phone.outcome(phone.call())
    assert (outcome.disposition, outcome.cause, outcome.sip_code) == (Disposition.FAILED, Cause.AUTH_FAILED, 401)
    assert outcome.message is not None
    if said is None:
        assert outcome.message == REFUSED
    else:
        assert said in outcome.message
        assert "74951234567" in outcome.message and "caller_id_header" in outcome.message

"""What providers ask beside the RFCs, on the wire: headers of their own, a second server, words beside a refusal."""

from collections.abc import Callable

import pytest

from autodialer.errors import Invalid
from autodialer.model import Disposition, TrunkSettings
from autodialer.phone.provider import account_for, find_provider
from autodialer.phone.resolver import Resolver
from autodialer.sip.invite import LONGEST_HEADER, extra_header
from autodialer.sip.locate import Targets
from autodialer.store import trunk_of
from tests.peers import gateways
from tests.peers.capture import Capture
from tests.peers.kamailio import Kamailio
from tests.peers.ports import LOCALHOST, free_port
from tests.peers.sipp import SippGateway
from tests.phone.desk import Desk
from tests.phone.test_wire_calls import named

pytestmark = [pytest.mark.loopback, pytest.mark.peer("sipp", "tshark")]

Gateways = Callable[..., SippGateway]
Captures = Callable[..., Capture]
Desks = Callable[..., Desk]

IDENTITY = (
    "Identity: eyJhbGciOiJFUzI1NiJ9.eyJpYXQiOjE0NDMyMDgzNDV9.rq3pjT1hoRwakEGjHCnWSwUnsh;info=<https://c.example/x.pem>"
)
LINES = ("X-Account: 42", "Privacy: id", IDENTITY)
OWNED = [
    *(
        "Via",
        "From",
        "To",
        "Call-ID",
        "CSeq",
        "Max-Forwards",
        "Contact",
        "Route",
        "Record-Route",
        "Require",
        "Supported",
    ),
    *(
        "Allow",
        "User-Agent",
        "Authorization",
        "Proxy-Authorization",
        "Content-Type",
        "Content-Length",
        "Session-Expires",
    ),
    *("Min-SE", "v", "f", "t", "i", "m", "c", "l", "k", "x", "e", "VIA", "call-id"),
]


def test_extra_headers_stand_in_every_invite_as_they_were_given(
    sipp_gateway: Gateways, capture_wire: Captures, desk: Desks
) -> None:
    gateway = sipp_gateway(gateways.challenges(gateways.challenge(401), then_answers=True), timeout_s=30)
    wire = capture_wire(gateway.address[1])
    phone = desk(gateway.address, sound_s=0.4, extra_headers=tuple(extra_header(line) for line in LINES))
    assert phone.outcome(phone.call()).disposition is Disposition.ANSWERED
    gateway.expect_success()
    invites = named(wire.sip(), "INVITE")
    assert len(invites) == 2
    for invite in invites:
        for line in LINES:
            name, _, value = line.partition(": ")
            assert invite.headers(name) == [value]
    assert wire.malformed() == []


@pytest.mark.parametrize("name", OWNED)
def test_a_header_that_the_stack_owns_is_refused_by_name(name: str) -> None:
    with pytest.raises(Invalid, match=f"(?i){name} is written by the dialer itself"):
        extra_header(f"{name}: x")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("X-Account", "Name: value"),
        ("X Account: 1", "no name of a header"),
        (": 1", "no name of a header"),
        ("X-Account:", "has no value"),
        ("X-Account: 1\r\nVia: x", "line breaks"),
        ("X-Account: 1\x00", "line breaks"),
        (f"X-Account: {'1' * (LONGEST_HEADER + 1)}", "characters"),
        ("P-Asserted-Identity: <sip:1@x>", "caller_id_header"),
    ],
)
def test_a_line_that_is_no_header_is_refused_with_the_remedy(line: str, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        extra_header(line)


@pytest.mark.parametrize("code", [403, 603, 607, 608])
def test_what_a_provider_says_beside_its_refusal_is_kept(sipp_gateway: Gateways, desk: Desks, code: int) -> None:
    said = [
        'Reason: Q.850;cause=21;text="Call rejected"',
        "Call-Info: <https://block.example/jcard>;purpose=jwscard",
        "X-Asterisk-HangupCauseCode: 21",
        "X-Reject-Reason: spam likely",
    ]
    gateway = sipp_gateway(gateways.final(code, extra=[*said, "X-Load: 12", "Server: x"]), timeout_s=30)
    phone = desk(gateway.address)
    outcome = phone.outcome(phone.call())
    gateway.expect_success()
    assert (outcome.disposition, outcome.sip_code) == (Disposition.REJECTED, code)
    kept = [line.replace("Hangupcausecode", "HangupCauseCode") for line in outcome.refusal_headers]
    assert sorted(kept) == sorted(said)


def trunk(**fields: object) -> TrunkSettings:
    return TrunkSettings(**{"name": "t", "host": LOCALHOST, "username": "u", **fields})  # type: ignore[arg-type]


def test_the_second_server_comes_after_the_first_and_a_name_that_is_lost_keeps_the_first(tmp_path: object) -> None:
    both = find_provider(trunk_of(trunk(port=5070, backup_host="127.0.0.2:5080")), Resolver())
    assert [hop.address for hop in both.targets] == [(LOCALHOST, 5070), ("127.0.0.2", 5080)]
    lost = find_provider(trunk_of(trunk(port=5070, backup_host="no-such-host.invalid")), Resolver())
    assert [hop.address for hop in lost.targets] == [(LOCALHOST, 5070)] and lost.ttl_s <= 60.0


def test_calls_go_to_the_second_server_while_the_first_is_down(
    sipp_gateway: Gateways, capture_wire: Captures, desk: Desks
) -> None:
    down = free_port()
    gateway = sipp_gateway(gateways.answered(), calls=2, timeout_s=40)
    backup = f"{LOCALHOST}:{gateway.address[1]}"
    provider = find_provider(trunk_of(trunk(port=down, backup_host=backup)), Resolver())
    wire = capture_wire(gateway.address[1], down)
    phone = desk(gateway.address, sound_s=0.4, targets=Targets(provider.targets))
    outcomes = [phone.outcome(phone.call(number)) for number in ("79160000001", "79160000002")]
    gateway.expect_success()
    assert [outcome.disposition for outcome in outcomes] == [Disposition.ANSWERED] * 2
    # The second call does not try the first server again: it rests.
    assert [invite.destination[1] for invite in named(wire.sip(), "INVITE")] == [down, *[gateway.address[1]] * 2]


def test_the_second_proxy_is_named_by_its_own_address_and_registers_us(
    capture_wire: Captures, desk: Desks, kamailio: Callable[..., Kamailio], sipp_gateway: Gateways
) -> None:
    down = free_port()
    gateway = sipp_gateway(gateways.answered(), timeout_s=60)
    proxy = kamailio(gateway.address)
    settings = trunk(
        outbound_proxy=f"{LOCALHOST}:{down}", backup_host=f"{LOCALHOST}:{proxy.address[1]}", domain=LOCALHOST
    )
    provider = find_provider(trunk_of(settings), Resolver())
    account = account_for(trunk_of(settings), provider)
    wire = capture_wire(proxy.address[1], down)
    phone = desk(
        proxy.address,
        sound_s=0.4,
        targets=Targets(provider.targets),
        outbound_proxy=account.outbound_proxy,
        several_proxies=account.several_proxies,
    )
    assert phone.outcome(phone.call()).disposition is Disposition.ANSWERED
    invites = [one for one in named(wire.sip(), "INVITE") if one.destination[1] in (down, proxy.address[1])]
    assert [invite.headers("Route")[0] for invite in invites[:2]] == [
        f"<sip:{LOCALHOST}:{down};lr>",
        f"<sip:{LOCALHOST}:{proxy.address[1]};lr>",
    ]

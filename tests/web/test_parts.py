"""Small parts on their own: hosts, the brake on guessing, JSON and forms, sentences about broken contracts."""

import threading
from pathlib import Path

import bottle
import pytest

from autodialer.api import hosts
from autodialer.api.trunks import check_ca_file
from autodialer.errors import HostUnresolved, Invalid, TooManyRequests, Unauthorized, UserError
from autodialer.web.body import parse_form, parse_json
from autodialer.web.limiter import (
    FORGOTTEN_S,
    FREE_BESIDE,
    FREE_FAILURES,
    LEAK_S,
    LONGEST_WAIT_S,
    MOST_KEPT,
    GuessLimiter,
)
from autodialer.web.request import Request
from autodialer.web.tokens import bearer_token
from tests.timing import at_most
from tests.web.client import CERTIFICATE
from tests.web.conftest import StandingClock


@pytest.mark.parametrize(
    ("host", "stored"),
    [(" 192.0.2.1 ", "192.0.2.1"), ("SIP.Provider.Example.", "sip.provider.example"), ("_sip.x", "_sip.x")],
)
def test_a_host_is_stored_in_one_spelling(host: str, stored: str) -> None:
    assert hosts.check_host(host) == stored


@pytest.mark.parametrize(
    ("endpoint", "stored"),
    [("Proxy.Example", "proxy.example"), ("192.0.2.1:05060", "192.0.2.1:5060"), (" stun.x:1 ", "stun.x:1")],
)
def test_a_host_with_a_port_is_stored_in_one_spelling(endpoint: str, stored: str) -> None:
    assert hosts.check_endpoint(endpoint, "stun_server") == stored


@pytest.mark.parametrize("endpoint", ["x:", "x:0", "x:65536", "x:y", "sip:x", "x:1:2", "", ":5060", "x y:1"])
def test_what_is_no_host_with_a_port_is_refused_by_the_fields_name(endpoint: str) -> None:
    with pytest.raises(Invalid, match="outbound_proxy takes"):
        hosts.check_endpoint(endpoint, "outbound_proxy")


def test_a_name_without_an_address_says_what_to_do() -> None:
    def fail() -> None:
        raise HostUnresolved("stun_server: the name stun.x does not exist", field="stun_server")

    with pytest.raises(
        HostUnresolved, match=r"stun_server: the name stun\.x does not exist; check the spelling"
    ) as caught:
        hosts.look_up_in_time(fail)
    assert caught.value.field == "stun_server"


def test_a_resolver_that_hangs_is_not_waited_for() -> None:
    release = threading.Event()
    with pytest.raises(HostUnresolved, match="did not resolve within"):
        hosts.look_up_in_time(lambda: release.wait(at_most(10)), timeout_s=0.01)
    release.set()


PEM_FILE = str(Path(__file__).with_name("certificate.pem"))


def test_of_a_pem_text_only_the_certificates_are_kept() -> None:
    body = "MC4CAQAwBQYDK2VwBCIEIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    key = f"-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n"
    for given in (CERTIFICATE, key + CERTIFICATE, CERTIFICATE + key, f"Наш узел\r\n{CERTIFICATE}"):
        assert check_ca_file(given) == CERTIFICATE
    assert check_ca_file(CERTIFICATE * 2) == CERTIFICATE * 2


@pytest.mark.parametrize(
    "value",
    [
        str(Path(__file__).with_name("certificate.pem")),
        "/proc/self/fd/0",
        "/dev/zero",
        "/etc/passwd",
        "-----BEGIN CERTIFICATE-----\nx",
        "",
        "a\0b",
        "é",
    ],
)
def test_a_path_and_all_else_that_holds_no_certificate_is_refused_in_the_same_words(value: str) -> None:
    with pytest.raises(Invalid, match="not its path"):
        check_ca_file(value)


def test_an_ipv6_address_has_one_spelling_and_names_no_interface() -> None:
    assert {hosts.check_host(host) for host in ("2001:DB8::1", "[2001:db8::1]", "2001:db8:0:0::1")} == {"2001:db8::1"}
    with pytest.raises(Invalid, match="one machine"):
        hosts.check_host("fe80::1%eth0")


def test_the_limiter_forgets_after_an_hour_and_keeps_only_so_many(clock: StandingClock) -> None:
    limiter = GuessLimiter(clock)
    for _ in range(40):
        limiter.failed("anna", "192.0.2.1")
    with pytest.raises(TooManyRequests) as caught:
        limiter.check("Anna ", "192.0.2.1")
    assert caught.value.details == [{"retry_after_s": LONGEST_WAIT_S + 1}]
    limiter.check("anna", "198.51.100.2")
    clock.move(FORGOTTEN_S + 1)
    limiter.failed("anna", "192.0.2.1")
    limiter.check("anna", "192.0.2.1")
    for index in range(MOST_KEPT + 10):
        limiter.failed(f"login {index}", None)
    assert len(limiter._failures) == MOST_KEPT


def test_a_success_forgets_the_failures(clock: StandingClock) -> None:
    limiter = GuessLimiter(clock)
    for _ in range(FREE_FAILURES - 1):
        limiter.failed("anna", None)
    limiter.succeeded("anna", None)
    limiter.failed("anna", None)
    limiter.check("anna", None)


def test_an_address_that_tries_many_logins_is_slowed_down(clock: StandingClock) -> None:
    limiter = GuessLimiter(clock)
    for index in range(FREE_BESIDE):
        limiter.check(f"login {index}", "192.0.2.1")
        limiter.failed(f"login {index}", "192.0.2.1")
    with pytest.raises(TooManyRequests):
        limiter.check("anna", "192.0.2.1")
    limiter.succeeded("a guesser's own account", "192.0.2.1")
    with pytest.raises(TooManyRequests):
        limiter.check("anna", "192.0.2.1")
    limiter.check("anna", "198.51.100.2")
    clock.move(LEAK_S + 1)
    limiter.check("anna", "192.0.2.1")


@pytest.mark.parametrize(
    ("first", "others"),
    [
        ("192.0.2.1", [f"192.0.2.{index}" for index in range(2, 250)]),
        ("2001:db8::1", [f"2001:db8::{index:x}" for index in range(2, 250)]),
        ("::ffff:192.0.2.1", [f"192.0.2.{index}" for index in range(2, 250)]),
    ],
)
def test_another_address_of_the_same_network_is_no_fresh_start(
    clock: StandingClock, first: str, others: list[str]
) -> None:
    for logins in (["anna"] * len(others), [f"login {index}" for index in range(len(others))]):
        limiter = GuessLimiter(clock)
        for login, address in zip(logins, [first, *others], strict=False):
            limiter.failed(login, address)
        with pytest.raises(TooManyRequests):
            limiter.check(logins[-1], others[-1])


def test_another_spelling_of_a_login_is_no_fresh_start(clock: StandingClock) -> None:
    limiter = GuessLimiter(clock)
    for _ in range(FREE_FAILURES):
        limiter.failed("andr\u00e9", "192.0.2.1")
    for spelling in ("andre\u0301", " ANDR\u00c9 ", "Andre\u0301"):
        with pytest.raises(TooManyRequests):
            limiter.check(spelling, "192.0.2.1")


@pytest.mark.parametrize(
    ("remote", "is_read_as"),
    [
        ("192.0.2.1", "192.0.2.1"),
        (" 2001:DB8::1 ", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("192.0.2.1, 10.0.0.1", None),
        ("unknown", None),
        ("<script>", None),
        ("", None),
    ],
)
def test_what_a_proxy_names_as_the_client_is_an_address_or_nothing(remote: str, is_read_as: str | None) -> None:
    bottle.request.bind({"REMOTE_ADDR": remote})
    assert Request().address == is_read_as


def test_a_login_that_many_addresses_try_is_slowed_down_and_its_owner_gets_in(clock: StandingClock) -> None:
    limiter = GuessLimiter(clock)
    for index in range(200):
        limiter.failed("anna", f"192.0.{index}.7")
    with pytest.raises(TooManyRequests) as caught:
        limiter.check("anna", "192.0.2.1")
    assert caught.value.details[0]["retry_after_s"] <= 41
    limiter.check("anna", "198.51.100.1")
    limiter.check("boris", "192.0.2.1")


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic x", "token"])
def test_an_authorization_header_without_a_bearer_token_is_refused(header: str) -> None:
    with pytest.raises(Unauthorized):
        bearer_token(header)


def test_the_scheme_of_the_header_may_be_written_in_any_case() -> None:
    assert bearer_token("bearer x") == "x"


def test_json_with_a_byte_order_mark_is_read() -> None:
    assert parse_json(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}


def test_a_number_too_long_to_convert_is_refused() -> None:
    with pytest.raises(UserError):
        parse_json(b'{"port": ' + b"9" * 10_000 + b"}")


@pytest.mark.parametrize("data", [b"\xff", b"a=%ff", b"&".join(b"a=1" for _ in range(101))])
def test_a_form_that_is_no_utf_8_or_endless_is_refused(data: bytes) -> None:
    with pytest.raises(UserError):
        parse_form(data)

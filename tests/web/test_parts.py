"""Small parts on their own: hosts, the brake on guessing, JSON and forms, sentences about broken contracts."""

import threading
from pathlib import Path

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


def test_certificates_are_taken_as_text_or_as_a_path_and_kept_as_text(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text(CERTIFICATE)
    assert check_ca_file(CERTIFICATE) == check_ca_file(str(tmp_path / "ca.pem")) == CERTIFICATE


@pytest.mark.parametrize("value", ["/no/such/file", "/etc/passwd", "/", "-----BEGIN CERTIFICATE-----\nx", "", "a\0b"])
def test_what_holds_no_certificates_is_refused_in_the_same_words(value: str) -> None:
    with pytest.raises(Invalid, match="this is neither, or it cannot be read"):
        check_ca_file(value)


def test_ipv6_is_refused_by_name() -> None:
    with pytest.raises(Invalid, match="IPv6"):
        hosts.check_host("2001:db8::1")


def test_the_limiter_forgets_after_an_hour_and_keeps_only_so_many(clock: StandingClock) -> None:
    limiter = GuessLimiter(clock)
    for _ in range(40):
        limiter.failed("anna", "192.0.2.1")
    with pytest.raises(TooManyRequests) as caught:
        limiter.check("Anna ", "192.0.2.1")
    assert caught.value.details == [{"retry_after_s": LONGEST_WAIT_S + 1}]
    limiter.check("anna", "192.0.2.2")
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
    limiter.check("anna", "192.0.2.2")
    clock.move(LEAK_S + 1)
    limiter.check("anna", "192.0.2.1")


def test_a_login_that_many_addresses_try_is_slowed_down_and_its_owner_gets_in(clock: StandingClock) -> None:
    limiter = GuessLimiter(clock)
    for index in range(200):
        limiter.failed("anna", f"192.0.2.{index}")
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

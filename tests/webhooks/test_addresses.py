"""Which addresses a user may have the service speak to."""

import ipaddress
import socket

import pytest

from autodialer.errors import AddressRefused, HostUnresolved, Invalid
from autodialer.webhooks.addresses import is_permitted, resolve
from autodialer.webhooks.urls import check_url, host_of

REFUSED = {
    "loopback": ["127.0.0.1", "127.255.0.9", "::1"],
    "this host": ["0.0.0.0", "0.1.2.3", "::"],
    "private": ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "fd00::1", "fc00::1"],
    "link-local": ["169.254.169.254", "169.254.0.1", "fe80::1", "fe80::1%lo", "febf::1"],
    "carrier-grade NAT": ["100.64.0.1", "100.127.255.254"],
    "multicast": ["224.0.0.1", "239.255.255.255", "ff02::1", "ff0e::1"],
    "broadcast and reserved": ["255.255.255.255", "240.0.0.1"],
    "IPv4-mapped": ["::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:8.8.8.8"],
    "IPv4-compatible": ["::127.0.0.1"],
    "NAT64": ["64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::a00:1"],
    "6to4 and Teredo": ["2002:7f00:1::1", "2001:0:7f00:1::1"],
    "documentation and benchmarks": ["192.0.2.1", "198.51.100.1", "203.0.113.9", "198.18.0.1", "2001:db8::1"],
    "site-local and discard": ["fec0::1", "100::1"],
}
PERMITTED = ["8.8.8.8", "93.184.216.34", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00:1450::200e"]


@pytest.mark.parametrize("address", [each for group in REFUSED.values() for each in group])
def test_an_address_that_is_not_of_the_open_internet_is_refused(address: str) -> None:
    assert not is_permitted(ipaddress.ip_address(address), ())
    with pytest.raises(AddressRefused, match="DIALER_WEBHOOK_NETWORKS"):
        resolve(address, (), timeout_s=1.0)


@pytest.mark.parametrize("address", PERMITTED)
def test_an_address_of_the_open_internet_is_permitted(address: str) -> None:
    assert resolve(address, (), timeout_s=1.0) == [ipaddress.ip_address(address)]


def test_the_administrator_permits_networks() -> None:
    networks = [ipaddress.ip_network("192.168.1.0/24"), ipaddress.ip_network("fd00::/8")]
    assert is_permitted(ipaddress.ip_address("192.168.1.77"), networks)
    assert is_permitted(ipaddress.ip_address("fd00::7"), networks)
    assert not is_permitted(ipaddress.ip_address("192.168.2.77"), networks)
    assert not is_permitted(ipaddress.ip_address("::ffff:192.168.1.77"), networks)


def _answering(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)


@pytest.mark.parametrize("answers", [["127.0.0.1"], ["8.8.8.8", "10.0.0.1"], ["169.254.169.254", "8.8.8.8"]])
def test_a_name_that_leads_inside_is_refused_wherever_else_it_leads(
    monkeypatch: pytest.MonkeyPatch, answers: list[str]
) -> None:
    _answering(monkeypatch, *answers)
    with pytest.raises(AddressRefused, match=r"crm\.example is at"):
        resolve("crm.example", (), timeout_s=1.0)


def test_a_name_without_an_address_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    _answering(monkeypatch)
    with pytest.raises(HostUnresolved, match="check the spelling"):
        resolve("crm.example", (), timeout_s=1.0)


@pytest.mark.parametrize(
    "spelling", ["http://2130706433/", "http://0x7f.1/", "http://127.1/", "http://0177.0.0.1/", "http://localhost/"]
)
def test_other_spellings_of_loopback_are_refused_too(spelling: str) -> None:
    with pytest.raises(AddressRefused):
        resolve(host_of(check_url(spelling)), (), timeout_s=5.0)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://crm.example/",
        "file:///etc/passwd",
        "gopher://crm.example/",
        "crm.example/hook",
        "http://",
        "http:///hook",
        "https://user:password@crm.example/",
        "https://user@crm.example/",
        "https://@crm.example/",
        "https://crm.example/#part",
        "https://crm.example/a b",
        "https://crm.example/\r\nX: y",
        "https://crm.example:0/",
        "https://crm.example:99999/",
        "https://crm.example:x/",
        "https://пример.рф/",
        "https://crm.example/" + "x" * 2000,
        "",
    ],
)
def test_what_is_no_url_for_a_webhook_is_refused(url: str) -> None:
    with pytest.raises(Invalid, match="url"):
        check_url(url)


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("https://crm.example/hook?a=1", "https://crm.example/hook?a=1"),
        (" HTTPS://CRM.example/Hook ", "https://crm.example/Hook"),
        ("http://[2606:4700::1111]:8080/", "http://[2606:4700::1111]:8080/"),
        ("https://crm.example", "https://crm.example"),
    ],
)
def test_a_url_is_stored_in_one_spelling(given: str, stored: str) -> None:
    assert check_url(given) == stored

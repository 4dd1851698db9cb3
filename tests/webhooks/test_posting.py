"""One HTTP request to a server that nobody here wrote, or one that means harm."""

import ipaddress
import os
import socket
import ssl
import time
from pathlib import Path

import pytest

from autodialer.webhooks import posting
from autodialer.webhooks.posting import Answered, Line
from tests.timing import at_most
from tests.webhooks.receiver import receiver, scripted

pytestmark = pytest.mark.loopback
HERE = (ipaddress.ip_network("127.0.0.0/8"),)
SOON_S = 0.5


def post(url: str, *, longest_s: float = 5.0) -> Answered:
    with Line(url, HERE, longest_s=longest_s) as line:
        return line.post(b"{}", {"Content-Type": "application/json"})


def test_a_receiver_gets_the_body_under_the_name_of_its_host() -> None:
    with receiver() as there:
        assert post(there.url) == Answered(status_code=204)
    (got,) = there.got
    assert (got.path, got.body, got.headers["content-type"]) == ("/hook", b"{}", "application/json")
    assert got.headers["host"] == there.url.split("/")[2]


def test_requests_that_follow_each_other_share_a_connection() -> None:
    taken = []

    def serve(connection: socket.socket) -> None:
        taken.append(connection)
        while take(connection):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    with scripted(serve) as url, Line(url, HERE) as line:
        assert [line.post(b"{}", {}).status_code for _ in range(5)] == [200] * 5
    assert len(taken) == 1


def test_a_kept_connection_that_the_receiver_has_closed_is_opened_again() -> None:
    def serve(connection: socket.socket) -> None:
        take(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with scripted(serve) as url, Line(url, HERE) as line:
        assert [line.post(b"{}", {}).status_code for _ in range(3)] == [200] * 3


def take(connection: socket.socket) -> bytes:
    """A request, whose body may come in a packet of its own."""
    got = b""
    while not got.endswith(b"{}"):
        more = connection.recv(65536)
        if not more:
            return b""
        got += more
    return got


def _hang(connection: socket.socket) -> None:
    take(connection)
    connection.recv(1)  # until the other end gives up


def _drip_headers(connection: socket.socket) -> None:
    take(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"X: y\r\n")
        time.sleep(0.05)


def _drip_body(connection: socket.socket) -> None:
    take(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n")
    while True:
        connection.sendall(b"x")
        time.sleep(0.05)


def _say_continue(connection: socket.socket) -> None:
    take(connection)
    while True:
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        time.sleep(0.05)


@pytest.mark.parametrize("serve", [_hang, _drip_headers, _drip_body, _say_continue])
def test_the_time_is_for_the_whole_request_and_not_for_each_byte(serve: object) -> None:
    with scripted(serve) as url:  # type: ignore[arg-type]
        began = time.monotonic()
        answered = post(url, longest_s=SOON_S)
        took = time.monotonic() - began
    assert took < at_most(SOON_S + 1.0)
    assert answered.error == "no answer within 0.5 s"


def test_a_tls_handshake_that_drips_ends_in_time_too() -> None:
    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(bytes([22, 3, 3, 64, 0]))  # the head of a record of 16 KB
        while True:
            connection.sendall(b"\0")
            time.sleep(0.05)

    with scripted(serve) as url:
        began = time.monotonic()
        answered = post(url.replace("http:", "https:"), longest_s=SOON_S)
        assert time.monotonic() - began < at_most(SOON_S + 1.0)
    assert answered.error == "no answer within 0.5 s"


def test_no_more_than_64_kb_of_an_answer_are_read() -> None:
    sent = 0

    def serve(connection: socket.socket) -> None:
        nonlocal sent
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
        take(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while sent < 50_000_000:
            sent += connection.send(b"x" * 8192)

    with scripted(serve) as url:
        assert post(url) == Answered(status_code=200)
    # Beside what is read, the buffers of the two systems fill up.
    assert sent < posting.MOST_READ + 10_000_000


def test_a_packed_answer_is_not_unpacked() -> None:
    import gzip

    packed = gzip.compress(b"\0" * 50_000_000)

    def serve(connection: socket.socket) -> None:
        asked = take(connection)
        assert b"Accept-Encoding: identity" in asked
        head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n"
        connection.sendall(head.encode() + packed)

    with scripted(serve) as url:
        assert post(url) == Answered(status_code=200)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed_and_says_where_to(status: int) -> None:
    with receiver() as there, receiver() as elsewhere:
        there.answer = lambda _got: (status, {"Location": elsewhere.url})
        answered = post(there.url)
        assert answered.status_code == status
        assert answered.error is not None and elsewhere.url in answered.error
        assert not elsewhere.got


@pytest.mark.parametrize(("asked", "waits"), [("120", 120.0), ("Wed, 21 Oct 2026 07:28:00 GMT", None), ("-5", None)])
def test_retry_after_is_heard(asked: str, waits: float | None) -> None:
    with receiver() as there:
        there.answer = lambda _got: (503, {"Retry-After": asked})
        assert post(there.url) == Answered(status_code=503, error="the receiver answered 503", retry_after_s=waits)


@pytest.mark.parametrize(
    "garbage", [b"", b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 abc\r\n\r\n", b"\0" * 100_000, b"HTTP/1.1 200 OK\r\n" * 2]
)
def test_what_is_no_answer_is_a_failure_with_a_reason(garbage: bytes) -> None:
    def serve(connection: socket.socket) -> None:
        take(connection)
        connection.sendall(garbage)

    with scripted(serve) as url:
        answered = post(url)
    assert answered.status_code is None or garbage.startswith(b"HTTP/1.1 200")
    assert answered.error or answered.status_code == 200


def test_an_endless_line_of_an_answer_is_a_failure() -> None:
    def serve(connection: socket.socket) -> None:
        take(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1_000_000)

    with scripted(serve) as url:
        assert post(url).error


def test_a_closed_port_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert post(f"http://127.0.0.1:{port}/").error == "Connection refused"


def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1/")
    with receiver() as there:
        assert post(there.url) == Answered(status_code=204)


def test_the_connection_goes_to_the_address_that_was_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name server that answers a second question otherwise (rebinding) is not asked one."""
    asked = []
    look_up = socket.getaddrinfo

    def rebinding(host: str, *args: object, **options: object) -> object:
        if host != "crm.example":
            return look_up(host, *args, **options)  # type: ignore[arg-type]
        asked.append(host)
        address = "127.0.0.1" if len(asked) == 1 else "127.0.0.2"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0))]

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    networks = (ipaddress.ip_network("127.0.0.1/32"),)
    with receiver() as there:
        url = there.url.replace("127.0.0.1", "crm.example")
        with Line(url, networks) as line:
            assert line.post(b"1", {}) == Answered(status_code=204)
            assert line.post(b"2", {}) == Answered(status_code=204)
        assert asked == ["crm.example"]
        assert there.got[0].headers["host"].startswith("crm.example:")
        with Line(url, networks) as line:
            refused = line.post(b"3", {})
        assert refused.error is not None and "127.0.0.2" in refused.error
        assert len(there.got) == 2


def _tls(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


@pytest.mark.peer("openssl")
@pytest.mark.parametrize(
    ("names", "trusted", "arrives"), [("localhost", True, True), ("localhost", False, False), ("other", True, False)]
)
def test_a_certificate_is_verified_for_the_name_in_the_url(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: str, trusted: bool, arrives: bool
) -> None:
    certificate, key = make_certificate(tmp_path, names)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", os.fspath(certificate))
    posting.trust.cache_clear()

    def serve(connection: socket.socket) -> None:
        with _tls(certificate, key).wrap_socket(connection, server_side=True) as secured:
            while not secured.recv(65536).endswith(b"{}"):
                pass
            secured.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    networks = (*HERE, ipaddress.ip_network("::1/128"))
    try:
        with scripted(serve) as url, Line(url.replace("http://127.0.0.1", "https://localhost"), networks) as line:
            answered = line.post(b"{}", {})
    finally:
        posting.trust.cache_clear()
    if arrives:
        assert (answered.status_code, answered.error) == (204, None)
    else:
        assert answered.error is not None and "TLS" in answered.error


def make_certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate for one name, by OpenSSL."""
    import subprocess

    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", f"/CN={name}"]
    command += ["-addext", f"subjectAltName=DNS:{name}", "-keyout", os.fspath(key), "-out", os.fspath(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key

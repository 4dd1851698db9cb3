"""Challenged calls: 401 and 407, stale nonces, wrong passwords, the credentials of ACK and BYE."""

import hashlib
import logging
import re

import pytest

from autodialer.sip.events import CallFailed, FailureKind
from tests.sip.stepping import ANSWER, Sent, Steps, early, in_dialog

SECRET = ("alice", "wonder land")
CHALLENGE = 'WWW-Authenticate: Digest realm="gw", nonce="n1", qop="auth", algorithm=MD5'


@pytest.fixture
def steps() -> Steps:
    return Steps()


def check_digest(request: Sent, header: str, *, nonce: str, count: int | None, name: str = "md5") -> None:
    """Verify the digest as a gateway would, written without the code under test."""
    (value,) = request.all(header)
    params = dict(re.findall(r'(\w+)=(?:"([^"]*)"|[^,]*)', value))
    plain = dict(re.findall(r"(\w+)=([^,\"]+)", value))

    def digest(text: str) -> str:
        return hashlib.new(name, text.encode()).hexdigest()

    assert params["username"] == SECRET[0] and params["nonce"] == nonce
    assert params["uri"] == request.uri
    ha1 = digest(f"{SECRET[0]}:{params['realm']}:{SECRET[1]}")
    ha2 = digest(f"{request.method}:{request.uri}")
    if count is None:
        assert "qop" not in plain and "nc" not in plain
        assert params["response"] == digest(f"{ha1}:{nonce}:{ha2}")
    else:
        assert plain["qop"] == "auth" and plain["nc"] == f"{count:08x}"
        assert params["response"] == digest(f"{ha1}:{nonce}:{plain['nc']}:{params['cnonce']}:auth:{ha2}")


def challenged(steps: Steps, invite: Sent, *headers: str, status: str = "401 Unauthorized") -> Sent:
    """The INVITE that follows a challenge, after its ACK."""
    ack, again = steps.reply(invite, status, tag="challenger", headers=headers)
    assert ack.method == "ACK" and ack.branch == invite.branch and ack["To"].endswith(";tag=challenger")
    assert again.method == "INVITE" and again.branch != invite.branch
    assert again.uri == invite.uri and again.body == invite.body
    for name in ("From", "To", "Call-ID", "Contact"):
        assert again[name] == invite[name]
    assert int(again["CSeq"].split()[0]) == int(invite["CSeq"].split()[0]) + 1
    return again


@pytest.mark.parametrize(
    ("status", "challenge", "header", "count", "name"),
    [
        ("401 U", CHALLENGE, "Authorization", 1, "md5"),
        ("401 U", 'WWW-Authenticate: Digest realm="gw", nonce="n1"', "Authorization", None, "md5"),
        ("407 P", 'Proxy-Authenticate: Digest realm="gw", nonce="n1"', "Proxy-Authorization", None, "md5"),
        (
            "407 P",
            'Proxy-Authenticate: Digest realm="gw", nonce="n1", qop="auth,auth-int", algorithm=SHA-256',
            "Proxy-Authorization",
            1,
            "sha256",
        ),
    ],
)
def test_a_challenge_is_answered(
    steps: Steps, status: str, challenge: str, header: str, count: int | None, name: str
) -> None:
    invite = steps.invite(credentials=SECRET)
    again = challenged(steps, invite, challenge, status=status)
    check_digest(again, header, nonce="n1", count=count, name=name)
    ack = steps.answer(again)
    assert ack["CSeq"] == "2 ACK" and ack.all(header) == again.all(header)
    assert steps.names == ["CallAnswered"]


def test_the_bye_carries_credentials_with_the_next_count_and_its_own_uri(steps: Steps) -> None:
    steps.answer(challenged(steps, steps.invite(credentials=SECRET), CHALLENGE))
    steps.core.bye("call-1", steps.now)
    bye = steps.take_one()
    assert bye["CSeq"] == "3 BYE"
    check_digest(bye, "Authorization", nonce="n1", count=2)


def test_a_challenged_bye_is_sent_again_once(steps: Steps) -> None:
    steps.answer(challenged(steps, steps.invite(credentials=SECRET), CHALLENGE))
    steps.core.bye("call-1", steps.now)
    bye = steps.take_one()
    (again,) = steps.reply(bye, "401 U", headers=(CHALLENGE.replace("n1", "n2"),))
    assert again.method == "BYE" and again["CSeq"] == "4 BYE" and again.branch != bye.branch
    check_digest(again, "Authorization", nonce="n2", count=1)
    assert steps.reply(again, "401 U", headers=(CHALLENGE.replace("n1", "n3"),)) == []
    assert steps.names == ["CallAnswered", "CallEnded"]
    steps.finish()


def test_a_stale_nonce_allows_another_try_with_the_new_one(steps: Steps) -> None:
    second = challenged(steps, steps.invite(credentials=SECRET), CHALLENGE)
    third = challenged(steps, second, CHALLENGE.replace("n1", "n2") + ", stale=TRUE")
    check_digest(third, "Authorization", nonce="n2", count=1)
    (ack,) = steps.reply(third, "401 U", headers=(CHALLENGE.replace("n1", "n3") + ", stale=true",))
    assert ack.method == "ACK"
    assert isinstance(steps.last, CallFailed) and steps.last.kind is FailureKind.AUTH
    steps.finish()


def test_a_refused_password_is_not_tried_again(steps: Steps) -> None:
    second = challenged(steps, steps.invite(credentials=SECRET), CHALLENGE)
    (ack,) = steps.reply(second, "401 U", headers=(CHALLENGE.replace("n1", "n2"),))
    assert ack.method == "ACK"
    assert isinstance(steps.last, CallFailed)
    assert (steps.last.kind, steps.last.code, steps.last.cancelled) == (FailureKind.AUTH, 401, False)
    assert steps.advance(60.0) == []
    steps.finish()


def test_a_proxy_and_the_callee_may_both_challenge(steps: Steps) -> None:
    proxy = 'Proxy-Authenticate: Digest realm="proxy", nonce="p", qop="auth"'
    second = challenged(steps, steps.invite(credentials=SECRET), proxy, status="407 P")
    third = challenged(steps, second, CHALLENGE)
    check_digest(third, "Proxy-Authorization", nonce="p", count=2)
    check_digest(third, "Authorization", nonce="n1", count=1)
    (ack,) = steps.reply(third, "401 U", headers=('WWW-Authenticate: Digest realm="third", nonce="x"',))
    assert ack.method == "ACK" and steps.names == ["CallFailed"]


@pytest.mark.parametrize(
    "headers",
    [
        (),
        ('WWW-Authenticate: Basic realm="gw"',),
        ('WWW-Authenticate: Digest realm="gw", nonce="n", qop="auth-int"',),
        ('WWW-Authenticate: Digest realm="gw", nonce="n", algorithm=FOO',),
        ("WWW-Authenticate: garbage, , =",),
    ],
)
def test_an_unusable_challenge_is_acknowledged_and_ends_the_call(steps: Steps, headers: tuple[str, ...]) -> None:
    invite = steps.invite(credentials=SECRET)
    (ack,) = steps.reply(invite, "401 Unauthorized", headers=headers)
    assert ack.method == "ACK"
    assert isinstance(steps.last, CallFailed) and steps.last.kind is FailureKind.AUTH and steps.last.message
    steps.finish()


def test_a_challenge_without_credentials_ends_the_call_and_says_why(steps: Steps) -> None:
    steps.reply(steps.invite(), "407 Proxy", headers=(CHALLENGE.replace("WWW", "Proxy"),))
    assert isinstance(steps.last, CallFailed) and steps.last.kind is FailureKind.AUTH
    assert steps.last.message == "the gateway asks for a user name and password, and none are set"


def test_the_ring_timeout_starts_afresh_with_the_answered_challenge(steps: Steps) -> None:
    invite = steps.invite(credentials=SECRET)
    steps.reply(invite, "100 Trying", tag=None)
    again = challenged(steps, invite, CHALLENGE)
    steps.advance(1.0)
    steps.reply(again, "180 Ringing")
    assert steps.advance(39.9) == []
    (cancel,) = steps.advance(0.1)
    assert (cancel.method, cancel["CSeq"], cancel.branch) == ("CANCEL", "2 CANCEL", again.branch)


def test_the_challenged_invite_sent_again_is_only_acknowledged(steps: Steps) -> None:
    invite = steps.invite(credentials=SECRET)
    again = challenged(steps, invite, CHALLENGE)
    (ack,) = steps.reply(invite, "401 Unauthorized", tag="challenger", headers=(CHALLENGE,))
    assert ack.method == "ACK" and ack["CSeq"] == "1 ACK"
    steps.answer(again)
    assert steps.names == ["CallAnswered"]


def test_the_challengers_dialog_ends_with_its_challenge(steps: Steps) -> None:
    invite = steps.invite(credentials=SECRET)
    steps.reply(invite, "183 Progress", tag="challenger")
    again = challenged(steps, invite, CHALLENGE)
    (answer,) = steps.receive(in_dialog(early(again, "challenger"), "OPTIONS"))
    assert answer.code == 481


def test_the_log_never_shows_credentials(steps: Steps, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    again = challenged(steps, steps.invite(credentials=SECRET), CHALLENGE)
    steps.reply(again, "200 OK", body=ANSWER)
    assert "INVITE sip:" in caplog.text and "Authorization: ***" in caplog.text
    response = re.search(r'response="(\w+)"', again["Authorization"])
    assert response is not None and response[1] not in caplog.text
    assert SECRET[0] not in caplog.text and SECRET[1] not in caplog.text

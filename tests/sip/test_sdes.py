"""Keys in session descriptions (RFC 4568): what is offered, which answers do, and when keys change."""

import base64
import re

import pytest

from autodialer.sip.events import CallAnswered, CallFailed, MediaChanged
from autodialer.sip.sdes import SUITES, Crypto, MediaKeys, SdesOffer, make_lines, parse_lines
from autodialer.sip.sdp import AnswerFault, MediaPlan, UnusableAnswer, build_offer, negotiate
from tests.sip.stepping import Sent, Steps
from tests.sip.test_session import ask

CODECS = ("PCMA", "PCMU")
LINES = make_lines()
OFFER = build_offer("192.0.2.1", 30_000, CODECS, session_id=7, crypto=LINES)
PLAIN = build_offer("192.0.2.1", 30_000, CODECS, session_id=7)
KEY = bytes(range(30))
INLINE = base64.b64encode(KEY).decode()
GCM = base64.b64encode(KEY[:28]).decode()
REQUIRED, PREFERRED = SdesOffer(lines=LINES), SdesOffer(lines=LINES, plain_too=True)
SHA1_80 = f"1 AES_CM_128_HMAC_SHA1_80 inline:{INLINE}"


def answer(*crypto: str, profile: str = "RTP/SAVP", host: str = "192.0.2.9", port: int = 40000, more: str = "") -> str:
    keys = "".join(f"a=crypto:{value}\r\n" for value in crypto)
    head = f"v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
    return f"{head}m=audio {port} {profile} 8\r\n{keys}{more}"


def judged(text: str, sdes: SdesOffer | None = REQUIRED) -> MediaPlan | UnusableAnswer:
    return negotiate(text.encode(), CODECS, sdes)


def test_every_suite_is_offered_with_a_key_of_its_own_each_time() -> None:
    lines = [line for line in OFFER.decode().split("\r\n") if line.startswith(("m=", "a=crypto"))]
    assert lines[0] == "m=audio 30000 RTP/SAVP 8 0 101"
    found = [re.fullmatch(r"a=crypto:(\d) (\w+) inline:([A-Za-z0-9+/=]+)", line) for line in lines[1:]]
    told = [match.groups() for match in found if match]
    assert [(tag, suite) for tag, suite, _ in told] == [(str(n), suite) for n, suite in enumerate(SUITES, 1)]
    assert [len(base64.b64decode(key)) for _, _, key in told] == [30, 30, 28]
    again = [line.key for _ in range(3) for line in make_lines()]
    assert len(set(again)) == len(again)


READ = [
    ("plain", SHA1_80, KEY),
    ("lifetime", f"{SHA1_80}|2^31", KEY),
    ("decimal lifetime", f"{SHA1_80}|1048576", KEY),
    ("no padding", f"1 AEAD_AES_128_GCM inline:{GCM.rstrip('=')}", KEY[:28]),
    ("lower case", f"1 aes_cm_128_hmac_sha1_80 INLINE:{INLINE}", KEY),
    ("window size hint", f"{SHA1_80} WSH=128", KEY),
    ("large tag", f"999999999 AES_CM_128_HMAC_SHA1_32 inline:{INLINE}", KEY),
]


@pytest.mark.parametrize(("name", "value", "key"), READ, ids=[name for name, *_ in READ])
def test_keys_are_read_as_peers_write_them(name: str, value: str, key: bytes) -> None:
    assert [line.key for line in parse_lines([value])] == [key]


NOT_READ = [
    ("an MKI, which each packet would bear", f"{SHA1_80}|2^31|1:4"),
    ("an MKI without a lifetime", f"{SHA1_80}|1:4"),
    ("two keys", f"{SHA1_80};inline:{INLINE}|2:4"),
    ("no encryption", f"{SHA1_80} UNENCRYPTED_SRTP"),
    ("no encryption of reports", f"{SHA1_80} UNENCRYPTED_SRTCP"),
    ("no authentication", f"{SHA1_80} UNAUTHENTICATED_SRTP"),
    ("key derivation", f"{SHA1_80} KDR=5"),
    ("another suite", f"1 F8_128_HMAC_SHA1_80 inline:{INLINE}"),
    ("a suite that hides nothing", f"1 NULL_HMAC_SHA1_80 inline:{INLINE}"),
    ("a short key", f"1 AES_CM_128_HMAC_SHA1_80 inline:{GCM}"),
    ("a long key", f"1 AEAD_AES_128_GCM inline:{INLINE}"),
    ("no base64", "1 AES_CM_128_HMAC_SHA1_80 inline:!!!"),
    ("another key method", f"1 AES_CM_128_HMAC_SHA1_80 uri:{INLINE}"),
    ("no tag", f"AES_CM_128_HMAC_SHA1_80 inline:{INLINE}"),
    ("a tag that is no number", f"x AES_CM_128_HMAC_SHA1_80 inline:{INLINE}"),
    ("nothing", ""),
]


@pytest.mark.parametrize(("name", "value"), NOT_READ, ids=[name for name, _ in NOT_READ])
def test_what_we_cannot_follow_is_passed_over_and_no_key_comes_of_it(name: str, value: str) -> None:
    assert parse_lines([value]) == []
    assert parse_lines([value, SHA1_80])[0].key == KEY
    plan = judged(answer(value))
    assert isinstance(plan, UnusableAnswer) and plan.reason is AnswerFault.NOT_SECURE


@pytest.mark.parametrize("tag", [1, 2, 9])
@pytest.mark.parametrize("line", LINES, ids=[line.suite for line in LINES])
@pytest.mark.parametrize("profile", ["RTP/SAVP", "RTP/SAVPF", "rtp/savp"])
def test_an_answer_takes_one_of_the_suites(line: Crypto, profile: str, tag: int) -> None:
    key = KEY[: SUITES[line.suite]]
    plan = judged(answer(f"{tag} {line.suite} inline:{base64.b64encode(key).decode()}", profile=profile))
    assert isinstance(plan, MediaPlan)
    assert plan.keys == MediaKeys(suite=line.suite, ours=line.key, theirs=key)
    shown = repr(plan) + repr(plan.keys) + repr(line)
    assert str(key) not in shown and str(line.key) not in shown


PROFILES = [
    ("plain for an encrypted offer", "RTP/AVP", REQUIRED, AnswerFault.NOT_SECURE),
    ("plain where that will do", "RTP/AVP", PREFERRED, None),
    ("encrypted for a plain offer", "RTP/SAVP", None, AnswerFault.SECURE),
    ("keys by DTLS", "UDP/TLS/RTP/SAVP", REQUIRED, AnswerFault.NOT_SECURE),
    ("keys by DTLS where plain will do", "UDP/TLS/RTP/SAVP", PREFERRED, AnswerFault.NOT_SECURE),
]


@pytest.mark.parametrize(("name", "profile", "sdes", "fault"), PROFILES, ids=[name for name, *_ in PROFILES])
def test_another_profile_than_the_offered_one(
    name: str, profile: str, sdes: SdesOffer | None, fault: AnswerFault | None
) -> None:
    plan = judged(answer(SHA1_80, profile=profile), sdes)
    if fault is None:
        assert isinstance(plan, MediaPlan) and plan.keys is None
    else:
        assert isinstance(plan, UnusableAnswer) and plan.reason is fault


def test_keys_above_the_stream_do_not_count() -> None:
    text = answer().replace("t=0 0\r\n", f"t=0 0\r\na=crypto:{SHA1_80}\r\n")
    assert isinstance(judged(text), UnusableAnswer)


# A refusal of the encrypted offer.


def begun(steps: Steps, *, preferred: bool) -> Sent:
    sdes = PREFERRED if preferred else REQUIRED
    return steps.invite(sdp=OFFER, sdes=sdes, plain_sdp=PLAIN if preferred else b"")


@pytest.mark.parametrize("status", ["488 Not Acceptable Here", "415 Unsupported Media Type", "606 Not Acceptable"])
def test_a_trunk_that_prefers_encryption_offers_plain_sound_next_in_the_same_call(status: str) -> None:
    steps = Steps()
    first = begun(steps, preferred=True)
    ack, second = steps.reply(first, status)
    assert (ack.method, second.method, second["CSeq"]) == ("ACK", "INVITE", "2 INVITE")
    assert (second["From"], second["Call-ID"], second["To"]) == (first["From"], first["Call-ID"], first["To"])
    assert (first.body, second.body) == (OFFER, PLAIN)
    (taken,) = steps.reply(second, "200 OK", body=answer(profile="RTP/AVP"))
    (answered,) = [event for event in steps.events if isinstance(event, CallAnswered)]
    assert answered.sdes is None
    # A plain session stays plain.
    (refusal,) = steps.receive(ask(taken, "INVITE", 1, answer(SHA1_80)))
    assert refusal.code == 488


def test_the_plain_offer_is_made_once_and_challenges_are_answered_before_and_after() -> None:
    steps = Steps()
    sdes = {"sdp": OFFER, "sdes": PREFERRED, "plain_sdp": PLAIN, "credentials": ("u", "p")}
    first = steps.invite(**sdes)
    challenge = ('WWW-Authenticate: Digest realm="r", nonce="n", algorithm=MD5',)
    _, second = steps.reply(first, "401 Unauthorized", headers=challenge)
    _, third = steps.reply(second, "488 No")
    if "Authorization" not in third.data.decode():
        _, third = steps.reply(third, "401 Unauthorized", headers=challenge)
    assert [one.body for one in (first, second, third)] == [OFFER, OFFER, PLAIN]
    steps.reply(third, "488 No")
    assert steps.names[-1] == "CallFailed"


@pytest.mark.parametrize("status", ["488 No", "415 No", "606 No"])
def test_a_trunk_that_requires_encryption_offers_nothing_else(status: str) -> None:
    steps = Steps()
    (ack,) = steps.reply(begun(steps, preferred=False), status)
    assert ack.method == "ACK"
    (failed,) = [event for event in steps.events if isinstance(event, CallFailed)]
    assert failed.code == int(status[:3])


def test_a_phone_that_has_rung_is_not_rung_again_for_a_plain_offer() -> None:
    steps = Steps()
    invite = begun(steps, preferred=True)
    steps.reply(invite, "180 Ringing")
    (ack,) = steps.reply(invite, "488 No")
    assert ack.method == "ACK" and steps.names[-1] == "CallFailed"


def test_a_call_that_is_cancelled_is_not_offered_plain() -> None:
    steps = Steps()
    invite = begun(steps, preferred=True)
    steps.reply(invite, "100 Trying", tag=None)
    steps.core.hang_up("call-1", steps.now)
    steps.take()
    assert [one.method for one in steps.reply(invite, "488 No")] == ["ACK"]


# Keys that change in the session.


def crypto_in(sent: Sent) -> list[Crypto]:
    lines = [line.removeprefix("a=crypto:") for line in sent.body.decode().split("\r\n") if line.startswith("a=crypto")]
    return parse_lines(lines)


def keys_told(steps: Steps) -> list[MediaKeys | None]:
    return [event.media.keys for event in steps.events if isinstance(event, MediaChanged)]


def up(preferred: bool = False) -> tuple[Steps, Sent]:
    steps = Steps()
    (ack,) = steps.reply(begun(steps, preferred=preferred), "200 OK", body=answer(SHA1_80))
    return steps, ack


def test_a_new_key_of_the_peer_at_the_same_place_leaves_ours_as_it_is() -> None:
    steps, ack = up()
    new = bytes(30)
    line = f"5 AES_CM_128_HMAC_SHA1_80 inline:{base64.b64encode(new).decode()}"
    (ok,) = steps.receive(ask(ack, "INVITE", 1, answer(line)))
    assert "m=audio 30000 RTP/SAVP 8" in ok.body.decode()
    assert crypto_in(ok) == [Crypto(tag=5, suite="AES_CM_128_HMAC_SHA1_80", key=LINES[0].key)]
    assert keys_told(steps) == [MediaKeys(suite="AES_CM_128_HMAC_SHA1_80", ours=LINES[0].key, theirs=new)]


def test_a_refresh_with_the_same_key_changes_nothing() -> None:
    steps, ack = up()
    (ok,) = steps.receive(ask(ack, "INVITE", 1, answer(SHA1_80)))
    assert [line.key for line in crypto_in(ok)] == [LINES[0].key]
    assert keys_told(steps) == []


@pytest.mark.parametrize(("host", "port"), [("192.0.2.9", 40002), ("192.0.2.10", 40000)])
def test_at_another_place_of_the_peer_our_key_is_new_too(host: str, port: int) -> None:
    steps, ack = up()
    new = f"1 AES_CM_128_HMAC_SHA1_80 inline:{base64.b64encode(bytes(30)).decode()}"
    (ok,) = steps.receive(ask(ack, "INVITE", 1, answer(new, host=host, port=port)))
    (line,) = crypto_in(ok)
    assert line.key not in {line.key for line in LINES}
    assert keys_told(steps) == [MediaKeys(suite=line.suite, ours=line.key, theirs=bytes(30))]


def test_a_hold_by_0_0_0_0_and_its_end_keep_our_key() -> None:
    steps, ack = up()
    for cseq, host in ((1, "0.0.0.0"), (2, "192.0.2.9")):
        (ok,) = steps.receive(ask(ack, "INVITE", cseq, answer(SHA1_80, host=host)))
        assert [line.key for line in crypto_in(ok)] == [LINES[0].key]
        steps.receive(ask(ack, "ACK", cseq))


def test_another_suite_gets_a_key_for_it() -> None:
    steps, ack = up()
    (ok,) = steps.receive(ask(ack, "INVITE", 1, answer(f"1 AEAD_AES_128_GCM inline:{GCM}")))
    (line,) = crypto_in(ok)
    assert (line.suite, len(line.key)) == ("AEAD_AES_128_GCM", 28)
    assert keys_told(steps) == [MediaKeys(suite="AEAD_AES_128_GCM", ours=line.key, theirs=KEY[:28])]


def test_our_stream_at_another_port_gets_a_new_key_once_the_peer_has_taken_it() -> None:
    steps, _ = up()
    steps.core.change_address("call-1", None, 31_000, steps.now)
    (invite,) = steps.take()
    (line,) = crypto_in(invite)
    assert line.suite == "AES_CM_128_HMAC_SHA1_80" and line.key != LINES[0].key
    assert keys_told(steps) == []
    steps.reply(invite, "200 OK", body=answer(SHA1_80))
    assert keys_told(steps) == [MediaKeys(suite=line.suite, ours=line.key, theirs=KEY)]


def test_an_offer_of_ours_in_the_session_names_the_way_that_is_in_use() -> None:
    steps, ack = up()
    (ok,) = steps.receive(ask(ack, "INVITE", 1))
    assert crypto_in(ok) == [LINES[0]]


@pytest.mark.parametrize("preferred", [False, True])
def test_plain_sound_in_the_session_is_taken_only_where_the_trunk_prefers_encryption(preferred: bool) -> None:
    steps, ack = up(preferred)
    (reply,) = steps.receive(ask(ack, "INVITE", 1, answer(profile="RTP/AVP")))
    assert reply.code == (200 if preferred else 488)
    assert keys_told(steps) == ([None] if preferred else [])
    if preferred:
        assert "RTP/AVP 8" in reply.body.decode() and "crypto" not in reply.body.decode()


def test_an_offer_without_a_key_that_we_know_is_refused_and_the_session_stays() -> None:
    steps, ack = up()
    (reply,) = steps.receive(ask(ack, "INVITE", 1, answer(NOT_READ[0][1])))
    assert reply.code == 488 and keys_told(steps) == []

"""A check of a trunk tells apart what wants encrypted sound, what refuses it, and what refuses the codecs."""

from collections.abc import Callable
from pathlib import Path

import pytest

from autodialer.clock import Clock
from autodialer.model import CallOutcome, Cause, CheckStage, Disposition
from autodialer.phone.checks import verdicts
from autodialer.phone.checks.verdicts import OfferedMedia
from autodialer.phone.pool import PhonePool
from autodialer.sip.sdes import SdesOffer, make_lines
from autodialer.sip.sdp import UnusableAnswer, negotiate
from tests.phone.checks.test_check import check, pool, trunk
from tests.phone.test_wire_srtp import Provider, provider
from tests.sip.stepping import Steps

__all__ = ["pool", "provider"]

Providers = Callable[..., Provider]

WIRE = [
    ("none", "srtp-mand", False, "takes encrypted sound only", "media_encryption to required"),
    ("required", "", False, "refuses encrypted sound and takes plain", "media_encryption to none, or to preferred"),
    ("required", "srtp-mand", True, "sound went both ways", "encrypted (AES_CM_128_HMAC_SHA1_80)"),
    ("preferred", "srtp-mand", True, "sound went both ways", "encrypted (AES_CM_128_HMAC_SHA1_80)"),
    ("preferred", "", True, "sound went both ways", "so the sound was plain"),
]


@pytest.mark.loopback
@pytest.mark.peer("kamailio", "kamailio-tls", "baresip", "baresip-srtp")
@pytest.mark.parametrize(
    ("encryption", "callee", "ok", "said", "advised"),
    WIRE,
    ids=[f"{own}-{theirs or 'plain'}" for own, theirs, *_ in WIRE],
)
def test_a_call_tells_whether_the_provider_wants_encrypted_sound(
    provider: Providers,
    pool: PhonePool,
    tmp_path: Path,
    encryption: str,
    callee: str,
    ok: bool,
    said: str,
    advised: str,
) -> None:
    here = provider(callee)
    asked = trunk(here.proxy.address, transport="tls", ca_file=here.account["tls"].ca_pem, media_encryption=encryption)
    result = check(pool, tmp_path, asked, "79160000000")
    assert (result.ok, result.stage) == (ok, CheckStage.CALL), result
    assert said in result.verdict and advised in result.verdict


def refused(code: int, message: str | None = None) -> CallOutcome:
    now = Clock().utcnow()
    return CallOutcome(
        disposition=Disposition.FAILED,
        cause=Cause.MEDIA_FAILED,
        sip_code=code,
        sip_reason="No",
        invited_at=now,
        ended_at=now,
        message=message,
    )


def unusable(answer: str, sdes: SdesOffer | None) -> str:
    judged = negotiate(answer.encode(), ["PCMA"], sdes)
    assert isinstance(judged, UnusableAnswer)
    return judged.message


HEAD = "v=0\no=- 1 1 IN IP4 192.0.2.9\ns=-\nc=IN IP4 192.0.2.9\nt=0 0\n"
WANTS = unusable(HEAD + "m=audio 4000 RTP/SAVP 8\n", None)
REFUSES = unusable(HEAD + "m=audio 4000 RTP/AVP 8\n", SdesOffer(lines=make_lines()))
TABLE = [
    ("no TLS", refused(488), OfferedMedia(), "Offer others in codecs", "transport to tls and media_encryption"),
    ("415", refused(415), OfferedMedia(), "Offer others in codecs", "transport to tls and media_encryption"),
    ("both refused", refused(488), OfferedMedia(tls=True), "codec was refused", "Offer others in codecs."),
    (
        "plain refused",
        refused(606),
        OfferedMedia(tls=True, other_works=True),
        "takes encrypted sound only",
        "Set media_encryption to required",
    ),
    (
        "encrypted refused",
        refused(488),
        OfferedMedia(encryption="required", tls=True, other_works=True),
        "refuses encrypted sound",
        "media_encryption to none",
    ),
    ("an answer", refused(200, WANTS), OfferedMedia(), "takes encrypted sound only", "Set transport to tls and media_"),
    (
        "a plain answer",
        refused(200, REFUSES),
        OfferedMedia(encryption="required", tls=True),
        "refuses encrypted sound",
        "media_encryption to none",
    ),
    ("a warning", refused(488, "The peer says: SRTP only"), OfferedMedia(), "The peer says: SRTP only.", "488 No."),
]


@pytest.mark.parametrize(("name", "outcome", "offered", "said", "advised"), TABLE, ids=[row[0] for row in TABLE])
def test_refused_media_are_explained(
    name: str, outcome: CallOutcome, offered: OfferedMedia, said: str, advised: str
) -> None:
    judged = verdicts.of_call(outcome, registers=False, registrar_knows_us=False, has_password=False, offered=offered)
    assert not judged.ok
    assert said in judged.verdict and advised in judged.verdict


WARNINGS = [
    ('304 example.test "SRTP required"', "The peer says: SRTP required"),
    ('304 a "say \\"why\\", please", 399 b:5060 "and more"', 'The peer says: say "why", please; and more'),
    ("305 example.test no quotes", None),
    ('305 example.test ""', None),
    (f'399 x "{"y" * 500}"', "The peer says: " + "y" * 200),
]


@pytest.mark.parametrize(("value", "message"), WARNINGS)
@pytest.mark.parametrize("status", ["488 No", "415 No", "606 No", "486 Busy"])
def test_the_warning_of_a_peer_that_refuses_media_is_kept(status: str, value: str, message: str | None) -> None:
    steps = Steps()
    steps.reply(steps.invite(), status, headers=(f"Warning: {value}",))
    (failed,) = steps.events
    assert failed.message == (None if status.startswith("486") else message)  # type: ignore[union-attr]

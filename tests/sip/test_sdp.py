"""Offers, and what odd answers let us do."""

import pytest

from autodialer.sip.sdp import AnswerFault, MediaPlan, UnusableAnswer, build_offer, extract_sdp, negotiate

CODECS = ("PCMA", "PCMU")
SESSION = "v=0\no=- 1 1 IN IP4 192.0.2.9\ns=-\nc=IN IP4 192.0.2.9\nt=0 0\n"


def test_the_offer_lists_codecs_in_order_and_telephone_event() -> None:
    offer = build_offer("192.0.2.1", 10_002, ["PCMU", "PCMA"], session_id=7).decode()
    assert offer == (
        "v=0\r\no=- 7 7 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
        "m=audio 10002 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n"
        "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n"
    )
    plain = build_offer("192.0.2.1", 10_002, ["PCMA"], telephone_event=False).decode()
    assert "m=audio 10002 RTP/AVP 8\r\n" in plain and "telephone-event" not in plain


USABLE = [
    ("pcma", "m=audio 4000 RTP/AVP 8\n", ("192.0.2.9", 4000, "PCMA", 8, None, "sendrecv", None)),
    ("pcmu first", "m=audio 4000 RTP/AVP 0 8\n", ("192.0.2.9", 4000, "PCMU", 0, None, "sendrecv", None)),
    (
        "media-level address and direction win",
        "a=sendonly\nm=audio 4000 RTP/AVP 8\nc=IN IP4 192.0.2.20/127\na=recvonly\n",
        ("192.0.2.20", 4000, "PCMA", 8, None, "recvonly", None),
    ),
    (
        "session-level direction",
        "a=inactive\nm=audio 4000 RTP/AVP 8\n",
        ("192.0.2.9", 4000, "PCMA", 8, None, "inactive", None),
    ),
    (
        "telephone-event 96 and ptime 30",
        "m=audio 4000 RTP/AVP 0 96\na=rtpmap:96 Telephone-Event/8000\na=ptime:30\n",
        ("192.0.2.9", 4000, "PCMU", 0, 96, "sendrecv", 30),
    ),
    (
        "comfort noise, unknown and other codecs, unknown lines",
        "z=0 0\nm=audio 4000/1 RTP/AVP 13 18 97 8 x\nb=AS:64\na=rtpmap:97 opus/48000/2\na=foo:=bar=\n",
        ("192.0.2.9", 4000, "PCMA", 8, None, "sendrecv", None),
    ),
    (
        "a dynamic number for A-law",
        "m=audio 4000 RTP/AVP 105\na=rtpmap:105 pcma/8000/1\n",
        ("192.0.2.9", 4000, "PCMA", 105, None, "sendrecv", None),
    ),
    (
        "refused video beside it",
        "m=video 0 RTP/AVP 34\nm=audio 4000 RTP/AVP 8\n",
        ("192.0.2.9", 4000, "PCMA", 8, None, "sendrecv", None),
    ),
    ("feedback profile", "m=audio 4000 RTP/AVPF 8\n", ("192.0.2.9", 4000, "PCMA", 8, None, "sendrecv", None)),
    (
        "second audio stream is the usable one",
        "m=audio 0 RTP/AVP 8\nm=audio 4002 RTP/AVP 8\n",
        ("192.0.2.9", 4002, "PCMA", 8, None, "sendrecv", None),
    ),
    (
        "no address yet",
        "m=audio 4000 RTP/AVP 8\nc=IN IP4 0.0.0.0\n",
        ("0.0.0.0", 4000, "PCMA", 8, None, "sendrecv", None),
    ),
    (
        "a wide-band telephone-event is not ours",
        "m=audio 4000 RTP/AVP 8 102\na=rtpmap:102 telephone-event/16000\n",
        ("192.0.2.9", 4000, "PCMA", 8, None, "sendrecv", None),
    ),
]


@pytest.mark.parametrize("line_end", ["\r\n", "\n"])
@pytest.mark.parametrize(("media", "expected"), [case[1:] for case in USABLE], ids=[case[0] for case in USABLE])
def test_a_usable_answer_becomes_a_media_plan(media: str, expected: tuple[object, ...], line_end: str) -> None:
    plan = negotiate((SESSION + media).replace("\n", line_end).encode(), CODECS)
    assert isinstance(plan, MediaPlan)
    assert (
        *(plan.host, plan.port, plan.codec, plan.payload_type),
        *(plan.telephone_event_pt, plan.direction, plan.ptime_ms),
    ) == expected
    assert plan.held == (expected[0] == "0.0.0.0" or expected[5] in ("sendonly", "inactive"))


UNUSABLE: list[tuple[str, bytes | None, AnswerFault]] = [
    ("none", None, AnswerFault.NO_SDP),
    ("empty", b" \r\n", AnswerFault.NO_SDP),
    ("text", b"hello", AnswerFault.GARBAGE),
    ("bytes", bytes(range(256)), AnswerFault.GARBAGE),
    ("no audio", SESSION.encode(), AnswerFault.GARBAGE),
    ("bad port", (SESSION + "m=audio x RTP/AVP 8\n").encode(), AnswerFault.GARBAGE),
    ("port out of range", (SESSION + "m=audio 65536 RTP/AVP 8\n").encode(), AnswerFault.GARBAGE),
    ("short m line", (SESSION + "m=audio\n").encode(), AnswerFault.GARBAGE),
    ("port 0", (SESSION + "m=audio 0 RTP/AVP 8\n").encode(), AnswerFault.REFUSED),
    ("savp", (SESSION + "m=audio 4000 RTP/SAVP 8\n").encode(), AnswerFault.SECURE),
    ("no common codec", (SESSION + "m=audio 4000 RTP/AVP 18 101\n").encode(), AnswerFault.NO_COMMON_CODEC),
    ("no codec at all", (SESSION + "m=audio 4000 RTP/AVP\n").encode(), AnswerFault.NO_COMMON_CODEC),
    (
        "8 is something else",
        (SESSION + "m=audio 4000 RTP/AVP 8\na=rtpmap:8 X/8000").encode(),
        AnswerFault.NO_COMMON_CODEC,
    ),
    ("no address", b"v=0\nm=audio 4000 RTP/AVP 8\n", AnswerFault.NO_ADDRESS),
    ("ipv6", b"v=0\nc=IN IP6 2001:db8::1\nm=audio 4000 RTP/AVP 8\n", AnswerFault.NO_ADDRESS),
]


@pytest.mark.parametrize(("answer", "fault"), [case[1:] for case in UNUSABLE], ids=[case[0] for case in UNUSABLE])
def test_an_unusable_answer_says_why(answer: bytes | None, fault: AnswerFault) -> None:
    result = negotiate(answer, CODECS)
    assert isinstance(result, UnusableAnswer)
    assert result.reason is fault and result.message


def test_only_offered_codecs_count() -> None:
    result = negotiate((SESSION + "m=audio 4000 RTP/AVP 0\n").encode(), ["PCMA"])
    assert isinstance(result, UnusableAnswer) and result.reason is AnswerFault.NO_COMMON_CODEC


MIXED = (
    b"preamble\r\n--b=1 x\r\nContent-Type: text/plain\r\n\r\nhello\r\n"
    b"--b=1 x\r\nContent-Disposition: session\r\ncontent-type : Application/SDP ; a=b\r\n\r\n"
    b"v=0\r\ns=-\r\n--b=1 x--\r\n"
)


@pytest.mark.parametrize(
    ("content_type", "body", "expected"),
    [
        ("application/sdp", b"v=0\r\n", b"v=0\r\n"),
        ("Application/SDP ; charset=utf-8", b"v=0\r\n", b"v=0\r\n"),
        (None, b"v=0\r\n", b"v=0\r\n"),
        (None, b"hello", None),
        ("text/plain", b"v=0\r\n", None),
        ("application/sdp", b"", None),
        ('multipart/mixed; boundary="b=1 x"', MIXED, b"v=0\ns=-"),
        ('Multipart/Mixed;Boundary="b=1 x"', MIXED.replace(b"\r\n", b"\n"), b"v=0\ns=-"),
        ("multipart/mixed", MIXED, None),
        ("multipart/mixed;boundary=zzz", MIXED, None),
        ("multipart/mixed;boundary=a", b"--a\r\nContent-Type: text/plain\r\n\r\nx\r\n--a--", None),
        ("multipart/mixed;boundary=a", b"--a\r\n\r\n", None),
    ],
)
def test_the_session_description_is_found_in_the_body(
    content_type: str | None, body: bytes, expected: bytes | None
) -> None:
    assert extract_sdp(content_type, body) == expected


@pytest.mark.parametrize(
    "lines",
    [
        ("a=rtpmap:97 PCMA/16000", "a=rtpmap:97 PCMA/8000"),
        ("a=rtpmap:97 PCMA/8000", "a=rtpmap:97 PCMA/16000"),
        ("a=rtpmap:97 PCMA/8000", "a=rtpmap:97 L16/44100/2"),
    ],
)
def test_a_payload_type_that_is_mapped_twice_is_the_one_at_8000_hz(lines: tuple[str, ...]) -> None:
    answer = "\n".join(("v=0", "c=IN IP4 192.0.2.7", "m=audio 4000 RTP/AVP 97", *lines, "")).encode()
    plan = negotiate(answer, CODECS)
    assert isinstance(plan, MediaPlan) and (plan.codec, plan.payload_type) == ("PCMA", 97)

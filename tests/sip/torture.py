"""What is to become of each message in messages/torture: one or more for every section of RFC 4475, in our own words.

A request comes from the gateway while nothing is called. A response answers our INVITE: in the file its branch is
z9hG4bKours and our tag callertag, which a test replaces by the real ones.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autodialer.sip.message import Discard

FOLDER = Path(__file__).parent / "messages" / "torture"
LONG = "long-value-" * 30
CALLEE = "sip:callee@192.0.2.77:5070"
US = "sip:74950000000@192.0.2.1"


@dataclass(frozen=True, kw_only=True)
class TortureRequest:
    """A request to us."""

    name: str
    answer: int | None
    """The code of our answer; None: dropped."""
    discarded: str | None = None
    """What it is counted as when it is dropped."""
    reads: dict[str, Any] = field(default_factory=dict)
    """Attribute of the message -> value."""
    echoes: dict[str, list[str]] = field(default_factory=dict)
    """Header of our answer -> its values."""


@dataclass(frozen=True, kw_only=True)
class TortureResponse:
    """A response to our INVITE."""

    name: str
    discarded: str | None = None
    """What it is counted as when it is dropped; None: it is taken."""
    event: str = "CallAnswered"
    """The event that it becomes."""
    reads: dict[str, Any] = field(default_factory=dict)
    """Attribute of the event -> value."""
    ack_uri: str = CALLEE
    """Request-URI of the ACK to a 2xx."""
    ack: dict[str, list[str]] = field(default_factory=dict)
    """Header of the ACK -> its values."""
    media: bool = True
    """The session description is found and usable."""
    unsolved: str = ""
    """Why this is not so yet."""


def request(name: str, answer: int | None, discarded: str | None = None, **reads: Any) -> TortureRequest:
    """A request of whose answer no header matters."""
    return TortureRequest(name=name, answer=answer, discarded=discarded, reads=reads)


def answered(name: str, **more: Any) -> TortureResponse:
    """A 200 that is taken."""
    return TortureResponse(name=name, **more)


def dropped(name: str, discarded: str) -> TortureResponse:
    """A response of which nothing comes."""
    return TortureResponse(name=name, discarded=discarded)


def failed(name: str, **reads: Any) -> TortureResponse:
    """A refusal that is taken."""
    return TortureResponse(name=name, event="CallFailed", reads=reads)


STRANGE_METHOD = "!Strange-Method.0123456789_*+`'%~"
REQUESTS = [
    TortureRequest(
        name="3.1.1.1-tortuous-invite",
        answer=481,
        reads={
            "uri": f"{US};odd=yes;flag",
            "call_id": "torture-71",
            "cseq": 71,
            "from_tag": "gwtag",
            "to_tag": "dialled",
        },
        echoes={
            "Via": [
                "SIP  / 2.0 /UDP 192.0.2.9 ; branch   =  z9hG4bKtortuous;rport=5060;received=192.0.2.9",
                "SIP / 2.0 / TCP   proxy.example.net ; branch = z9hG4bKsecond",
                "SIP/2.0/UDP 198.51.100.3 ;branch=z9hG4bKthird",
            ],
            "To": [f"{US} ;    TAG-not=none  ;  tag   = dialled"],
        },
    ),
    TortureRequest(
        name="3.1.1.2-wide-range-of-characters",
        answer=501,
        reads={"method": STRANGE_METHOD, "from_tag": "_t~*1'+`*%!-.", "call_id": "odd<>:\\\"[]{}?%ZZ~'`()/@*.-_"},
        echoes={"CSeq": [f"71 {STRANGE_METHOD}"], "Call-ID": ["odd<>:\\\"[]{}?%ZZ~'`()/@*.-_"]},
    ),
    request("3.1.1.3-escaped-request", 480, uri="sip:sips%3Agw%40example.net@192.0.2.1", from_tag="gwtag"),
    request("3.1.1.4-escaped-nulls-request", 405, from_tag="gwtag"),
    request("3.1.1.5-percent-that-escapes-nothing", 501, method="OPT%49ONS"),
    request("3.1.1.6-no-space-before-bracket", 200, from_tag="gwtag"),
    request("3.1.1.7-long-values-request", 480, call_id=LONG, from_tag=LONG),
    request("3.1.1.8-request-with-trailing-octets", 200, body=b""),
    request("3.1.1.9-semicolons-in-user-part", 200, uri="sip:7495;ext=1;phone-context=@192.0.2.1"),
    TortureRequest(
        name="3.1.1.10-unknown-transports",
        answer=200,
        echoes={
            "Via": [
                "SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bKgw71",
                *(
                    f"SIP/2.0/{transport} h{number}.example.net;branch=z9hG4bKv{number}"
                    for number, transport in enumerate(("TCP", "SCTP", "TLS", "CARRIER-PIGEON"))
                ),
            ]
        },
    ),
    request("3.1.1.11-multipart-request", 405),
    request("3.1.2.1-stray-separators-request", 400),
    request("3.1.2.2-length-larger-request", 400),
    request("3.1.2.3-length-negative-request", 400),
    TortureRequest(
        name="3.1.2.4-overlarge-numbers-in-request", answer=400, echoes={"CSeq": ["36893488147419103299 REGISTER"]}
    ),
    request("3.1.2.4-overlarge-max-forwards", 400),
    request("3.1.2.4-cseq-2-to-31", 400),
    request("3.1.2.6-quote-not-closed-request", 400),
    request("3.1.2.7-brackets-around-request-uri", 400),
    request("3.1.2.8-space-in-request-uri", 400),
    request("3.1.2.9-several-spaces-in-request-line", 480, uri=US),
    request("3.1.2.10-spaces-at-end-of-request-line", 200),
    request("3.1.2.11-headers-in-request-uri", 480),
    request("3.1.2.12-other-time-zone-in-date", 480),
    request("3.1.2.13-contact-without-brackets", 405),
    request("3.1.2.14-spaces-within-addr-spec", 200, from_tag="gwtag"),
    request("3.1.2.15-comma-in-display-name", 200, from_tag="gwtag"),
    request("3.1.2.16-unknown-version", None, Discard.HEADER),
    request("3.1.2.16-unknown-version-in-request-line", 505),
    request("3.1.2.17-method-differs-from-cseq", 400),
    request("3.1.2.18-unknown-method-differs-from-cseq", 400),
    request("3.2.1-branch-is-the-cookie-alone", 200),
    request("3.3.1-no-call-id-from-to", None, Discard.HEADER),
    request("3.3.2-unknown-scheme", 416),
    request("3.3.3-atypical-scheme", 416),
    request("3.3.4-unknown-schemes-in-headers", 200),
    TortureRequest(
        name="3.3.5-unknown-extensions-required",
        answer=420,
        echoes={"Unsupported": ["nothing-has-this", "nor-this"]},
    ),
    request("3.3.6-unknown-content-type", 480),
    request("3.3.7-unknown-authorization-scheme", 405),
    request("3.3.8-doubled-single-headers", None, Discard.HEADER),
    request("3.3.9-two-content-lengths", 400),
    request("3.3.11-max-forwards-zero", 200),
    request("3.3.12-register-with-contact-parameter", 405),
    request("3.3.13-register-with-uri-parameter", 405),
    request("3.3.14-register-with-escaped-header", 405),
    request("3.3.15-unacceptable-accept", 480),
    request("3.4.1-invite-of-rfc-2543", 480, from_tag=None),
]

RESPONSES = [
    answered(
        "3.1.1.1-tortuous-200",
        reads={"reason": "OK"},
        ack={
            "Route": ['"second, hop" <sip:192.0.2.10:5062;x;lr>', "<sip:192.0.2.20;LR>"],
            "To": ["<sip:79161234567@192.0.2.9>;tag=callee"],
        },
    ),
    answered(
        "3.1.1.2-contact-with-a-question-mark-200",
        ack_uri="sip:9_odd~(!)&'+$/?,;*=@192.0.2.77:5070;transport=udp",
    ),
    answered("3.1.1.3-escaped-contact-200", ack_uri="sip:sips%3Acallee%40example.net@192.0.2.77:5070;n%61me=v%25"),
    answered("3.1.1.4-escaped-nulls-contact-200", ack_uri="sip:%00callee%00@192.0.2.77:5070"),
    answered("3.1.1.6-no-space-before-bracket-200", ack={"To": ["callee<sip:79161234567@192.0.2.9>;tag=callee"]}),
    answered("3.1.1.7-long-values-200", ack_uri=f"sip:{LONG}@192.0.2.77:5070;{LONG}"),
    answered("3.1.1.8-200-with-trailing-octets"),
    answered("3.1.1.9-semicolons-in-contact-200", ack_uri="sip:callee;x=192.0.2.66;lr@192.0.2.77:5070;transport=udp"),
    answered("3.1.1.11-multipart-200"),
    answered(
        "3.1.1.12-unusual-reason-phrase",
        reads={"code": 200, "reason": "= 5**2 * 2**3: алло, „gut“; SIP/2.0 486 %20"},
    ),
    TortureResponse(
        name="3.1.1.13-empty-reason-phrase", event="CallProgress", reads={"code": 100, "reason": ""}, media=False
    ),
    failed("3.1.1.13-empty-reason-phrase-486", code=486, reason=""),
    answered("3.1.2.1-stray-separators-200", ack={"To": ["<sip:79161234567@192.0.2.9>;;;tag=callee;;"]}),
    dropped("3.1.2.1-stray-separators-in-via-200", "stray_response"),
    dropped("3.1.2.2-length-larger-200", Discard.TRUNCATED),
    dropped("3.1.2.3-length-negative-200", Discard.CONTENT_LENGTH),
    dropped("3.1.2.5-overlarge-cseq-503", Discard.HEADER),
    failed("3.1.2.5-overlarge-retry-after-503", code=503, retry_after_s=None, reason_cause=None),
    # The To value is the callee's own, and so it comes back.
    answered("3.1.2.6-quote-not-closed-200", ack_uri="sip:79161234567@192.0.2.9"),
    answered("3.1.2.11-headers-in-contact-200"),
    answered("3.1.2.12-other-time-zone-in-date-200"),
    answered("3.1.2.13-contact-without-brackets-200"),
    answered("3.1.2.14-spaces-within-contact-200"),
    answered("3.1.2.14-spaces-inside-contact-200", ack_uri="sip:79161234567@192.0.2.9"),
    answered("3.1.2.15-comma-in-display-name-200", ack={"To": ["Lee, C. <sip:79161234567@192.0.2.9>;tag=callee"]}),
    dropped("3.1.2.16-unknown-version-200", Discard.START_LINE),
    dropped("3.1.2.17-method-differs-from-cseq-200", "stray_response"),
    dropped("3.1.2.19-overlarge-code", Discard.START_LINE),
    dropped("3.2.1-branch-is-the-cookie-alone-200", "stray_response"),
    dropped("3.3.1-no-call-id-from-to-200", Discard.HEADER),
    answered("3.3.4-unknown-scheme-in-contact-200", ack_uri="sip:79161234567@192.0.2.9"),
    answered("3.3.6-unknown-content-type-200", media=False),
    failed("3.3.7-unknown-authentication-scheme-401", code=401, kind="auth"),
    dropped("3.3.8-doubled-single-headers-200", Discard.HEADER),
    dropped("3.3.9-two-content-lengths-200", Discard.CONTENT_LENGTH),
    dropped("3.3.10-second-via-with-broadcast-address", "stray_response"),
    answered("3.3.12-contact-parameter-200"),
    answered("3.3.13-uri-parameter-200", ack_uri=f"{CALLEE};unknown-param"),
    answered("3.4.1-200-of-rfc-2543", ack={"To": ["sip:79161234567@192.0.2.9"]}),
]

SECTIONS = [
    *(f"3.1.1.{number}" for number in range(1, 14)),
    *(f"3.1.2.{number}" for number in range(1, 20)),
    "3.2.1",
    *(f"3.3.{number}" for number in range(1, 16)),
    "3.4.1",
]
"""Of RFC 4475: all that hold a message."""

"""Session descriptions (RFC 4566, RFC 3264): our offer, and what the callee's answer lets us do."""

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from autodialer.sip.addresses import family_of, plain
from autodialer.sip.fields import parse_number, parse_params
from autodialer.sip.sdes import Crypto, MediaKeys, SdesOffer, agree
from autodialer.sip.tokens import split

TELEPHONE_EVENT_PT = 101
"""Payload type that we offer for RFC 4733 events."""
STATIC_CODECS = {0: "PCMU", 8: "PCMA"}
"""RFC 3551 section 6; the only codecs that we speak."""
PAYLOAD_TYPES = {codec: number for number, codec in STATIC_CODECS.items()}
PLAIN, SECURE = "RTP/AVP", "RTP/SAVP"
"""Profiles that we offer."""
_PROFILES = (PLAIN, "RTP/AVPF")
_SECURE_PROFILES = (SECURE, "RTP/SAVPF")
NOT_PLAIN = "not plain RTP"
NOT_ENCRYPTED = "and this trunk requires encrypted sound"
"""Ends of the sentences of an `UnusableAnswer` whose reason is SECURE or NOT_SECURE."""
UNSPECIFIED = ("0.0.0.0", "::")
"""Hold as RFC 2543 has it, and what a gateway says that does not know the address yet."""
# A name has a letter in it: 10.0.0.256 is a broken address.
_HOST_NAME = re.compile(
    r"(?=.{1,253}$)(?=.*[a-z])(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)(?:\.(?:[a-z0-9_-]{1,63}))*"
)
_DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")


class AnswerFault(StrEnum):
    """Why an answer gives no media."""

    NO_SDP = "no_sdp"
    GARBAGE = "garbage"
    """A body that is not a session description, or has no audio in it."""
    REFUSED = "refused"
    """Port 0."""
    SECURE = "secure"
    """RTP/SAVP or another profile that we did not offer."""
    NOT_SECURE = "not_secure"
    """No encryption, or none that we offered, where it is required."""
    NO_COMMON_CODEC = "no_common_codec"
    NO_ADDRESS = "no_address"
    """No connection address, or an address of the other family than the call's."""


@dataclass(frozen=True, kw_only=True, slots=True)
class UnusableAnswer:
    """There will be no media."""

    reason: AnswerFault
    message: str
    """One sentence for a person."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MediaPlan:
    """What an answer agrees to."""

    host: str
    """Address that our RTP goes to, or a host name that is to be looked up; 0.0.0.0 or :: when the callee holds the
    call or does not know it yet."""
    port: int
    codec: str
    """PCMA or PCMU."""
    payload_type: int
    """RTP payload type of that codec."""
    telephone_event_pt: int | None
    """Payload type of RFC 4733 events by the answer, None when they are not agreed."""
    direction: str
    """As the answerer says it: sendrecv, sendonly, recvonly or inactive."""
    ptime_ms: int | None
    """Packet time that the answerer asks for, None when it says nothing."""

    rtcp: tuple[str, int] | None = None
    """Where RTCP is taken, when the answer says so (RFC 3605); else at the next port."""

    keys: MediaKeys | None = None
    """How RTP and RTCP are encrypted; None: they are plain."""

    @property
    def nowhere(self) -> bool:
        """The callee gives no address for now."""
        return self.host in UNSPECIFIED

    @property
    def held(self) -> bool:
        """The peer takes no RTP for now (RFC 3264 section 8.4)."""
        return self.nowhere or self.direction in ("sendonly", "inactive")

    @property
    def named(self) -> bool:
        """`host` is a name, whose address is to be found."""
        return family_of(self.host) is None

    def found_at(self, address: str) -> "MediaPlan":
        """The same with the address of the name."""
        rtcp = (address, self.rtcp[1]) if self.rtcp is not None and self.rtcp[0] == self.host else self.rtcp
        return replace(self, host=address, rtcp=rtcp)


@dataclass(kw_only=True, slots=True)
class Media:
    """One m= line with the attributes below it; or what stands above the first."""

    kind: str = ""
    port: int = -1
    profile: str = ""
    formats: list[str] = field(default_factory=list)
    address: str | None = None
    attributes: list[tuple[str, str]] = field(default_factory=list)
    origin: str = ""
    """Value of the o= line, session level only."""
    times: str = "0 0"
    """Value of the t= line, session level only."""


def build_offer(
    host: str,
    port: int,
    codecs: Sequence[str],
    *,
    telephone_event: bool = True,
    session_id: int | None = None,
    crypto: Sequence[Crypto] = (),
) -> bytes:
    """An offer of one audio stream, `codecs` ("PCMA", "PCMU") in order of preference.

    `session_id` is the number of the o= line (RFC 4566 section 5.2); None takes a random one. `crypto` are the ways to
    encrypt it, in order of preference (RFC 4568); without them it is plain.
    """
    if session_id is None:
        session_id = secrets.randbits(53)
    numbers = [PAYLOAD_TYPES[codec] for codec in codecs]
    lines = [
        "v=0",
        f"o=- {session_id} {session_id} {connection(host)}",
        "s=-",
        f"c={connection(host)}",
        "t=0 0",
        "m=audio {} {} {}".format(
            port,
            SECURE if crypto else PLAIN,
            " ".join(map(str, [*numbers, *([TELEPHONE_EVENT_PT] if telephone_event else [])])),
        ),
        *(line.line for line in crypto),
        *(f"a=rtpmap:{number} {codec}/8000" for number, codec in zip(numbers, codecs, strict=True)),
    ]
    if telephone_event:
        lines += (f"a=rtpmap:{TELEPHONE_EVENT_PT} telephone-event/8000", f"a=fmtp:{TELEPHONE_EVENT_PT} 0-15")
    lines += ("a=ptime:20", "a=sendrecv", "")
    return "\r\n".join(lines).encode("ascii")


def negotiate(
    answer: bytes | None, codecs: Sequence[str], sdes: SdesOffer | None = None, *, family: int = 4
) -> MediaPlan | UnusableAnswer:
    """What `answer` agrees to of an offer of `codecs` at an address of that family, 4 or 6, encrypted as in `sdes`.

    `sdes` None: plain. Never raises.
    """
    if not answer or not answer.strip():
        return UnusableAnswer(reason=AnswerFault.NO_SDP, message="the callee answered without a session description")
    session, streams = parse_description(answer)
    if session is None:
        return UnusableAnswer(reason=AnswerFault.GARBAGE, message="the callee's session description cannot be read")
    audio = [media for media in streams if media.kind == "audio" and media.port >= 0]
    if not audio:
        return UnusableAnswer(reason=AnswerFault.GARBAGE, message="the callee's session description has no audio in it")
    results = [judge(session, media, codecs, sdes, family=family) for media in audio]
    return next((result for result in results if isinstance(result, MediaPlan)), results[0])


def connection(host: str) -> str:
    """How an address of ours stands in c= and o= (RFC 4566 section 5.7)."""
    return f"IN IP{family_of(host) or 4} {host}"


def parse_description(data: bytes) -> tuple[Media | None, list[Media]]:
    """Session level and media streams; no session level when this is not a session description."""
    # Some peers end lines with LF alone.
    lines = data.decode("utf-8", "replace").replace("\r", "\n").split("\n")
    lines = [line.strip() for line in lines if line.strip()]
    if not lines or lines[0].replace(" ", "") != "v=0":
        return None, []
    session = Media()
    streams: list[Media] = []
    for line in lines:
        kind, equals, value = line.partition("=")
        current = streams[-1] if streams else session
        kind, value = kind.strip(), value.strip()
        if not equals:
            continue
        if kind == "m":
            streams.append(_parse_media(value))
        elif kind == "c" and current.address is None:
            current.address = _parse_connection(value)
        elif kind == "a":
            name, _, attribute = value.partition(":")
            current.attributes.append((name.strip().lower(), attribute.strip()))
        elif kind == "o":
            session.origin = value
        elif kind == "t":
            session.times = value
    return session, streams


def _parse_media(value: str) -> Media:
    pieces = value.split()
    if len(pieces) < 3:
        return Media()
    # `49170/2` has the number of ports behind it (RFC 4566 section 5.14).
    port = pieces[1].partition("/")[0]
    return Media(
        kind=pieces[0].lower(),
        port=int(port) if port.isascii() and port.isdigit() and len(port) <= 5 and int(port) < 65536 else -1,
        profile=pieces[2],
        formats=pieces[3:],
    )


def _parse_connection(value: str) -> str:
    """The address or host name of `IN IP4 address[/ttl]` (RFC 4566 section 5.7), "" when it is neither."""
    pieces = value.split()
    if len(pieces) < 3 or pieces[1].upper() not in ("IP4", "IP6"):
        return ""
    text = pieces[2].partition("/")[0].lower().rstrip(".")
    if family_of(text) is not None:
        return plain(text)
    return text if _HOST_NAME.fullmatch(text) else ""


def _rtcp_address(media: Media, host: str) -> tuple[str, int] | None:
    """RFC 3605: `a=rtcp:port` or `a=rtcp:port IN IP4 address`; None when it is not there, or makes no sense."""
    value = next((value for name, value in media.attributes if name == "rtcp"), "")
    port, _, connection = value.partition(" ")
    number = parse_number(port, 1, 65535)
    where = _parse_connection(connection) if connection.strip() else host
    # One look-up is enough: nobody has RTCP at a name of its own.
    usable = where == host or family_of(where) is not None
    return (where, number) if number is not None and where and usable else None


def judge(
    session: Media, media: Media, codecs: Sequence[str], sdes: SdesOffer | None = None, *, family: int = 4
) -> MediaPlan | UnusableAnswer:
    """What one audio stream of the peer lets us do, whose sound is to be of that family: 4 or 6."""
    if media.port == 0:
        return UnusableAnswer(reason=AnswerFault.REFUSED, message="the callee refused the audio stream (port 0)")
    keys = _judge_profile(media, sdes)
    if isinstance(keys, UnusableAnswer):
        return keys
    names = _codec_names(media)
    common = [(number, name) for number, name in names if name in codecs]
    if not common:
        return UnusableAnswer(
            reason=AnswerFault.NO_COMMON_CODEC, message=f"the callee took none of the codecs {', '.join(codecs)}"
        )
    address = media.address if media.address is not None else session.address
    if not address:
        return UnusableAnswer(
            reason=AnswerFault.NO_ADDRESS, message="the callee gave no address or host name to send the sound to"
        )
    if address not in UNSPECIFIED and family_of(address) not in (None, family):
        return UnusableAnswer(
            reason=AnswerFault.NO_ADDRESS,
            message=f"the callee wants the sound at the IPv{family_of(address)} address {address}, and this call speaks"
            f" IPv{family}",
        )
    # The stream's own first: they count more than those of the session.
    attributes = [*media.attributes, *session.attributes]
    ptime = next((value for name, value in attributes if name == "ptime"), "").partition(".")[0]
    return MediaPlan(
        host=address,
        port=media.port,
        codec=common[0][1],
        payload_type=common[0][0],
        telephone_event_pt=next((number for number, name in names if name == "TELEPHONE-EVENT"), None),
        direction=next((name for name, _ in attributes if name in _DIRECTIONS), "sendrecv"),
        ptime_ms=parse_number(ptime, 1, 1000),
        rtcp=_rtcp_address(media, address),
        keys=keys,
    )


def _judge_profile(media: Media, sdes: SdesOffer | None) -> MediaKeys | UnusableAnswer | None:
    profile = media.profile.upper()
    if sdes is None:
        if profile in _PROFILES:
            return None
        return UnusableAnswer(reason=AnswerFault.SECURE, message=f"the callee wants {media.profile}, {NOT_PLAIN}")
    if profile in _PROFILES and sdes.plain_too:
        return None
    if profile not in _SECURE_PROFILES:
        return UnusableAnswer(
            reason=AnswerFault.NOT_SECURE,
            message=f"the callee's side answered with {media.profile}, {NOT_ENCRYPTED}",
        )
    keys = agree(sdes.lines, crypto_of(media))
    return keys or UnusableAnswer(
        reason=AnswerFault.NOT_SECURE, message="the callee's side gave no key for an encryption that was offered"
    )


def crypto_of(media: Media) -> list[str]:
    """Values of the stream's `a=crypto` lines, in order. They stand there and not above (RFC 4568 section 4)."""
    return [value for name, value in media.attributes if name == "crypto"]


def _codec_names(media: Media) -> list[tuple[int, str]]:
    """Payload types of the m= line in order, with the upper-case names of the codecs at 8000 Hz they stand for."""
    mapped: dict[int, str] = {}
    for name, value in media.attributes:
        number, _, encoding = value.partition(" ")
        if name == "rtpmap" and number.isascii() and number.isdigit() and len(number) <= 3:
            codec, _, rate = encoding.strip().partition("/")
            named = codec.strip().upper() if rate.split("/")[0].strip() == "8000" else ""
            # Some peers map a number twice: what we can speak counts.
            mapped[int(number)] = mapped.get(int(number)) or named
    numbers = [int(text) for text in media.formats if text.isascii() and text.isdigit() and len(text) <= 3]
    return [(number, mapped.get(number, STATIC_CODECS.get(number, ""))) for number in numbers if number <= 127]


def extract_sdp(content_type: str | None, body: bytes) -> bytes | None:
    """The session description in a message body: alone, or as a part of a multipart body (RFC 5621 section 3)."""
    if not body.strip():
        return None
    # RFC 3261 section 20.15: there must be a Content-Type with a body. What can be nothing else is taken without it.
    if content_type is None:
        return body if body.lstrip().startswith(b"v=0") else None
    kind, _, params = content_type.partition(";")
    kind = kind.strip().lower()
    if kind == "application/sdp":
        return body
    if not kind.startswith("multipart/"):
        return None
    boundary = parse_params(params).get("boundary", "")
    return _find_part(body.replace(b"\r\n", b"\n"), boundary.encode("utf-8", "surrogateescape")) if boundary else None


def _find_part(body: bytes, boundary: bytes) -> bytes | None:
    for part in (b"\n" + body).split(b"\n--" + boundary)[1:]:
        if part.startswith(b"--"):
            return None
        # After the boundary come its line end, then headers up to an empty line (there may be none).
        head, _, content = part.partition(b"\n\n")
        for line in head.decode("latin-1").split("\n"):
            name, _, value = line.partition(":")
            if name.strip().lower() == "content-type" and next(split(value, ";")).strip().lower() == (
                "application/sdp"
            ):
                return content
    return None

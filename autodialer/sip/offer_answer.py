"""Our side of a session that changes (RFC 3264 section 8): answers to the peer's later offers, and offers of ours."""

from collections.abc import Sequence
from dataclasses import dataclass

from autodialer.sip.addresses import family_of
from autodialer.sip.sdes import Crypto, SdesOffer, make_line, parse_lines
from autodialer.sip.sdp import (
    PAYLOAD_TYPES,
    PLAIN,
    STATIC_CODECS,
    TELEPHONE_EVENT_PT,
    UNSPECIFIED,
    AnswerFault,
    Media,
    MediaPlan,
    UnusableAnswer,
    connection,
    crypto_of,
    judge,
    negotiate,
    parse_description,
)

_MIRRORED = {"sendrecv": "sendrecv", "sendonly": "recvonly", "recvonly": "sendonly", "inactive": "inactive"}
"""Direction offered -> direction answered (RFC 3264 section 6.1)."""
_NO_SESSION = UnusableAnswer(reason=AnswerFault.GARBAGE, message="the session description cannot be read")


@dataclass(frozen=True, kw_only=True, slots=True)
class Accepted:
    """An offer of the peer that we take."""

    sdp: bytes
    """Our answer."""
    media: MediaPlan
    """What the offer lets us do."""


class LocalMedia:
    """What we say of our one audio stream. Send it after each change: the version of o= counts what was sent."""

    def __init__(self, offer: bytes, sdes: SdesOffer | None = None) -> None:
        """`sdes`: how the offer wants it encrypted; None: plain."""
        session, streams = parse_description(offer)
        audio = streams[0] if streams else Media()
        self._session_id, self._version = _origin(session)
        self._host = (session.address if session else None) or ""
        self._family = family_of(self._host) or 4
        self._port = audio.port
        numbers = [int(text) for text in audio.formats if text.isdigit()]
        self.codecs = [STATIC_CODECS[number] for number in numbers if number in STATIC_CODECS]
        """As first offered, in order."""
        self._event_pt = TELEPHONE_EVENT_PT if TELEPHONE_EVENT_PT in numbers else None
        self._streams: list[str | None] = [None]
        """The m= lines in order: None is our audio, the others are refused."""
        self._profile = audio.profile
        self._sdes = sdes
        self._their_place: tuple[str, int] | None = None
        """Where the peer's last description said that it is."""
        self._last = _without_origin(offer)

    def take_answer(self, answer: bytes | None) -> MediaPlan | UnusableAnswer:
        """What the peer's answer agrees to of our last offer."""
        media = negotiate(answer, self.codecs, self._sdes, family=self._family)
        if isinstance(media, MediaPlan):
            self._settle(media)
        return media

    def _settle(self, media: MediaPlan) -> None:
        """Go on with one way to encrypt, or with none."""
        # A hold by 0.0.0.0 is no move, so that our key stays.
        if not media.nowhere:
            self._their_place = (media.host, media.port)
        if self._sdes is None:
            return
        keys = media.keys
        ours = tuple(line for line in self._sdes.lines if keys is not None and line.key == keys.ours)
        self._sdes = SdesOffer(lines=ours, plain_too=self._sdes.plain_too) if ours else None
        if self._sdes is None:
            self._profile = PLAIN

    def answer(self, offer: bytes, current: MediaPlan | None) -> Accepted | UnusableAnswer:
        """Take an offer of the peer; the codec that is in use stays when it is offered."""
        session, streams = parse_description(offer)
        if session is None or not all(stream.kind for stream in streams) or not self.codecs:
            return _NO_SESSION
        preferred = [current.codec] if current else []
        sdes = self._own_lines_for(session, streams)
        index, media = _choose(session, streams, preferred, self.codecs, sdes, self._family)
        if isinstance(media, UnusableAnswer):
            return media
        if sdes is not None:
            self._sdes = sdes
        self._settle(media)
        # RFC 3264 section 6: an answer has every m= line of its offer, in order; port 0 refuses a stream.
        self._streams = [
            None if number == index else f"m={stream.kind} 0 {stream.profile} {' '.join(stream.formats) or '0'}"
            for number, stream in enumerate(streams)
        ]
        self._profile = streams[index].profile
        # RFC 3264 section 8.3.2: a payload type keeps its meaning for the whole session.
        self._event_pt = media.telephone_event_pt if media.telephone_event_pt is not None else self._event_pt
        direction = _MIRRORED[media.direction]
        # A hold as in RFC 2543: whatever direction it names, we cannot send there (RFC 3264 section 8.4).
        if media.nowhere and direction == "sendrecv":
            direction = "recvonly"
        # RFC 3264 section 6: the t= line of an answer is that of the offer.
        formats = [(media.payload_type, media.codec)]
        return Accepted(sdp=self._describe(formats, media.telephone_event_pt, direction, session.times), media=media)

    def _own_lines_for(self, session: Media, streams: Sequence[Media]) -> SdesOffer | None:
        """A line of ours for the offer's first way to encrypt that we know; None: we have not agreed to encrypt.

        Our key stays, and with it the roll-over counter, unless the peer is somewhere else: there nobody knows how far
        the counter is, so that a new key begins at 0 (RFC 4568 section 7.1.4).
        """
        if self._sdes is None:
            return None
        audio = next((stream for stream in streams if stream.kind == "audio" and stream.port > 0), Media())
        offered = parse_lines(crypto_of(audio))
        if not offered:
            return self._sdes
        wanted, own = offered[0], {line.suite: line for line in self._sdes.lines}
        host = audio.address if audio.address is not None else session.address
        stays = host in UNSPECIFIED or self._their_place in (None, (host, audio.port))
        kept = own.get(wanted.suite) if stays else None
        line = Crypto(tag=wanted.tag, suite=kept.suite, key=kept.key) if kept else make_line(wanted.suite, wanted.tag)
        return SdesOffer(lines=(line,), plain_too=self._sdes.plain_too)

    def move(self, host: str | None, port: int) -> None:
        """Our stream is at another port, and at another address too when `host` is given."""
        self._host, self._port = host or self._host, port
        if self._sdes is not None:
            # RFC 4568 section 7.1.4: at another place a stream has another key.
            lines = tuple(make_line(line.suite, line.tag) for line in self._sdes.lines)
            self._sdes = SdesOffer(lines=lines, plain_too=self._sdes.plain_too)

    def offer(self) -> bytes:
        """All that we can do, for a re-INVITE of the peer without an offer, or for one of ours."""
        formats = [(PAYLOAD_TYPES[codec], codec) for codec in self.codecs]
        return self._describe(formats, self._event_pt, "sendrecv", "0 0")

    def _describe(self, formats: Sequence[tuple[int, str]], event_pt: int | None, direction: str, times: str) -> bytes:
        numbers = [number for number, _ in formats] + ([event_pt] if event_pt is not None else [])
        lines = ["s=-", f"c={connection(self._host)}", f"t={times}"]
        for stream in self._streams:
            if stream is not None:
                lines.append(stream)
                continue
            lines.append(f"m=audio {self._port} {self._profile} {' '.join(map(str, numbers))}")
            lines += (line.line for line in self._sdes.lines) if self._sdes is not None else ()
            lines += (f"a=rtpmap:{number} {codec}/8000" for number, codec in formats)
            if event_pt is not None:
                lines += (f"a=rtpmap:{event_pt} telephone-event/8000", f"a=fmtp:{event_pt} 0-15")
            lines += ("a=ptime:20", f"a={direction}")
        # RFC 3264 section 8: the version rises by one with a change, and stays when nothing has changed.
        if lines != self._last:
            self._last = lines
            self._version += 1
        origin = f"o=- {self._session_id} {self._version} {connection(self._host)}"
        return "\r\n".join(("v=0", origin, *lines, "")).encode("utf-8", "replace")


def _choose(
    session: Media,
    streams: Sequence[Media],
    preferred: Sequence[str],
    codecs: Sequence[str],
    sdes: SdesOffer | None,
    family: int,
) -> tuple[int, MediaPlan | UnusableAnswer]:
    """Number and plan of the first audio stream that is usable, or why the first is not."""
    fault = UnusableAnswer(reason=AnswerFault.GARBAGE, message="the session description has no audio in it")
    faults = []
    for wanted in filter(None, (preferred, codecs)):
        for number, stream in enumerate(streams):
            if stream.kind != "audio" or stream.port < 0:
                continue
            media = judge(session, stream, wanted, sdes, family=family)
            if isinstance(media, MediaPlan):
                return number, media
            faults.append(media)
    return -1, (faults or [fault])[-1]


def _origin(session: Media | None) -> tuple[int, int]:
    pieces = session.origin.split() if session else []
    numbers = [int(piece) for piece in pieces[1:3] if piece.isascii() and piece.isdigit()]
    return (numbers[0], numbers[1]) if len(numbers) == 2 else (0, 0)


def _without_origin(description: bytes) -> list[str]:
    lines = description.decode("utf-8", "replace").split("\r\n")
    return [line for line in lines if line and not line.startswith(("v=", "o="))]

"""One call's RTP session: what it sends in each 20 ms, and what it learns from what it receives. Pure."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from autodialer.media import g711, rtp
from autodialer.media.digit_sender import DigitSender, EventNumbers
from autodialer.media.dtmf import DigitReceiver
from autodialer.media.reporting import Heard, Sent
from autodialer.media.source import Address, Kind, RtpSource, kind_of
from autodialer.media.srtp_keys import SrtpKeys

if TYPE_CHECKING:
    from autodialer.media.srtp import Protection, Unprotection

PTIME_MS = 20
"""The default of RFC 3551 section 4.2, which nearly all peers use."""
FRAME = g711.SAMPLE_RATE * PTIME_MS // 1000
"""Samples, and with G.711 bytes, of one packet."""

_SILENT_FRAMES = {codec: bytes([code]) * FRAME for codec, code in g711.SILENCE.items()}

_SYSTEM = random.SystemRandom()
_ENDLESS = 1 << 40
"""Packets of the silence after the sound: more than any call lasts."""
SETTLED_AFTER = 50
"""Packets of one stream, 1 s, before most of it need not be looked at."""


@dataclass(frozen=True, kw_only=True)
class SessionStats:
    """What one session saw, told when it is closed."""

    sent: int = 0
    """Packets that left."""
    received: int = 0
    """Packets with audio or a telephone-event that the callee sent after the answer."""
    lost: int | None = None
    """Packets missing between those that came; None when none came at all, or when it cannot be told."""
    jitter_ms: float | None = None
    """RFC 3550 interarrival jitter; None with fewer than two packets."""
    played_frames: int = 0
    """Packets of the sound that left in one go, 20 ms each; lead-in silence does not count, nor do repeats add up."""
    played_before: int = 0
    """The most that left in one go before the sound was repeated last."""
    discarded: int = 0
    """Datagrams that were no RTP."""
    strangers: int = 0
    """RTP and RTCP packets that were not the callee's: from another address, or of another stream."""
    remote_lost: int | None = None
    """Packets of ours that the callee's side missed, by its RTCP reports; None without any."""
    round_trip_ms: float | None = None
    """By the same reports."""
    encryption: str | None = None
    """The suite that its packets were encrypted by at last; None: they were plain."""
    reports: int = 0
    """RTCP reports that the callee's side sent, of whichever stream."""

    def without_late(self, late: int) -> "SessionStats":
        """The same but for the last `late` packets, which nobody was there to hear."""
        return replace(self, played_frames=max(self.played_before, self.played_frames - late)) if late else self


@dataclass(frozen=True, kw_only=True, slots=True)
class Position:
    """The numbers of a session's next packet, RFC 3550 section 5.1."""

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    marker: bool
    """It is the first one that leaves, or the first after a silence (RFC 3551 section 4.1)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stream:
    """What the callee's audio is known by."""

    source: Address
    ssrc: int
    payload_type: int


class Session:
    """What one call sends and has received. Sends nothing until `play`; a `Deck` makes its packets after that."""

    def __init__(self, randomness: random.Random | None = None) -> None:
        # RFC 3550 section 5.1: all three start at random. The system is asked once: it costs more than all else here.
        bits = (randomness or _SYSTEM).getrandbits(80)
        self._ssrc, self._sequence, self._timestamp = bits >> 48, bits >> 32 & 0xFFFF, bits & 0xFFFFFFFF
        self._source = RtpSource()
        self._payload_type = 0
        self._event_type: int | None = None
        self._codes = b""
        self._silence = b""
        self._lead_in = self._lead_in_left = 0
        """Packets of silence before the sound."""
        self._frames = self._frames_left = 0
        """Packets of the sound."""
        self.repeats = 0
        """How often the sound was begun again."""
        self._played_before = self._sent_before = 0
        """Packets of the sound, before it was repeated last: the most in one go, and all."""
        self._failures = self._sound_failures = 0
        """Packets that could not leave."""
        self._tail_left = _ENDLESS
        """Packets of silence after the sound, by how many fewer than at first."""
        self._held_at: float | None = None
        self._silent_since: float | None = None
        """When the last digit ended of a session that has no sound."""
        self._digit_packets = 0
        self.unsent_digits = ""
        """To be sent once the session sends again."""
        self._marker = True
        self._discarded = 0
        self._heard_type: int | None = None
        """Payload type of the callee's latest audio."""
        self._heard_in_stream = 0
        """Audio packets of the stream that is heard, of one payload type."""
        self._stream: Stream | None = None
        """What `settled` told last."""
        self.protection: Protection | None = None
        """Encrypts what it sends; None: that is plain."""
        self._opening: Unprotection | None = None
        """Decrypts what comes; None: that is plain."""
        self._reception = rtp.Reception()
        self._digits = DigitReceiver()

    def play(
        self,
        now: float = 0.0,
        *,
        remote: Address,
        codec: str,
        payload_type: int,
        codes: bytes,
        telephone_event_pt: int | None,
        lead_in_ms: int,
        symmetric: bool = True,
        peer_host: str | None = None,
        earlier: Sequence[Address] = (),
        keys: SrtpKeys | None = None,
    ) -> None:
        """The call is answered: send `codes`, the encoded sound, to `remote` after `lead_in_ms` of silence.

        Silence follows it for as long as the session lives: a jitter buffer gives out the last packets only when more
        come. A session without a sound sends nothing.

        `symmetric`: a callee whose RTP steadily comes from another address may get ours there (RFC 4961), `peer_host`
        being where the SIP answer comes from. `earlier`: addresses that descriptions before the answer named. `keys`
        encrypt both ways; None: everything is plain.
        """
        if keys is not None:
            self._take_keys(keys, moved=False)
            # RFC 3711 section 3.3.1: the receiver believes that the roll-over counter begins at 0 with what it hears
            # first, so that the numbers must not wrap before that.
            self._sequence &= 0x7FFF
        for address in earlier:
            self._source.name_early(address)
        self._source.answer(remote, now, symmetric=symmetric, peer_host=peer_host)
        self._take_codes(codec, payload_type, codes, telephone_event_pt)
        self._frames = self._frames_left = len(self._codes) // FRAME
        self._lead_in = self._lead_in_left = -(-lead_in_ms // PTIME_MS)

    def _take_keys(self, keys: SrtpKeys | None, *, moved: bool) -> None:
        """Encrypt by these from now on. A key that stays keeps its roll-over counter. Not while a deck has it."""
        if keys is None:
            self.protection = self._opening = None
            return
        # The dialer and the API read `SessionStats` from this module, and have no use for the library's 5 MB.
        from autodialer.media.srtp import Protection, Unprotection

        ours, theirs = self.protection, self._opening
        if ours is None or (ours.suite, ours.key) != (keys.suite, keys.ours):
            self.protection = Protection(keys.suite, keys.ours)
        if theirs is None or (theirs.suite, theirs.key) != (keys.suite, keys.theirs):
            self._opening = Unprotection(keys.suite, keys.theirs, before=theirs, moved=moved)

    def _take_codes(self, codec: str, payload_type: int, codes: bytes, telephone_event_pt: int | None) -> None:
        self._payload_type = payload_type
        self._event_type = telephone_event_pt
        self._silence = _SILENT_FRAMES[codec]
        missing = -len(codes) % FRAME
        self._codes = codes + self._silence[:missing] if missing else codes

    def hold(self, now: float, *, remote: Address | None = None, keys: SrtpKeys | None = None) -> None:
        """Send nothing for a while: the sound stops where it is. Not while a deck has it.

        `remote`: where the callee is meanwhile, who may be heard from there; None: that is not said. `keys`: those that
        are said with it.
        """
        # A hold that is said again, or by both sides, began when it was said first: the timestamp counts on from there.
        if self._held_at is None:
            self._held_at = now
        if keys is not None and self.started:
            self._take_keys(keys, moved=remote not in (None, self._source.signalled))
        if remote is not None and self.started:
            self._describe(remote, now)

    def move(
        self,
        now: float,
        *,
        remote: Address,
        codec: str,
        payload_type: int,
        codes: bytes,
        telephone_event_pt: int | None,
        keys: SrtpKeys | None = None,
    ) -> None:
        """Go on, to `remote` and perhaps in another codec; `codes` are those of the same sound. Ends a hold.

        Not while a deck has it.
        """
        if self._held_at is not None:
            self._count_on(self._held_at, now)
            self._held_at = None
        # Before the new place is taken: whether it is another one decides on the roll-over counter.
        self._take_keys(keys, moved=remote != self._source.signalled)
        self._describe(remote, now)
        self._take_codes(codec, payload_type, codes, telephone_event_pt)

    def _describe(self, remote: Address, now: float) -> None:
        self._source.describe(remote, now)
        self._heard_in_stream = 0

    def _count_on(self, since: float, now: float) -> None:
        """RFC 3550 section 5.1: the timestamp counts on through a silence, and section 4.1 of RFC 3551: the marker."""
        periods = int((now - since) * 1000 // PTIME_MS)
        self._timestamp = (self._timestamp + periods * FRAME) & 0xFFFFFFFF
        self._marker = True

    def repeat(self) -> None:
        """Begin the sound again, without its lead-in. A hold goes on. Not while a deck has it."""
        self.repeats += 1
        # In the lead-in nothing of the sound has left, so there is nothing to begin again.
        if not self.leading_in:
            self._played_before = self.played_frames
            self._sent_before += self._frames - self._frames_left + self.tail_sent
            self._frames_left, self._sound_failures, self._tail_left = self._frames, 0, _ENDLESS

    @property
    def takes_digits(self) -> bool:
        """Whether digits can be sent now: the call is answered, not held, and telephone-events are agreed."""
        return self.started and self._held_at is None and self._event_type is not None

    def begin_digits(self, digits: str, now: float) -> DigitSender:
        """The packets of digits from here on; until `end_digits` the sound stands still. Not while a deck has it."""
        assert self._event_type is not None
        if self._silent_since is not None:
            self._count_on(self._silent_since, now)
            self._silent_since = None
        numbers = EventNumbers(payload_type=self._event_type, ssrc=self._ssrc)
        return DigitSender(digits, numbers, sequence=self._sequence, timestamp=self._timestamp)

    def end_digits(self, sender: DigitSender, now: float) -> None:
        """Go on after the digits, or after those that could be sent."""
        self._sequence, self._timestamp = sender.sequence, sender.timestamp
        self._digit_packets += sender.sent
        # A hold or a move came between: they wait for its end instead of being lost.
        self.unsent_digits = sender.unbegun
        self._marker = True
        if not self._frames:
            self._silent_since = now

    @property
    def remote(self) -> Address | None:
        """Where its packets go; None before the answer."""
        return self._source.remote

    @property
    def started(self) -> bool:
        """Whether the call is answered: `play` was called."""
        return self.remote is not None

    @property
    def playing(self) -> bool:
        """Whether packets are left to send now: the sound, or the silence around it."""
        return self._held_at is None and self._frames > 0

    @property
    def ended(self) -> bool:
        """Whether the whole sound has left."""
        return self._frames_left == 0

    @property
    def tail_sent(self) -> int:
        """Packets of silence that followed the sound so far."""
        return _ENDLESS - self._tail_left

    @property
    def played_frames(self) -> int:
        """Packets of the sound that left so far."""
        return self.played_with(self._frames_left)

    # For the deck.

    @property
    def leading_in(self) -> bool:
        """Whether the silence before the sound is being sent."""
        return self._lead_in_left > 0

    @property
    def sounding(self) -> bool:
        """Whether what it sends now is the sound, not the silence before or after it."""
        return not self.leading_in and not self.ended

    def position(self) -> Position:
        """The next packet's numbers."""
        return Position(
            payload_type=self._payload_type,
            sequence=self._sequence,
            timestamp=self._timestamp,
            ssrc=self._ssrc,
            marker=self._marker,
        )

    def segment(self) -> tuple[bytes, int, int]:
        """What is sent now, the sound or silence: its codes, where the next packet's start, and packets left."""
        if not self.sounding:
            return self._silence, 0, self._segment_left
        return self._codes, (self._frames - self._frames_left) * FRAME, self._frames_left

    def advance_to(self, *, sequence: int, timestamp: int, frames_left: int, marker: bool) -> None:
        """How far the deck has come with the segment."""
        self._sequence, self._timestamp, self._marker = sequence, timestamp, marker
        if self.leading_in:
            self._lead_in_left = frames_left
        elif self.ended:
            self._tail_left = frames_left
        else:
            self._frames_left = frames_left

    def end_lead_in(self) -> None:
        """The silence has been sent; the sound is next."""
        self._lead_in_left = 0

    def end_sound(self) -> None:
        """The sound has been sent; silence is next."""
        self._frames_left = 0

    def count_failure(self) -> None:
        """A packet could not leave: it is lost on its way like any other, and does not count as played."""
        self._failures += 1
        self._sound_failures += self.sounding

    def played_with(self, frames_left: int) -> int:
        """Packets of the sound that left in one go when so many are left."""
        # The record says how much the callee heard in one go: a repeat that is cut off takes nothing away from that.
        return max(self._played_before, self._frames - frames_left - self._sound_failures)

    def receive(self, data: bytes, source: Address, now: float) -> str | None:
        """Take a datagram that came to the session's port from `source`. Returns the digit it starts, if any.

        Before the answer everything is early media and is not counted.
        """
        if self._opening is not None and data:
            opened = self._opening.unprotect(data)
            # Answers of a STUN server come here too, and noise. SRTP
            # leaves the header readable, so both can be told from it.
            if opened is None and rtp.parse(data) is None:
                self._discarded += 1
                return None
            if opened is None:
                # A stranger made it, or it has come before.
                self._source.strangers += 1
                return None
            data = opened
        packet = rtp.parse(data)
        if packet is None:
            self._discarded += 1
            return None
        if self.remote is None:
            self._source.see(source)
            return None
        kind = kind_of(packet, self._payload_type, self._event_type)
        before = self._source.ssrc
        if not self._source.judge(packet, kind, source, now, one_in=self._reception.one_in):
            return None
        # Another stream, perhaps another codec: too little is known of it to have the kernel drop any.
        if self._source.ssrc != before:
            self._heard_in_stream = 0
        # One payload type in a row: the kernel's filter knows one only.
        if kind is Kind.AUDIO:
            self._heard_in_stream = self._heard_in_stream + 1 if packet.payload_type == self._heard_type else 1
            self._heard_type = packet.payload_type
        if kind is Kind.OTHER:
            self._reception.pass_over(packet)
        elif kind is Kind.EVENT:
            self._reception.count(packet)
            return self._digits.take(packet)
        else:
            self._reception.take(packet, now)
        return None

    def awaits_latch(self, now: float) -> bool:
        """Whether the callee may yet speak from an address that nobody has named."""
        return self._source.awaits_latch(now)

    def may_latch(self, source: Address, now: float) -> bool:
        """Whether that address may be the callee's."""
        return self._source.may_latch(source, now)

    def see_early(self, source: Address) -> None:
        """Something came from there before the answer."""
        self._source.see(source)

    def is_peer(self, source: Address, reports_to: Address | None, ssrc: int) -> bool:
        """Whether RTCP of `ssrc` from there is the callee's, which has to come from where ours goes, `reports_to`.

        Behind a NAT its port is another one; the host is that of its RTP.
        """
        remote = self.remote
        known = source == reports_to or (remote is not None and source[0] == remote[0])
        return known and self._source.ssrc in (None, ssrc)

    @property
    def encrypted(self) -> bool:
        """Whether only what the callee has encrypted is taken."""
        return self._opening is not None

    def open_report(self, data: bytes) -> bytes | None:
        """An RTCP packet as the callee made it; None: it is not the callee's."""
        return self._opening.unprotect_report(data) if self._opening is not None else data

    def close_report(self, data: bytes) -> bytes:
        """An RTCP packet of ours as it leaves."""
        return self.protection.protect_report(data) if self.protection is not None else data

    def count_stranger(self) -> None:
        """RTCP came from a stranger."""
        self._source.strangers += 1

    @property
    def settled(self) -> Stream | None:
        """The callee's stream once it was heard for a while: most of it need not be looked at. None: not yet."""
        remote, ssrc, heard_type = self.remote, self._source.ssrc, self._heard_type
        if remote is None or ssrc is None or heard_type is None or self._heard_in_stream < SETTLED_AFTER:
            return None
        known = self._stream
        if known is None or (known.ssrc, known.payload_type, known.source) != (ssrc, heard_type, remote):
            self._stream = known = Stream(source=remote, ssrc=ssrc, payload_type=heard_type)
        return known

    @property
    def heard_ssrc(self) -> int | None:
        """SSRC of the callee's stream; None while nothing is heard."""
        return self._source.ssrc

    @property
    def received(self) -> int:
        """The callee's packets that it has seen."""
        return self._reception.received

    def end_span(self, held_back: int) -> None:
        """After those `held_back`, nothing more is kept from us; what comes from now on is counted afresh."""
        self._reception.end_span(held_back)

    def note_held_back(self, held_back: int) -> None:
        """So many had been kept from us when the latest packet came."""
        self._reception.note_held_back(held_back)

    @property
    def ssrc(self) -> int:
        """SSRC of what it sends."""
        return self._ssrc

    def sent(self, timestamp: int, frames_left: int) -> Sent:
        """What has left when so many packets of what is sent now are left; for RTCP."""
        packets = self._packets_sent(frames_left)
        octets = (packets - self._digit_packets) * FRAME + self._digit_packets * rtp.EVENT_OCTETS
        return Sent(ssrc=self._ssrc, timestamp=timestamp & 0xFFFFFFFF, packets=packets, octets=octets)

    def sent_at_rest(self, now: float) -> Sent:
        """The same while nothing is being sent; the timestamp counts on."""
        since = self._silent_since if self._held_at is None else self._held_at
        passed = 0 if since is None else int((now - since) * g711.SAMPLE_RATE)
        return self.sent(self._timestamp + passed, self._segment_left)

    @property
    def _segment_left(self) -> int:
        if self.leading_in:
            return self._lead_in_left
        return self._tail_left if self.ended else self._frames_left

    def _packets_sent(self, segment_left: int) -> int:
        done = self._lead_in - self._lead_in_left + self._frames - self._frames_left + self.tail_sent
        done += self._segment_left - segment_left
        return done + self._sent_before + self._digit_packets - self._failures

    def heard(self, now: float, *, held_back: int = 0) -> Heard | None:
        """What has come of the source that it hears; None: nothing, or nobody counts the packets."""
        return self._reception.heard(now, held_back)

    def sample(self, one_in: int) -> None:
        """Only one of so many of the callee's audio packets gets to us from now on, and nobody counts the rest."""
        self._reception.sample(one_in)

    def stats(self, now: float, *, held_back: int = 0) -> SessionStats:
        """The figures so far; `held_back` is how many of the callee's packets the system kept from us unseen."""
        received, lost = self._reception.figures(now, held_back)
        return SessionStats(
            sent=self._packets_sent(self._segment_left),
            received=received,
            lost=lost,
            jitter_ms=self._reception.jitter_ms,
            played_frames=self.played_frames,
            played_before=self._played_before,
            discarded=self._discarded,
            strangers=self._source.strangers,
            encryption=self.protection.suite if self.protection is not None else None,
        )

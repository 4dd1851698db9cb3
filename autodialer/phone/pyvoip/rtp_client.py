"""pyVoIP's RTP client as a handle on one session of the media process: no thread and no socket of its own."""

from collections.abc import Callable, Sequence

from pyVoIP import RTP

from autodialer.errors import Conflict, Invalid
from autodialer.media.dtmf import EVENTS
from autodialer.media.shell import MediaProcess, SrtpKeys
from autodialer.phone.plan import LATCHES_MS, Address, CallPlan
from autodialer.sip.sdp import MediaPlan

_KINDS = {"PCMU": RTP.PayloadType.PCMU, "PCMA": RTP.PayloadType.PCMA}


def codecs_of(media: MediaPlan) -> dict[int, RTP.PayloadType]:
    """Payload types as pyVoIP keeps them."""
    codecs = {media.payload_type: _KINDS[media.codec]}
    if media.telephone_event_pt is not None:
        codecs[media.telephone_event_pt] = RTP.PayloadType.EVENT
    return codecs


def keys_of(media: MediaPlan) -> SrtpKeys | None:
    """The keys as the media process takes them."""
    keys = media.keys
    return SrtpKeys(suite=keys.suite, ours=keys.ours, theirs=keys.theirs) if keys is not None else None


class RtpClient(RTP.RTPClient):
    """Plays one encoded sound from the media process to the callee.

    `write` and `read` of stock pyVoIP move 8-bit audio through this process and so cannot keep time; they are refused.
    """

    def __init__(
        self,
        assoc: dict[int, RTP.PayloadType],
        inIP: str,
        inPort: int,
        outIP: str,
        outPort: int,
        sendrecv: RTP.TransmitType,
        dtmf: Callable[[str], None] | None = None,
        *,
        media: MediaProcess,
        session_id: str,
        plan: CallPlan,
        symmetric: bool = True,
        peer_host: str | None = None,
        earlier: Sequence[Address] = (),
        reports_to: Address | None = None,
        behind_nat: bool = False,
        keys: SrtpKeys | None = None,
    ) -> None:
        super().__init__(assoc, inIP, inPort, outIP, outPort, sendrecv, dtmf=dtmf)
        self._media = media
        self._session_id = session_id
        self._plan = plan
        self._symmetric = symmetric
        self._peer_host = peer_host
        self._earlier = earlier
        self._reports_to = reports_to
        self._behind_nat = behind_nat
        self._keys = keys
        self.held = True
        """Nothing may be sent now: the callee holds the call, or `start` is still to come."""

    def start(self) -> None:
        """Send the call's sound to the callee from the next slot of the pacing grid on."""
        codec, payload_type, event_pt = self._codec()
        self._media.play(
            self._session_id,
            remote=(self.outIP, self.outPort),
            codec=codec,
            payload_type=payload_type,
            sound_stem=self._plan.sound_stem,
            telephone_event_pt=event_pt,
            lead_in_ms=self._lead_in_ms,
            symmetric=self._symmetric,
            peer_host=self._peer_host,
            earlier=self._earlier,
            reports_to=self._reports_to,
            keys=self._keys,
        )
        self.held = False

    @property
    def _lead_in_ms(self) -> int:
        if self._plan.lead_in_ms is not None:
            return self._plan.lead_in_ms
        # Only a gateway that follows our packets, as it does behind a NAT, withholds the first few.
        return LATCHES_MS if self._behind_nat else 0

    def _codec(self) -> tuple[str, int, int | None]:
        """Codec, its payload type, and that of telephone-events."""
        codec, payload_type = next(
            (str(kind.description), number) for number, kind in self.assoc.items() if kind is not RTP.PayloadType.EVENT
        )
        events = [number for number, kind in self.assoc.items() if kind is RTP.PayloadType.EVENT]
        return codec, payload_type, events[0] if events else None

    def send_digits(self, digits: str) -> None:
        """Press keys as telephone-events (RFC 4733); the sound stands still meanwhile. Raises Conflict, Invalid."""
        if not digits or set(digits) - set(EVENTS):
            raise Invalid("digits takes 0 to 9, *, # and A to D.", field="digits")
        if self._codec()[2] is None:
            raise Conflict("The callee's side takes no telephone-events, so no digits can be sent to it.")
        if self.held:
            raise Conflict("The callee holds the call; digits can be sent once that is over.")
        self._media.send_digits(self._session_id, digits)

    def hold(self, media: MediaPlan | None = None) -> None:
        """Send nothing for a while; the sound stops where it is. `media`: what the peer has said, if it is held."""
        self.held = True
        # 0.0.0.0 is an old way to hold a call (RFC 3264 section 8.4), and no place that packets come from.
        there = (media.host, media.port) if media is not None and not media.nowhere else None
        keys = keys_of(media) if media is not None else None
        self._media.hold(self._session_id, remote=there, keys=keys)

    def repeat(self) -> None:
        """Begin the sound again; while the callee holds the call it waits for the end of that."""
        self._media.repeat(self._session_id)

    def move(self, media: MediaPlan) -> None:
        """Go on from where the sound stands, to the address and with the codecs of `media`."""
        self.held = False
        self._reports_to = media.rtcp
        self.assoc, self.outIP, self.outPort = codecs_of(media), media.host, media.port
        codec, payload_type, event_pt = self._codec()
        self._media.move(
            self._session_id,
            remote=(media.host, media.port),
            codec=codec,
            payload_type=payload_type,
            sound_stem=self._plan.sound_stem,
            telephone_event_pt=event_pt,
            reports_to=media.rtcp,
            keys=keys_of(media),
        )

    def watch(self, span_s: float) -> None:
        """Have it told when nothing has come from the callee's side for so long."""
        self._media.watch(self._session_id, span_s)

    def stop(self) -> None:
        """Send nothing more; the session's figures come back as an event."""
        self.NSD = False
        self._media.close(self._session_id)

    def write(self, data: bytes) -> None:
        """Refused: audio is played from an encoded sound."""
        raise NotImplementedError("this phone plays encoded sounds (CallPlan.sound_stem), it takes no stream")

    def read(self, length: int = 160, blocking: bool = True) -> bytes:
        """Refused: what the callee says is not passed on."""
        raise NotImplementedError("this phone does not pass the callee's audio on")

    def recv(self) -> None:
        """The media process receives."""

    def trans(self) -> None:
        """The media process sends."""

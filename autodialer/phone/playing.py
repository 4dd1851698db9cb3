"""What an answered call lets its callee hear: the sound, the sound again, or nothing; and how long it lasts after that.

Everything happens in the loop thread of the call's phone.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from autodialer.phone.hang_up import HangUp
from autodialer.phone.plan import CallPlan
from autodialer.sip.sdp import MediaPlan

TAIL_S = 0.3
"""From the last packet of the sound to our BYE, so that the callee's jitter buffer plays it out."""


class Stream(Protocol):
    """Our half of the call's RTP."""

    def start(self) -> None:
        """Send the sound."""

    def hold(self, media: MediaPlan | None = None) -> None:
        """Send nothing for a while; the sound stops where it is. `media`: what the peer has said, if it is held."""

    def move(self, media: MediaPlan) -> None:
        """Go on from where the sound stands, as both sides have agreed now."""

    def repeat(self) -> None:
        """Begin the sound again."""


class Listener(Protocol):
    """The call whose callee listens."""

    plan: CallPlan
    RTPClients: Sequence[Stream]

    def hangup(self, why: str) -> None:
        """End the call; `why` is a sentence for the record."""

    def run_later(self, delay_s: float, fn: Callable[[], object]) -> None:
        """Run `fn` in the loop thread after a while."""


class Playing:
    """The sound of one call."""

    def __init__(self, call: Listener) -> None:
        """`call` may be a weak proxy; `stop` comes before its end."""
        self._call = call
        self._media: MediaPlan | None = None
        """What both sides agreed to last; None as long as the sound has no address to go to."""
        self._repeats = 0
        """How often the sound was begun again."""
        self._over = False
        """The sound is at its end."""
        self.paused = False
        """Nothing is played and nobody hangs up, whatever the callee's side asks of the media."""
        self._turn = 0
        """Counts what puts off the end of a call whose sound is over."""

    def begin(self, media: MediaPlan) -> None:
        """Send the sound."""
        self._media = media
        for client in self._call.RTPClients:
            client.start()

    def follow(self, media: MediaPlan) -> None:
        """The callee moved, held or resumed the media."""
        self._media = media
        # A transfer is under way: the callee's side often holds the
        # call meanwhile, and the sound waits for its end anyway.
        if self.paused:
            return
        for client in self._call.RTPClients:
            if media.held:
                client.hold(media)
            else:
                client.move(media)

    def repeat(self) -> None:
        """Begin the sound again, whether or not it is at its end."""
        if self.paused or self._media is None:
            return
        self._turn += 1
        self._repeats += 1
        self._over = False
        for client in self._call.RTPClients:
            client.repeat()

    def pause(self) -> None:
        """Be silent, and do not hang up, until `resume`."""
        self._turn += 1
        self.paused = True
        for client in self._call.RTPClients:
            client.hold()

    def resume(self) -> None:
        """Go on where the sound stands; after its end the callee has the whole wait for a key again."""
        self.paused = False
        if self._media is not None:
            self.follow(self._media)
        if self._over:
            self._end_soon()

    def finished(self, repeats: int) -> None:
        """The last packet of the sound has left; by then it had been begun again so many times."""
        # Told of a play before the latest repeat, which was on its way when the sound was begun again.
        if repeats == self._repeats:
            self._over = True
            self._end_soon()

    def stop(self) -> None:
        """The call is over."""
        self._turn += 1

    def _end_soon(self) -> None:
        turn = self._turn

        def end() -> None:
            if turn == self._turn and not self.paused:
                self._call.hangup(HangUp.SOUND_OVER)

        self._call.run_later(TAIL_S + self._call.plan.key_wait_s, end)

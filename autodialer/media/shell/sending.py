"""What is sent when: the pacing grid, the decks of its slots, and the sockets that their packets leave by."""

import math
import socket
from collections.abc import Iterator

from autodialer.media import g711
from autodialer.media.deck import Deck
from autodialer.media.departures import Departures
from autodialer.media.digit_sender import DigitSender
from autodialer.media.lateness import Lateness
from autodialer.media.pacer import SLOTS, Pacer
from autodialer.media.reporting import Sent
from autodialer.media.secure_deck import SecureDeck
from autodialer.media.shell.senders import Line, Sender

PROGRESS_PERIODS = 50
"""Each session tells how far it is once in so many periods, 1 s: what the record says if this process dies."""


class Slot:
    """The decks of one slot: of the lines with sockets of their own, and of each shared socket."""

    def __init__(self) -> None:
        self._decks: dict[tuple[socket.socket | None, bool], Deck[Line]] = {}
        """By shared socket (None: each line has its own), and whether their packets are encrypted."""
        self.pressing: dict[Line, DigitSender] = {}
        """Those that send digits now, and so are in no deck."""

    def deck_for(self, line: Line) -> Deck[Line]:
        """Where a line's session belongs."""
        kind = (line.socket if line.shares_socket else None, line.session.protection is not None)
        deck = self._decks.get(kind)
        if deck is None:
            deck = self._decks[kind] = SecureDeck() if kind[1] else Deck()
        return deck

    def decks(self) -> Iterator[tuple[Deck[Line], socket.socket | None]]:
        """All decks that hold anything, with their shared socket."""
        for (shared, _secure), deck in self._decks.items():
            if deck.count:
                yield deck, shared

    def close_shared(self, shared: socket.socket) -> None:
        """A shared socket is given up."""
        for secure in (False, True):
            self._decks.pop((shared, secure), None)


class Sending:
    """All lines that are sending."""

    def __init__(self, sender: Sender, now: float) -> None:
        self._sender = sender
        self._pacer = Pacer(now)
        self._slots = [Slot() for _ in range(SLOTS)]
        self._departures = Departures(SLOTS)
        self._period = 0
        self.lateness = Lateness()

    @property
    def deadline(self) -> float:
        """Monotonic time of the next slot."""
        return self._pacer.deadline

    def __len__(self) -> int:
        return len(self._pacer)

    def add(self, line: Line, now: float) -> None:
        """Send the line's session, which is `playing`. Harmless when it is sent already."""
        # The grid of a time without calls has its deadline far back; a new one begins with this call.
        if not self._pacer:
            self._pacer = Pacer(now)
        slot = self._pacer.add(line.session)
        # It goes back to its deck when the digits are over.
        if line in self._slots[slot].pressing:
            return
        self._slots[slot].deck_for(line).add(line.session, line, line.descriptor)
        self._departures.join(line.session, slot)
        if line.session.unsent_digits:
            self.press(line, "", now)

    def press(self, line: Line, digits: str, now: float) -> None:
        """Send digits, after those that are being sent or wait; the sound stands still meanwhile.

        The session `takes_digits`; it keeps its place on the grid, packet by packet instead of in a deck.
        """
        if not self._pacer:
            self._pacer = Pacer(now)
        slot = self._slots[self._pacer.add(line.session)]
        if line in slot.pressing:
            slot.pressing[line].add(digits)
            return
        slot.deck_for(line).remove(line.session)
        self._departures.leave(line.session)
        waiting, line.session.unsent_digits = line.session.unsent_digits, ""
        slot.pressing[line] = line.session.begin_digits(waiting + digits, now)

    def _send_digits(self, slot: Slot, now: float) -> None:
        for line, sender in list(slot.pressing.items()):
            packet = sender.next_packet()
            if packet is not None:
                line.send_rtp(packet)
            if sender.done:
                del slot.pressing[line]
                line.session.end_digits(sender, now)
                if line.session.playing:
                    self.add(line, now)
                else:
                    self._pacer.remove(line.session)

    def remove(self, line: Line) -> None:
        """Send nothing more; its session has its numbers back. Harmless when it is not sent."""
        slot = self._pacer.slot_of(line.session)
        if slot is not None:
            sender = self._slots[slot].pressing.pop(line, None)
            if sender is not None:
                line.session.end_digits(sender, self._pacer.deadline)
            self._slots[slot].deck_for(line).remove(line.session)
            self._pacer.remove(line.session)
            self._departures.leave(line.session)

    def close(self, line: Line, ended_at: float | None) -> int:
        """Send nothing more for good.

        How many packets of the sound left after the monotonic time of the call's end (None: now).
        """
        self.remove(line)
        # What left after the end may have been the silence behind the sound, which was never played.
        late = self._departures.forget(line.session, math.inf if ended_at is None else ended_at)
        return max(0, late - line.session.tail_sent)

    def sent_by(self, line: Line, now: float) -> Sent | None:
        """What the line's session has sent, with the timestamp of this moment; None while it presses keys."""
        slot = self._pacer.slot_of(line.session)
        if slot is None:
            return line.session.sent_at_rest(now)
        if line in self._slots[slot].pressing:
            return None
        standing = self._slots[slot].deck_for(line).standing(line.session)
        if standing is None:
            return None
        timestamp, left = standing
        # The deck's timestamp is that of the next packet; a report
        # wants that of its own instant (RFC 3550 section 6.4.1).
        ahead = (self._pacer.next_turn(slot) - now) * g711.SAMPLE_RATE
        return line.session.sent(timestamp - round(ahead), left)

    def redirect(self, line: Line) -> None:
        """The session's packets go to where its `remote` is now."""
        slot = self._pacer.slot_of(line.session)
        if slot is not None:
            self._slots[slot].deck_for(line).redirect(line.session)

    def close_shared(self, shared: socket.socket) -> None:
        """A shared socket is given up; nobody sends through it now."""
        for slot in self._slots:
            slot.close_shared(shared)

    def send_due(self, now: float) -> tuple[list[Line], dict[str, int]]:
        """Send one packet of each session of the next slot, if its time has come.

        The lines whose sound has ended, after which silence is sent, and name -> packets of the sound that have left,
        of some of the others.
        """
        late_s = now - self._pacer.deadline
        number = self._pacer.due(now)
        if number is None:
            return [], {}
        packets = 0
        if number == 0:
            self._period = (self._period + 1) % PROGRESS_PERIODS
        ended: list[Line] = []
        progress: dict[str, int] = {}
        self._departures.sent(number, now)
        for deck, shared in self._slots[number].decks():
            packets += deck.count
            failed = self._send(deck, shared)
            ended += [line for _session, line in deck.advance(failed)]
            # A fiftieth in each period, so that there is no turn in which all of them are told.
            for row in range(self._period, deck.count, PROGRESS_PERIODS):
                progress[deck.owners[row].name] = deck.played_frames(deck.sessions[row])
        self._send_digits(self._slots[number], now)
        self.lateness.add(late_s, packets)
        return ended, progress

    def _send(self, deck: Deck[Line], shared: socket.socket | None) -> list[int]:
        unready = deck.prepare()
        unsent = self._sender.send_shared(deck, shared) if shared is not None else self._sender.send_each(deck)
        return unsent if not unready else sorted({*unready, *unsent})

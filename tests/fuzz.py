"""Garbage at every parser that reads the network: `python -m tests.fuzz --seconds 600` (make fuzz).

Takes the messages that the tests keep, flips bits, cuts, doubles and glues them, and hands them to the parsers and to a
user agent with a live call. An exception is a defect; the seed that made it is printed and makes it again.
"""

import argparse
import random
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from autodialer.media import rtp
from autodialer.media.session import Session
from autodialer.sip.invite import InviteRequest
from autodialer.sip.message import parse_message
from autodialer.sip.sdp import build_offer, extract_sdp, negotiate
from autodialer.sip.user_agent import UserAgent, UserAgentConfig

CODECS = ("PCMA", "PCMU")
GATEWAY = ("127.0.0.1", 5060)
RTP = [rtp.pack(8, 1, 160, 7, bytes(160), marker=True), rtp.pack(101, 2, 160, 7, b"\x05\x8a\x03\x20")]


def corpus() -> list[bytes]:
    """What is mutated: the wire messages of the SIP tests, an SDP, RTP packets."""
    folder = Path(__file__).parent / "sip" / "messages"
    return [
        *(file.read_bytes() for file in sorted(folder.rglob("*.sip"))),
        build_offer("127.0.0.1", 4000, CODECS),
        *RTP,
    ]


def mutate(source: random.Random, seeds: Sequence[bytes]) -> bytes:
    """One damaged message."""
    data = bytearray(source.choice(seeds))
    for _ in range(source.randint(0, 8)):
        place = source.randrange(len(data) + 1)
        match source.randrange(5):
            case 0 if data:
                data[place % len(data)] ^= 1 << source.randrange(8)
            case 1:
                del data[place : place + source.randrange(40)]
            case 2:
                data[place:place] = data[place : place + source.randrange(80)]
            case 3:
                data[place:place] = source.randbytes(source.randrange(12))
            case _:
                other = source.choice(seeds)
                data[place:] = other[source.randrange(len(other) + 1) :]
    return bytes(data[:65_000])


class Targets:
    """What is attacked. The user agent and the session live on from one message to the next."""

    def __init__(self) -> None:
        self.agent = UserAgent(UserAgentConfig(local_address=("127.0.0.1", 5070)))
        self.now = 0.0
        self.session = Session(random.Random(1))
        self.session.play(
            remote=GATEWAY, codec="PCMA", payload_type=8, codes=bytes(1600), telephone_event_pt=101, lead_in_ms=0
        )
        self.all: list[Callable[[bytes], object]] = [
            parse_message,
            lambda data: negotiate(data, CODECS),
            lambda data: extract_sdp("multipart/mixed;boundary=x", data),
            rtp.parse,
            lambda data: self.session.receive(data, ("127.0.0.1", 4), self.now),
            self._receive,
        ]

    def _receive(self, data: bytes) -> None:
        self.now += 0.01
        if not self.agent.live_calls:
            offer = build_offer("127.0.0.1", 4000, CODECS)
            invite = InviteRequest(target="sip:1@127.0.0.1", from_uri="sip:2@127.0.0.1", next_hop=GATEWAY, sdp=offer)
            self.agent.invite(invite, self.now)
        self.agent.receive_datagram(data, GATEWAY, self.now)
        self.agent.handle_timer(self.now)
        self.agent.datagrams_to_send()
        while self.agent.next_event():
            pass


def run(seed: int, *, seconds: float | None = None, rounds: int | None = None) -> int:
    """Attack for so long or so often; how many messages. Raises what a target raised, with the seed in a note."""
    source, seeds, targets = random.Random(seed), corpus(), Targets()
    ends_at = time.monotonic() + (seconds or 0)
    done = 0
    while done < rounds if rounds is not None else time.monotonic() < ends_at:
        data = mutate(source, seeds)
        for target in targets.all:
            try:
                target(data)
            except Exception as exc:
                exc.add_note(f"seed {seed}, message {done}: {data!r}")
                raise
        done += 1
    return done


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    options = parser.parse_args()
    print(f"seed {options.seed}, {options.seconds:.0f} s ...", flush=True)
    print(f"{run(options.seed, seconds=options.seconds)} damaged messages, no exception")
    return 0


if __name__ == "__main__":
    sys.exit(main())

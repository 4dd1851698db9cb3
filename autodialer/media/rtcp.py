"""RTCP packets (RFC 3550 section 6): sender and receiver reports, SDES, BYE. Pure."""

import struct
from dataclasses import dataclass, field

SR, RR, SDES, BYE = 200, 201, 202, 203
CNAME = 1
NTP_EPOCH_S = 2_208_988_800
"""From 1900, where NTP begins, to 1970."""
_HEADER = struct.Struct("!BBH")
_SENDER = struct.Struct("!QIII")
_BLOCK = struct.Struct("!IIIIII")
_WORD = struct.Struct("!I")
MAX_LOST = 0x7FFFFF


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportBlock:
    """What a receiver says of one stream, RFC 3550 section 6.4.1."""

    ssrc: int
    """Of the stream."""
    fraction_lost: float
    """Of the packets since the last report, 0 to 1, in steps of 1/256."""
    lost: int
    """Packets since the beginning; below 0 when some came twice."""
    highest: int
    """Highest sequence number received, with the count of its cycles above 16 bits."""
    jitter: int
    """Timestamp units."""
    last_sr: int
    """Middle 32 bits of the NTP time of the last SR from the stream's source; 0: none came."""
    delay_since_last_sr: int
    """From that SR to this report, 1/65536 s."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SenderInfo:
    """What a sender reports about itself."""

    ntp: int
    """64 bits: seconds since 1900 and their fraction."""
    timestamp: int
    """The RTP timestamp of the same instant."""
    packets: int
    octets: int
    """Of payload."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """An SR; without a `sender`, an RR."""

    ssrc: int
    """Whose report it is."""
    sender: SenderInfo | None = None
    blocks: tuple[ReportBlock, ...] = field(default=())

    def __bytes__(self) -> bytes:
        body = _WORD.pack(self.ssrc)
        if self.sender is not None:
            info = self.sender
            octets, packets = info.octets & 0xFFFFFFFF, info.packets & 0xFFFFFFFF
            body += _SENDER.pack(info.ntp, info.timestamp & 0xFFFFFFFF, packets, octets)
        body += b"".join(_pack_block(block) for block in self.blocks)
        return _packet(RR if self.sender is None else SR, len(self.blocks), body)


def _pack_block(block: ReportBlock) -> bytes:
    # 24 bits with a sign: RFC 3550 appendix A.3 has it stop at the end of its range instead of wrapping.
    lost = max(-MAX_LOST - 1, min(block.lost, MAX_LOST)) & 0xFFFFFF
    # 8 bits do not hold the 256 of a total loss.
    fraction = max(0, min(int(block.fraction_lost * 256), 255))
    return _BLOCK.pack(
        block.ssrc,
        fraction << 24 | lost,
        block.highest & 0xFFFFFFFF,
        block.jitter & 0xFFFFFFFF,
        block.last_sr & 0xFFFFFFFF,
        block.delay_since_last_sr & 0xFFFFFFFF,
    )


def sdes(ssrc: int, cname: str) -> bytes:
    """A source description of nothing but the CNAME (RFC 3550 section 6.5.1)."""
    name = cname.encode("utf-8")[:255]
    chunk = _WORD.pack(ssrc) + bytes((CNAME, len(name))) + name
    # RFC 3550 section 6.5: a null octet ends the items, and further ones fill the word: one to four.
    return _packet(SDES, 1, chunk + bytes(4 - len(chunk) % 4))


def bye(ssrc: int) -> bytes:
    """The source sends no more (RFC 3550 section 6.6)."""
    return _packet(BYE, 1, _WORD.pack(ssrc))


def _packet(kind: int, count: int, body: bytes) -> bytes:
    return _HEADER.pack(0x80 | count, kind, len(body) // 4) + body


def is_rtcp(data: bytes) -> bool:
    """Whether a datagram could be RTCP rather than RTP (RFC 5761 section 4)."""
    return len(data) >= 8 and data[0] >> 6 == 2 and 192 <= data[1] <= 223


def looks_like_report(data: bytes) -> bool:
    """Whether the readable head of a packet, which may be encrypted, is RTCP's (RFC 5761 section 4)."""
    return len(data) >= 8 and data[0] & 0xC0 == 0x80 and 192 <= data[1] <= 223


def reports_in(data: bytes) -> list[Report]:
    """The reports of a compound packet, in their order; empty unless the packet is well-formed from end to end.

    The checks are those of RFC 3550 appendix A.2: version 2 throughout, a report first, padding in the last only.
    """
    # A report first, and no padding in it: RTP with an odd payload type, or noise, hardly ever passes both.
    if not is_rtcp(data) or data[1] not in (SR, RR) or data[0] & 0x20:
        return []
    found = []
    start = 0
    while start < len(data):
        if len(data) - start < _HEADER.size:
            return []
        first, kind, words = _HEADER.unpack_from(data, start)
        end = start + 4 * (words + 1)
        if first >> 6 != 2 or end > len(data) or (first & 0x20 and end != len(data)):
            return []
        if kind in (SR, RR):
            report = _report(kind, first & 0x1F, data[start + _HEADER.size : end])
            if report is None:
                return []
            found.append(report)
        start = end
    return found


def _report(kind: int, count: int, body: bytes) -> Report | None:
    blocks_at = _WORD.size + (_SENDER.size if kind == SR else 0)
    if len(body) < blocks_at + count * _BLOCK.size:
        return None
    sender = None
    if kind == SR:
        ntp, timestamp, packets, octets = _SENDER.unpack_from(body, _WORD.size)
        sender = SenderInfo(ntp=ntp, timestamp=timestamp, packets=packets, octets=octets)
    blocks = tuple(_block(body, blocks_at + number * _BLOCK.size) for number in range(count))
    return Report(ssrc=_WORD.unpack_from(body)[0], sender=sender, blocks=blocks)


def _block(body: bytes, start: int) -> ReportBlock:
    ssrc, loss, highest, jitter, last_sr, delay = _BLOCK.unpack_from(body, start)
    lost = loss & 0xFFFFFF
    return ReportBlock(
        ssrc=ssrc,
        fraction_lost=(loss >> 24) / 256,
        lost=lost - 0x1000000 if lost > MAX_LOST else lost,
        highest=highest,
        jitter=jitter,
        last_sr=last_sr,
        delay_since_last_sr=delay,
    )


def ntp_time(epoch_s: float) -> int:
    """The 64 bits of a UNIX time in seconds."""
    return int((epoch_s + NTP_EPOCH_S) * 2**32) & 0xFFFFFFFFFFFFFFFF


def middle(ntp: int) -> int:
    """The middle 32 bits of an NTP time, 1/65536 s: what a report says of the last SR."""
    return (ntp >> 16) & 0xFFFFFFFF

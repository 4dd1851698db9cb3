"""A trace for people: a ladder of the messages between us and the peers, then every message whole.

seconds   us                                             peer
 +0.000    |-- INVITE sip:79161234567@192.0.2.9 --------->| 192.0.2.9:5060 UDP   CSeq 1 INVITE, SDP
 +0.021    |<------------------------- 401 Unauthorized --| 192.0.2.9:5060 UDP   CSeq 1 INVITE, To tag as1
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from autodialer.sip.hop import Hop
from autodialer.sip.message import Discard, Request, Response, parse_message
from autodialer.sip.trace import Trace, TracedMessage

_WIDEST = 64
"""Characters of a first line in the ladder; the whole of it stands below."""
_KEPT_CONTROLS = {"\n": "\n", "\t": "\t", "\r": ""}


@dataclass(frozen=True)
class _Rung:
    """One line of the ladder."""

    message: TracedMessage
    label: str
    notes: str


def render(trace: Trace, *, title: str) -> str:
    """The trace as text; `title` is its first line."""
    lines = [title, f"+0.000 is {trace.began_at:%Y-%m-%d %H:%M:%S.%f}"[:-3] + " UTC", ""]
    rungs = list(_rungs(trace.messages))
    width = max((len(rung.label) for rung in rungs), default=0) + 8
    lines.append(f"{'seconds':>11}   {'us':<{width}} peer")
    lines += [_rung_line(rung, width) for rung in rungs]
    if trace.missed:
        lines.append(f"{'':>14}{_messages(trace.missed)} more came and went when the trace was full.")
    for number, message in enumerate(trace.messages, 1):
        way = "sent to" if message.sent else "received from"
        length = f"{len(message.data)} bytes"
        lines += [
            "",
            f"---- {number}: {_time(message)} s, {way} {_peer(message.hop)}, {length}",
            _text(message.data).rstrip("\n"),
        ]
    return "\n".join(lines) + "\n"


def _rung_line(rung: _Rung, width: int) -> str:
    label = f" {rung.label} "
    if rung.message.sent:
        arrow = f"--{label:-<{width - 3}}>"
    else:
        arrow = f"<{label:->{width - 3}}--"
    return f"{_time(rung.message):>11}    |{arrow}| {_peer(rung.message.hop)}   {rung.notes}".rstrip()


def _rungs(messages: Sequence[TracedMessage]) -> Iterator[_Rung]:
    first_seen: dict[tuple[bool, bytes], TracedMessage] = {}
    tags: set[str] = set()
    for message in messages:
        earlier = first_seen.setdefault((message.sent, message.data), message)
        label, notes = _describe(message, tags)
        if earlier is not message:
            notes.append(f"the one of {_time(earlier)} again")
        yield _Rung(message, label, ", ".join(notes))


def _describe(message: TracedMessage, tags: set[str]) -> tuple[str, list[str]]:
    """What happens, and what stands beside it; a To tag is told where it is new."""
    parsed = parse_message(message.data)
    if isinstance(parsed, Discard):
        return _short(_text(message.data.split(b"\n", 1)[0])), []
    notes = [f"CSeq {parsed.cseq} {parsed.cseq_method}"]
    tag = parsed.to_tag
    if tag is not None and tag not in tags:
        tags.add(tag)
        notes.append(f"To tag {_short(_printable(tag))}")
    if parsed.body:
        notes.append("SDP" if (parsed.content_type or "").lower().startswith("application/sdp") else "with a body")
    return _short(_printable(_start_line(parsed))), notes


def _start_line(message: Request | Response) -> str:
    if isinstance(message, Request):
        return f"{message.method} {message.uri}"
    return f"{message.code} {message.reason}".rstrip()


def _time(message: TracedMessage) -> str:
    return f"{message.after_s:+.3f}"


def _peer(hop: Hop) -> str:
    return f"{hop.host}:{hop.port} {hop.transport}"


def _messages(count: int) -> str:
    return f"{count} message" if count == 1 else f"{count} messages"


def _short(text: str) -> str:
    return text if len(text) <= _WIDEST else text[: _WIDEST - 3] + "..."


def _text(data: bytes) -> str:
    return _printable(data.decode("utf-8", "backslashreplace"))


def _printable(text: str) -> str:
    """What a peer wrote must not steer a terminal."""
    return "".join(each if each.isprintable() else _KEPT_CONTROLS.get(each, ascii(each)[1:-1]) for each in text)

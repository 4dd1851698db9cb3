"""SIPp scenarios, built from small typed parts; each part is the XML of one or a few SIPp commands.

SIPp's traps, minded here: it rejects `SIP/2.0 [code]` (so a code is written into the scenario); `[cseq]` after an ACK
or CANCEL is not the INVITE's (so the INVITE's headers are captured by ereg); a captured variable that nobody reads is
an error (so all are referenced).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import quoteattr

from tests.timing import at_most

TO_TAG = "[pid]gateway[call_number]"
"""The tag the gateway adds to the To header of what opens a dialog."""

LOG_LINE = "request=[$method] call-id=[call_id] number=[$number] uri=[$uri]"

LAST_HEADERS = ("[last_Via:]", "[last_From:]", f"[last_To:];tag={TO_TAG}", "[last_Call-ID:]", "[last_CSeq:]")
IN_DIALOG_HEADERS = ("[last_Via:]", "[last_From:]", "[last_To:]", "[last_Call-ID:]", "[last_CSeq:]")
INVITE_HEADERS = (
    "Via:[$invite_via]",
    "From:[$invite_from]",
    f"To:[$invite_to];tag={TO_TAG}",
    "[last_Call-ID:]",
    "CSeq:[$invite_cseq]",
)
CONTACT = "Contact: <sip:[service]@[local_ip]:[local_port];transport=[transport]>"
RECORD_ROUTE = "[last_Record-Route:]"

REASONS: dict[int, str] = {
    100: "Trying", 180: "Ringing", 183: "Session Progress", 200: "OK", 302: "Moved Temporarily", 400: "Bad Request",
    401: "Unauthorized", 402: "Payment Required", 403: "Forbidden", 404: "Not Found",
    407: "Proxy Authentication Required", 408: "Request Timeout", 410: "Gone",
    422: "Session Interval Too Small", 480: "Temporarily Unavailable",
    484: "Address Incomplete", 486: "Busy Here", 487: "Request Terminated", 488: "Not Acceptable Here",
    500: "Server Internal Error", 501: "Not Implemented", 502: "Bad Gateway", 503: "Service Unavailable",
    504: "Server Time-out", 580: "Precondition Failure", 600: "Busy Everywhere", 603: "Decline",
    491: "Request Pending", 604: "Does Not Exist Anywhere", 606: "Not Acceptable", 607: "Unwanted", 608: "Rejected",
}  # fmt: skip

ANSWER_SDP = (
    "v=0",
    "o=gateway 1 1 IN IP4 [local_ip]",
    "s=-",
    "c=IN IP4 [sink_host]",
    "t=0 0",
    "m=audio [sink_port] RTP/AVP 8 101",
    "a=rtpmap:8 PCMA/8000",
    "a=rtpmap:101 telephone-event/8000",
    "a=fmtp:101 0-15",
    "a=ptime:20",
    "a=sendrecv",
)
"""PCMA to the gateway's RTP sink; SIPp fills in the address."""

PCMU_SDP = tuple(
    line.replace("RTP/AVP 8 ", "RTP/AVP 0 ").replace("rtpmap:8 PCMA", "rtpmap:0 PCMU") for line in ANSWER_SDP
)


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A whole SIPp scenario."""

    name: str
    """Names the scenario and its files: letters, digits, underscores."""
    body: str
    """The commands between <scenario> and </scenario>."""
    retransmits: bool = True
    """False runs SIPp with `-nr`: it then repeats nothing by itself."""

    @property
    def xml(self) -> str:
        """The file SIPp reads."""
        return (
            f'<?xml version="1.0" encoding="ISO-8859-1" ?>\n<scenario name="{self.name}">\n{self.body}\n</scenario>\n'
        )


def sequence(*parts: str) -> str:
    """Parts one after the other."""
    return "\n".join(part for part in parts if part)


def send(
    start: str,
    headers: Sequence[str],
    *,
    body: Sequence[str] = (),
    retransmit_ms: int | None = None,
    lost: bool = False,
    content_type: str = "application/sdp",
) -> str:
    """Send a message; `retransmit_ms` repeats it, doubling, until what is expected next is there; `lost` drops it."""
    typed = [f"Content-Type: {content_type}"] if body else []
    lines = [start, *headers, *typed, "Content-Length: [len]", "", *body]
    attributes = (f' retrans="{retransmit_ms}"' if retransmit_ms else "") + (' lost="100"' if lost else "")
    text = "\n".join("      " + line for line in lines)
    return f"  <send{attributes}><![CDATA[\n{text}\n\n  ]]></send>"


def respond(
    code: int,
    *,
    reason: str | None = None,
    headers: Sequence[str] = LAST_HEADERS,
    extra: Sequence[str] = (),
    sdp: Sequence[str] = (),
    retransmit_ms: int | None = None,
) -> str:
    """Answer the INVITE; `headers` says which request's headers come back, `extra` adds more."""
    contact = [CONTACT, RECORD_ROUTE] if 100 < code < 300 else []
    start = f"SIP/2.0 {code} {reason or REASONS.get(code, 'Whatever')}"
    return send(start, [*headers, *contact, *extra], body=sdp, retransmit_ms=retransmit_ms)


def capture(header: str, variable: str, *, occurrence: int = 1) -> str:
    """Keep a header's value, with its leading blank, of the message just received."""
    return (
        f'      <ereg regexp=".*" search_in="hdr" header={quoteattr(header + ":")} occurrence="{occurrence}" '
        f'check_it="true" assign_to={quoteattr(variable)}/>'
    )


def match(pattern: str, variable: str) -> str:
    """Set a variable if the message just received matches, and leave it unset if not."""
    return f'      <ereg regexp={quoteattr(pattern)} search_in="msg" check_it="false" assign_to={quoteattr(variable)}/>'


def log(message: str) -> str:
    """Write a line into the gateway's log."""
    return f"      <log message={quoteattr(message)}/>"


def receive(
    method: str,
    *actions: str,
    optional: bool = False,
    timeout_ms: int | None = None,
    on_timeout: str | None = None,
    go_to: str | None = None,
    keep_routes: bool = False,
) -> str:
    """Wait for a request; an `optional` one is waited for together with the next that is not."""
    attributes = [f'request="{method}"']
    attributes += ['optional="true"'] if optional else []
    # Where the scenario goes on somewhere else the time is what the peer does, not how long the test waits.
    limit_ms = at_most(timeout_ms) if timeout_ms is not None and on_timeout is None else timeout_ms
    attributes += [f'timeout="{limit_ms:.0f}"'] if limit_ms is not None else []
    attributes += [f'ontimeout="{on_timeout}"'] if on_timeout else []
    attributes += [f'next="{go_to}"'] if go_to else []
    attributes += ['rrs="true"'] if keep_routes else []
    inside = f"\n    <action>\n{sequence(*actions)}\n    </action>\n  " if actions else ""
    return f"  <recv {' '.join(attributes)}>{inside}</recv>"


def receive_response(code: int, *, optional: bool = False, go_to: str | None = None) -> str:
    """Wait for a response to what the gateway sent itself."""
    attributes = f'response="{code}"' + (' optional="true"' if optional else "") + (f' next="{go_to}"' if go_to else "")
    return f"  <recv {attributes}></recv>"


def logged(method: str) -> str:
    """Actions that log a request: its method, Call-ID and the user part of its Request-URI."""
    pattern = f"^{method} (sips?:([^@; ]*)[^ ]*)"
    return sequence(
        f'      <assignstr assign_to="method" value="{method}"/>',
        f'      <ereg regexp={quoteattr(pattern)} search_in="msg" check_it="true" assign_to="line,uri,number"/>',
        log(LOG_LINE),
    )


def receive_invite(*actions: str) -> str:
    """Wait for the INVITE, log it, and keep what later messages of the dialog need."""
    kept = [capture(name, f"invite_{name.lower()}") for name in ("Via", "From", "To", "CSeq")]
    return sequence(receive("INVITE", logged("INVITE"), *kept, *actions, keep_routes=True), REFERENCES)


REFERENCES = '  <Reference variables="method,line,uri,number,invite_via,invite_from,invite_to,invite_cseq"/>'


def receive_logged(
    method: str,
    *,
    optional: bool = False,
    timeout_ms: int | None = None,
    on_timeout: str | None = None,
    go_to: str | None = None,
) -> str:
    """Wait for a request of the dialog and log it."""
    return receive(method, logged(method), optional=optional, timeout_ms=timeout_ms, on_timeout=on_timeout, go_to=go_to)


def pause(milliseconds: int) -> str:
    """Wait, taking nothing in."""
    return f'  <pause milliseconds="{milliseconds}"/>'


def label(name: str) -> str:
    """A place to go to."""
    return f'  <label id="{name}"/>'


def go_to(name: str, *, when: str | None = None) -> str:
    """Go to a label, always or when a variable was set."""
    return f'  <nop next="{name}"' + (f' test="{when}"' if when else "") + "></nop>"


def act(*actions: str) -> str:
    """Do actions between messages."""
    return f"  <nop><action>\n{sequence(*actions)}\n  </action></nop>"


def linger(milliseconds: int) -> str:
    """Keep the call a while, so that what is sent again finds it."""
    return f'  <timewait milliseconds="{milliseconds}"/>'


def answer_in_dialog(code: int = 200) -> str:
    """Answer the request of the dialog received last."""
    return send(f"SIP/2.0 {code} {REASONS.get(code, 'Whatever')}", IN_DIALOG_HEADERS)


def bye(*, retransmit_ms: int = 500) -> str:
    """The gateway hangs up: its own BYE to the caller's Contact over the recorded route."""
    headers = (
        "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]",
        "[routes]",
        "Max-Forwards: 70",
        f"From:[$invite_to];tag={TO_TAG}",
        "To:[$invite_from]",
        "[last_Call-ID:]",
        "CSeq: 1 BYE",
    )
    return send("BYE [next_url] SIP/2.0", headers, retransmit_ms=retransmit_ms)

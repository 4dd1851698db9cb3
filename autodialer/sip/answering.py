"""What we answer to requests of peers (RFC 3261 section 8.2 and 12.2.2): we call, and are not called."""

from autodialer.sip.addresses import plain
from autodialer.sip.call import Call
from autodialer.sip.capabilities import ALLOW, EXTENSIONS, SUPPORTED
from autodialer.sip.dialog import Dialog
from autodialer.sip.fields import Via
from autodialer.sip.hop import DEFAULT_PORTS, Hop
from autodialer.sip.info import reply_to_info
from autodialer.sip.message import Request, build_response
from autodialer.sip.session import Reply
from autodialer.sip.stack import MAGIC_COOKIE, Stack
from autodialer.sip.tokens import split
from autodialer.sip.transaction import InviteServer, NonInviteServer, ServerTransaction

_REASONS = {
    200: "OK",
    400: "Bad Request",
    405: "Method Not Allowed",
    415: "Unsupported Media Type",
    416: "Unsupported URI Scheme",
    420: "Bad Extension",
    422: "Session Interval Too Small",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist",
    488: "Not Acceptable Here",
    491: "Request Pending",
    500: "Server Internal Error",
    501: "Not Implemented",
    505: "Version Not Supported",
}
# RFC 3262 section 3: a PRACK for no response of ours gets 481, and we send none that wants a PRACK.
_IN_DIALOG = {"BYE": 200, "OPTIONS": 200, "PRACK": 481}
_CHANGES_SESSION = ("INVITE", "UPDATE")
_OUT_OF_DIALOG = {"OPTIONS": 200, "INVITE": 480} | dict.fromkeys(("BYE", "INFO", "NOTIFY", "UPDATE", "PRACK"), 481)
_UNWANTED = frozenset(("REGISTER", "SUBSCRIBE", "MESSAGE", "REFER", "PUBLISH"))
"""Known methods that we do not serve."""
_SCHEMES = frozenset(("sip", "sips", "tel"))
"""Of a Request-URI (RFC 3261 section 8.2.2.1)."""


def transaction_key(request: Request, via: Via, method: str) -> tuple[str, ...]:
    """What makes two requests copies of each other (RFC 3261 section 17.2.3)."""
    branch = via.params.get("branch", "")
    # The cookie alone tells nothing apart (RFC 4475 section 3.2.1).
    if branch.startswith(MAGIC_COOKIE) and len(branch) > len(MAGIC_COOKIE):
        return branch, via.host, str(via.port or DEFAULT_PORTS.get(via.transport, 0)), method
    top = request.get_all("via")[0]
    return request.uri, request.from_tag or "", request.call_id, str(request.cseq), top, method


def answer_request(
    stack: Stack, call: Call | None, request: Request, via: Via, source: Hop, now: float, *, known: bool
) -> str | None:
    """Answer a request, no ACK and no copy of an earlier one. Returns why it was dropped instead, if it was."""
    dialog = call.find_dialog(request) if call is not None else None
    if dialog is None and not known:
        return "unknown_host"
    key = transaction_key(request, via, request.method)
    # RFC 3261 section 18.2.2: on the connection that the request came by; by UDP to the port of its Via (RFC 3581).
    by_source = source.reliable or "rport" in via.params
    hop = source if by_source else source._replace(port=via.port or DEFAULT_PORTS[source.transport])
    kind = InviteServer if request.method == "INVITE" else NonInviteServer
    transaction: ServerTransaction = kind(stack, key, request.method, request.call_id, hop)
    transaction.begin(now)
    try:
        reply = _decide(stack, call, dialog, request, via, now)
    except Exception:
        # A transaction without a response would wait for it for ever; the owner of the core ends the call.
        transaction.respond(500, _response(stack, request, via, source, Reply(code=500)), now)
        raise
    data = _response(stack, request, via, source, reply)
    transaction.respond(reply.code, data, now)
    if call is None or dialog is None or reply.code != 200:
        return None
    if request.method == "BYE":
        call.receive_bye(dialog, request, now)
    elif request.method == "INVITE":
        call.await_ack(transaction, request, data, now)
    return None


def _decide(stack: Stack, call: Call | None, dialog: Dialog | None, request: Request, via: Via, now: float) -> Reply:
    method = request.method
    if request.fault is not None:
        return Reply(code=request.fault)
    if method == "CANCEL":
        # RFC 3261 section 9.2: the INVITE has had its final response already, so that there is nothing to cancel.
        return Reply(code=200 if transaction_key(request, via, "INVITE") in stack.servers else 481)
    if request.uri.partition(":")[0].lower() not in _SCHEMES:
        return Reply(code=416)
    unsupported = [value for value in request.get_all("require") if value.lower() not in EXTENSIONS]
    # The peer must be able to end the call, whatever its BYE requires.
    if unsupported and method != "BYE":
        return Reply(code=420, lines=tuple(f"Unsupported: {value}" for value in unsupported))
    unserved = 405 if method in _UNWANTED else 501
    if call is None or dialog is None:
        return Reply(code=481 if request.to_tag is not None else _OUT_OF_DIALOG.get(method, unserved))
    if dialog.peer_hung_up:
        return Reply(code=481)
    if not dialog.accept_cseq(request):
        return Reply(code=500)
    if method in _CHANGES_SESSION:
        return call.reply_to(dialog, request, now)
    if method == "INFO":
        return reply_to_info(call, dialog, request, stack.arrived_at)
    if method == "NOTIFY":
        return call.reply_to_notify(request, now)
    return Reply(code=_IN_DIALOG.get(method, unserved))


def _response(stack: Stack, request: Request, via: Via, source: Hop, reply: Reply) -> bytes:
    code = reply.code
    to = request.headers["to"][0]
    if request.to_tag is None:
        to += f";tag={stack.token()}"
    lines = [ALLOW, f"User-Agent: {stack.config.user_agent}", *reply.lines]
    if request.method == "OPTIONS" and code == 200:
        lines += ("Accept: application/sdp", SUPPORTED, stack.contact("", source))
    return build_response(
        request,
        code,
        _REASONS[code],
        via=_answered_via(request, via, source),
        to=to,
        header_lines=lines,
        sdp=reply.sdp,
    )


def _answered_via(request: Request, via: Via, source: Hop) -> str:
    """The topmost Via with where the request really came from (RFC 3261 section 18.2.1, RFC 3581 section 4)."""
    value = request.get_all("via")[0]
    if "rport" not in via.params:
        return value if plain(via.host) == source[0] else f"{value};received={source[0]}"
    # What the peer wrote there itself is left out: only what was seen counts.
    pieces = [
        piece for piece in split(value, ";") if piece.partition("=")[0].strip().lower() not in ("rport", "received")
    ]
    return ";".join((*pieces, f"rport={source[1]}", f"received={source[0]}"))

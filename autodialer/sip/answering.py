"""What we answer to requests of peers (RFC 3261 section 8.2 and 12.2.2): we call, and are not called."""

from autodialer.sip.call import ALLOW, Call
from autodialer.sip.fields import DEFAULT_PORT, Via
from autodialer.sip.invite import Address
from autodialer.sip.message import Request, build_response
from autodialer.sip.stack import MAGIC_COOKIE, Stack
from autodialer.sip.transaction import InviteServer, NonInviteServer, ServerTransaction

_REASONS = {
    200: "OK",
    405: "Method Not Allowed",
    420: "Bad Extension",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist",
    488: "Not Acceptable Here",
    500: "Server Internal Error",
    501: "Not Implemented",
}
_IN_DIALOG = {"BYE": 200, "OPTIONS": 200, "INFO": 200, "NOTIFY": 200, "INVITE": 488, "UPDATE": 488, "PRACK": 481}
"""A re-INVITE or UPDATE would change the media: refused, and the session goes on as it is."""
_OUT_OF_DIALOG = {"OPTIONS": 200, "INVITE": 480} | dict.fromkeys(("BYE", "INFO", "NOTIFY", "UPDATE", "PRACK"), 481)
_UNWANTED = frozenset(("REGISTER", "SUBSCRIBE", "MESSAGE", "REFER", "PUBLISH"))
"""Known methods that we do not serve."""


def transaction_key(request: Request, via: Via, method: str) -> tuple[str, ...]:
    """What makes two requests copies of each other (RFC 3261 section 17.2.3)."""
    branch = via.params.get("branch", "")
    if branch.startswith(MAGIC_COOKIE):
        return branch, via.host, str(via.port or DEFAULT_PORT), method
    top = request.get_all("via")[0]
    return request.uri, request.from_tag or "", request.call_id, str(request.cseq), top, method


def answer_request(
    stack: Stack, call: Call | None, request: Request, via: Via, source: Address, now: float, *, known: bool
) -> str | None:
    """Answer a request, no ACK and no copy of an earlier one. Returns why it was dropped instead, if it was."""
    dialog = call.find_dialog(request) if call is not None else None
    if dialog is None and not known:
        return "unknown_host"
    key = transaction_key(request, via, request.method)
    hop = source if "rport" in via.params else (source[0], via.port or DEFAULT_PORT)
    kind = InviteServer if request.method == "INVITE" else NonInviteServer
    transaction: ServerTransaction = kind(stack, key, f"{request.method} {request.call_id}", hop)
    transaction.begin(now)
    if request.method == "CANCEL":
        invite_key = transaction_key(request, via, "INVITE")
        code = 200 if invite_key in stack.servers else 481
    elif request.get("require") is not None and request.method != "BYE":
        code = 420
    elif dialog is not None and dialog.peer_hung_up:
        code = 481
    elif dialog is not None:
        code = _IN_DIALOG.get(request.method, 405 if request.method in _UNWANTED else 501)
        if not dialog.accept_cseq(request):
            code = 500
    elif request.to_tag is not None:
        code = 481
    else:
        code = _OUT_OF_DIALOG.get(request.method, 405 if request.method in _UNWANTED else 501)
    transaction.respond(code, _response(stack, request, via, source, code), now)
    if call is not None and dialog is not None and request.method == "BYE" and code == 200:
        call.receive_bye(dialog, request, now)
    return None


def _response(stack: Stack, request: Request, via: Via, source: Address, code: int) -> bytes:
    to = request.headers["to"][0]
    if request.to_tag is None:
        to += f";tag={stack.token()}"
    lines = [ALLOW, f"User-Agent: {stack.config.user_agent}"]
    if request.method == "OPTIONS" and code == 200:
        lines += ("Accept: application/sdp", stack.contact(""))
    if code == 420:
        lines += (f"Unsupported: {value}" for value in request.get_all("require"))
    return build_response(
        request, code, _REASONS[code], via=_answered_via(request, via, source), to=to, header_lines=lines
    )


def _answered_via(request: Request, via: Via, source: Address) -> str:
    """The topmost Via with where the request really came from (RFC 3261 section 18.2.1, RFC 3581 section 4)."""
    value = request.get_all("via")[0]
    if "rport" not in via.params:
        return value if via.host == source[0] else f"{value};received={source[0]}"
    pieces = [
        piece for piece in value.split(";") if piece.partition("=")[0].strip().lower() not in ("rport", "received")
    ]
    return ";".join((*pieces, f"rport={source[1]}", f"received={source[0]}"))

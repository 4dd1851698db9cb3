"""What a check of a trunk says: sentences for people who have never heard of SIP."""

from dataclasses import dataclass

from autodialer.errors import DialerError, HostUnresolved
from autodialer.model import CallOutcome, Cause, Disposition, RtpStats
from autodialer.phone.foreign_caller import ForeignCaller
from autodialer.q850 import OF_CALLEE, Q850
from autodialer.sip.events import ProbeEnded
from autodialer.sip.hop import Hop
from autodialer.sip.sdp import NOT_ENCRYPTED, NOT_PLAIN

REGISTRAR_SILENT = (
    "The provider answers, but not to the registration. Ask which server takes registrations, and set it as host."
)
OPTIONS_IGNORED = "It does not answer OPTIONS; many gateways do not, and their calls still work."
_NAT = (
    "This machine is behind a router. Set transport to tcp, or have the router let the provider's answers in;"
    " a router's SIP helper (SIP ALG) does harm and should be off."
)

_PERHAPS_ENCRYPTED = (
    "If the provider speaks of SRTP or of a secure trunk, set transport to tls and media_encryption to required."
)


@dataclass(frozen=True, kw_only=True)
class OfferedMedia:
    """What a call offered."""

    encryption: str = "none"
    """The trunk's media_encryption."""
    tls: bool = False
    """Encrypted sound could be offered."""
    other_works: bool = False
    """A call that was encrypted instead of plain, or plain instead of encrypted, got through."""


ARRIVES = 0.5
"""Share of lost packets above which our sound counts as not arriving: a bad line loses a tenth, a blocked one all."""
_OUT = "A firewall on this side, or a wrong address in the answer, keeps it from getting there: let UDP out."


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What a call showed."""

    ok: bool
    verdict: str


def unresolved(exc: HostUnresolved) -> str:
    """The name servers do not know the provider."""
    return f"The provider's server was not found: {exc}. Check the spelling, and that this machine's DNS works."


def no_route(hop: Hop, exc: OSError) -> str:
    """This machine has no way there."""
    return f"This machine has no route to {hop.host}: {exc.strerror or exc}. Check its network connection."


def unreachable(probe: ProbeEnded) -> str:
    """A packet came back, or a connection could not be made."""
    hop = probe.hop
    said = probe.message or f"Nothing listens at {hop.host}, {hop.transport} port {hop.port}."
    return f"{said} Check host, port and transport."


def silent(hop: Hop, *, behind_nat: bool, called: bool) -> str:
    """No answer at all. `called`: a call was tried as well."""
    lead = f"No answer at all came from {hop.host}, {hop.transport} port {hop.port}."
    rest = "Check host and port, and that no firewall is between; some providers answer only to addresses they know."
    # A gateway may ignore every question and still take calls.
    untried = (
        [] if called else ["Give a number: some answer only calls, and then the call shows whether the trunk works."]
    )
    return " ".join([lead, rest, *([_NAT] if behind_nat else []), *untried])


def only_by_tcp(hop: Hop, *, behind_nat: bool) -> str:
    """UDP is silent, TCP works."""
    why = (
        "the router in front of this machine changes ports, and the provider sends its answers to the unchanged ones"
        " (a symmetric NAT, and a gateway without rport)"
        if behind_nat
        else "a firewall between drops SIP by UDP, or the provider takes only TCP"
    )
    return f"{hop.host} does not answer by UDP but does by TCP: {why}. Set transport to tcp."


def stun_silent(server: tuple[str, int]) -> str:
    """The STUN server is of no use."""
    return f"The STUN server {server[0]}:{server[1]} does not answer; check stun_server, or leave it empty."


def registration_refused(code: int, reason: str | None, *, has_password: bool) -> str:
    """A REGISTER got this final answer."""
    said = f"It said: {code} {reason or ''}".strip() + "."
    if code in (401, 407) and not has_password:
        return f"The provider asks for a password, and this trunk has none. Set username and password. {said}"
    if code in (401, 407):
        return f"The provider refuses the login or the password: wrong password? {said}"
    if code == 403:
        return f"The provider forbids it: a wrong login, a blocked account, or an address that it does not know. {said}"
    if code == 404:
        return f"The provider does not know this account; check username and domain. {said}"
    return f"The provider refuses the registration. {said}"


def unwanted_registration_refused(code: int, reason: str | None) -> str:
    """A REGISTER was refused that the trunk would not send."""
    said = f"{code} {reason or ''}".strip()
    return f"The provider refuses to register this login ({said}); without register that does not matter to calls."


def signalling_works(*, registered: bool) -> str:
    """Everything but a call has been tried."""
    lead = "The provider answers and takes the login." if registered else "The provider answers."
    return f"{lead} Give a number to try a call, which alone shows whether the sound gets through."


def could_not_call(exc: DialerError) -> str:
    """Nothing has left this machine."""
    return f"The call could not be made: {exc}"


def of_call(
    outcome: CallOutcome,
    *,
    registers: bool,
    registrar_knows_us: bool,
    has_password: bool,
    foreign: ForeignCaller | None = None,
    offered: OfferedMedia | None = None,
    behind_nat: bool = False,
) -> Judged:
    """What a test call shows. `registrar_knows_us`: a REGISTER with this login was accepted.

    `foreign`: the caller ID, where it is not the login. `offered`: None: plain sound, without TLS. `behind_nat`: one
    may stand between us and the provider.
    """
    offered = offered or OfferedMedia()
    said = f" It said: {outcome.sip_code} {outcome.sip_reason or ''}".rstrip() + "." if outcome.sip_code else ""
    if outcome.disposition is Disposition.ANSWERED:
        return _of_answered(outcome.rtp or RtpStats(), offered, behind_nat=behind_nat)
    if outcome.cause is Cause.MEDIA_FAILED:
        return Judged(ok=False, verdict=_of_refused_media(outcome, said, offered))
    if outcome.cause is Cause.AUTH_FAILED:
        if not has_password:
            verdict = (
                "The provider asks for a password for the call, and this trunk has none. Set username and password."
            )
            return Judged(ok=False, verdict=verdict + said)
        # Before the password is blamed: the provider may have taken that very password for the registration.
        if foreign is not None:
            return Judged(ok=False, verdict=foreign.explain() + said)
        verdict = "The provider refuses the login or the password of the call: wrong password?"
        return Judged(ok=False, verdict=verdict + said)
    # A Q.850 cause that speaks of the callee shows that the provider did take the call.
    by_code = outcome.q850_cause not in OF_CALLEE | {Q850.CALL_REJECTED}
    # What providers say that take calls of registered phones only.
    if registrar_knows_us and not registers and by_code and outcome.sip_code in (403, 404, 480):
        return Judged(
            ok=False,
            verdict=f"The login is right, but the provider takes no call: it needs registration. Set register.{said}",
        )
    if outcome.cause is Cause.FORBIDDEN:
        return Judged(ok=False, verdict=f"The provider forbids the call: no money, no right to call there?{said}")
    if outcome.disposition in (Disposition.BUSY, Disposition.NO_ANSWER, Disposition.REJECTED):
        return Judged(
            ok=True, verdict=f"The trunk works: the call got as far as the phone ({outcome.disposition}).{said}"
        )
    if outcome.cause is Cause.NO_RESPONSE:
        return Judged(ok=False, verdict=f"The provider answers questions but not the call itself. {_NAT}")
    if outcome.disposition is Disposition.INVALID_NUMBER:
        return Judged(ok=False, verdict=f"The provider does not take the number in this form; see number_format.{said}")
    detail = f" {outcome.message}" if outcome.message else ""
    return Judged(ok=False, verdict=f"The call failed ({outcome.disposition}).{detail}{said}")


def _of_refused_media(outcome: CallOutcome, said: str, offered: OfferedMedia) -> str:
    message = outcome.message or ""
    detail = f" {message[0].upper()}{message[1:].rstrip('.')}." if message else ""
    encrypted = offered.encryption == "required"
    # Only a second call, made the other way, tells a refused encryption from a refused codec.
    wanted = encrypted if offered.other_works else None
    # A 200 with an answer that does not fit says itself which kind the provider wants.
    if outcome.sip_code == 200 and (NOT_PLAIN in message or NOT_ENCRYPTED in message):
        wanted = NOT_ENCRYPTED in message
    if wanted is True:
        return (
            f"The provider refuses encrypted sound and takes plain sound.{detail}{said}"
            " Set media_encryption to none, or to preferred."
        )
    if wanted is False:
        tls = "" if offered.tls else " transport to tls and"
        return (
            f"The provider takes encrypted sound only.{detail}{said} Set{tls} media_encryption to required; what the"
            " provider calls a secure trunk may have a host and port of its own."
        )
    perhaps = "" if offered.tls else f" {_PERHAPS_ENCRYPTED}"
    refused = "The codec was refused: the two sides have no common one."
    return f"{refused}{detail}{said} Offer others in codecs.{perhaps}"


def _of_answered(rtp: RtpStats, offered: OfferedMedia, *, behind_nat: bool) -> Judged:
    """Silence, a one-way path and a NAT, told apart by what came and by what the callee's side reports (RTCP)."""
    arrives = None if rtp.remote_lost is None or not rtp.sent else rtp.remote_lost < ARRIVES * rtp.sent
    if arrives is False:
        return Judged(
            ok=False,
            verdict="The call was answered, but our sound does not arrive there, as the callee's reports (RTCP) say."
            f" {_OUT}",
        )
    if rtp.received:
        verdict = "The call was answered and sound went both ways: the trunk works."
        return Judged(ok=True, verdict=f"{verdict}{_of_encryption(rtp, offered)}")
    if arrives:
        return Judged(
            ok=True,
            verdict="The call was answered and our sound arrives, as the callee's reports (RTCP) say: the trunk works."
            " No sound came back: that is silence at the callee and neither a NAT nor a firewall."
            f"{_of_encryption(rtp, offered)}",
        )
    # A report has a block for each stream that its sender hears (RFC 3550 section 6.4): ours is not among them.
    if rtp.reports:
        return Judged(
            ok=False,
            verdict="The call was answered, but our sound does not seem to arrive there: the reports (RTCP) of the"
            f" callee's side get through to us and say nothing of our sound. {_OUT}",
        )
    return Judged(
        ok=False, verdict=f"The call was answered but no RTP came back{_why_nothing(rtp, behind_nat=behind_nat)}"
    )


def _of_encryption(rtp: RtpStats, offered: OfferedMedia) -> str:
    if rtp.encryption is not None:
        return f" The sound was encrypted ({rtp.encryption})."
    if offered.encryption == "preferred":
        return " The provider refused encrypted sound, so the sound was plain, as it will be in all calls."
    return ""


def _why_nothing(rtp: RtpStats, *, behind_nat: bool) -> str:
    if rtp.strangers:
        return (
            " from the address that the answer names; packets came from another one. The provider's side is behind a"
            " NAT or names a wrong address: ask it, and leave symmetric_rtp on."
        )
    if behind_nat:
        return (
            ", and no report (RTCP) either. This machine is behind a NAT, which probably keeps the sound out: set"
            " stun_server, or let UDP into DIALER_RTP_PORTS. To rule out a silent callee call a number where somebody"
            " speaks."
        )
    return (
        ", and no report (RTCP) either. No NAT is between, so the callee is silent, or a firewall keeps UDP out of"
        " DIALER_RTP_PORTS. Call a number where somebody speaks: that tells the two apart."
    )

"""Kamailio as a strict proxy and registrar: digest, Record-Route and loose routing, bindings, all logged."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from tests.peers.ports import LOCALHOST, free_port, is_bound, wait_until
from tests.peers.process import Process

Address = tuple[str, int]
Hash = Literal["MD5", "SHA-256"]

_CONFIG = """#!KAMAILIO
debug=1
log_stderror=yes
log_name="kamailio"
disable_tcp={no_tcp}
enable_tls={with_tls}
tcp_children=2
tcp_connection_lifetime={tcp_lifetime_s}
enable_sctp=0
children=2
auto_aliases=no
dns=no
rev_dns=no
sip_warning=0
server_signature=yes
{listen}
{reply_to_via}

loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "textopsx.so"
loadmodule "nathelper.so"
loadmodule "siputils.so"
loadmodule "xlog.so"
loadmodule "auth.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
{tls}
{relay}

modparam("rr", "enable_full_lr", 1)
modparam("tm", "wt_timer", 32000) # timer J: what is sent again for so long gets the same answer
modparam("auth", "algorithm", "{algorithm}")
modparam("auth", "secret", "{realm}-nonce")
modparam("auth", "nonce_expire", {nonce_s})
{nonce_count}
modparam("usrloc", "db_mode", 0)
modparam("registrar", "max_expires", {max_expires_s})

request_route {{
{forget_rport}
    if (!mf_process_maxfwd_header("10")) {{
        sl_send_reply("483", "Too Many Hops");
        exit;
    }}
    xlog("L_ALERT", "peer event=received method=$rm uri=$ru call-id=$ci cseq=$cs proto=$proto route=$hdr(Route)\\n");
    if (is_method("CANCEL")) {{
        if (t_check_trans()) {{
            xlog("L_ALERT", "peer event=cancel_matched method=$rm uri=$ru call-id=$ci cseq=$cs\\n");
            t_relay();
        }} else {{
            xlog("L_ALERT", "peer event=cancel_unmatched method=$rm uri=$ru call-id=$ci cseq=$cs\\n");
            sl_send_reply("481", "Call/Transaction Does Not Exist");
        }}
        exit;
    }}
    if (has_totag()) {{
        route(IN_DIALOG);
        exit;
    }}
    if (is_method("OPTIONS")) {{
        sl_send_reply("200", "OK");
        exit;
    }}
    if (is_method("REGISTER")) {{
{authenticate_register}
        save("location");
        xlog("L_ALERT", "peer event=registered method=$rm uri=$ru call-id=$ci cseq=$cs expires=$hdr(Expires)\\n");
        exit;
    }}
    if (!is_method("INVITE")) {{
        sl_send_reply("405", "Method Not Allowed");
        exit;
    }}
    t_check_trans();
{authenticate}
    remove_hf("Route");
    record_route();
    if (proto == TCP) {{
        add_contact_alias();
    }}
{target}
{relay_offer}
    xlog("L_ALERT", "peer event=relayed method=$rm uri=$ru call-id=$ci cseq=$cs\\n");
    if (!t_relay()) {{
        sl_reply_error();
    }}
}}

route[IN_DIALOG] {{
    if (loose_route()) {{
        handle_ruri_alias();
        xlog("L_ALERT", "peer event=loose_route method=$rm uri=$ru call-id=$ci cseq=$cs\\n");
{relay_end}
        t_relay();
        exit;
    }}
    if (is_method("ACK") && t_check_trans()) {{
        xlog("L_ALERT", "peer event=ack_of_final method=$rm uri=$ru call-id=$ci cseq=$cs\\n");
        t_relay();
        exit;
    }}
    xlog("L_ALERT", "peer event=no_route method=$rm uri=$ru call-id=$ci cseq=$cs\\n");
    if (!is_method("ACK")) {{
        sl_send_reply("404", "Not here");
    }}
}}
"""

_RELAY = """
loadmodule "rtpengine.so"
modparam("rtpengine", "rtpengine_sock", "udp:{host}:{port}")

onreply_route[MEDIA] {{
    if (has_body("application/sdp")) {{
        rtpengine_manage("replace-origin replace-session-connection");
    }}
}}
"""

_RELAY_OFFER = """
    rtpengine_manage("replace-origin replace-session-connection {profile}");
    t_on_reply("MEDIA");
"""

_RELAY_END = """
        if (is_method("BYE")) {
            rtpengine_delete();
        }
"""

_TLS = """
loadmodule "tls.so"
modparam("tls", "certificate", "{certificate}")
modparam("tls", "private_key", "{key}")
modparam("tls", "tls_method", "TLSv1.2+")
"""

_AUTHENTICATE = """
    {check}("{realm}", "{password}", "0");
    $var(checked) = $rc;
    if ($var(checked) < 0 || $au != "{username}") {{
        xlog("L_ALERT", "peer event=challenged method=$rm uri=$ru call-id=$ci cseq=$cs\\n");
        # -4: the digest is right, and its nonce too old.
        if ($var(checked) == -4) {{
            {challenge}("{realm}", "{stale_flags}");
        }} else {{
            {challenge}("{realm}", "{flags}");
        }}
        exit;
    }}
    xlog("L_ALERT", "peer event=authenticated method=$rm uri=$ru call-id=$ci cseq=$cs\\n");
    consume_credentials();
"""


_FORGET_RPORT = r"""
    if (subst('/^Via:(.*);rport/Via:\1/i')) {
        msg_apply_changes();
    }
"""


@dataclass(frozen=True, kw_only=True)
class ProxyEvent:
    """A line of the proxy's log."""

    event: str
    """received, challenged, authenticated, registered, relayed, loose_route, no_route, ack_of_final, cancel_matched or
    cancel_unmatched."""
    method: str
    uri: str
    """The Request-URI after what the event says was done."""
    call_id: str
    cseq: int
    detail: str = ""
    """What else the line says: the transport and the Route of a `received`, what a `registered` asked for."""


class Kamailio:
    """Kamailio at `address` in front of a callee; a context manager.

    With a password it asks for one by 401 or 407, MD5 or SHA-256, with qop=auth or without. What it lets through goes
    to `callee` with Record-Route and the user part `callee_user` (None leaves the number as dialled). REGISTER is
    challenged by 401 and its bindings are kept, for `max_expires_s` at most; a nonce is stale after `nonce_s`, and
    with `counts_nonces` also for a request whose count is not above the last one's.
    `tcp` has it listen to TCP too; a TCP caller gets requests over the connection that the caller made, which Kamailio
    closes after `tcp_lifetime_s` of silence. `tls` (files of the certificate and its key) takes nothing but TLS from
    callers. With `ignores_rport` it answers to the Via's address and port as they are written, which is neither RFC
    3581 nor RFC 3261 section 18.2.2, and is what some gateways do. `routes` names callees of single numbers. The sound
    of all calls goes through the rtpengine whose control address is `relay`, which offers it to the callee in
    `relay_profile` (`RTP/AVP` decrypts it; empty: as it came).
    """

    def __init__(
        self,
        callee: Address,
        *,
        folder: Path,
        host: str = LOCALHOST,
        callee_user: str | None = None,
        username: str = "user",
        password: str | None = None,
        realm: str = "kamailio",
        code: Literal[401, 407] = 407,
        algorithm: Hash = "MD5",
        qop: bool = True,
        callee_transport: str = "udp",
        tcp: bool = False,
        tls: tuple[Path, Path] | None = None,
        tcp_lifetime_s: int = 600,
        max_expires_s: int = 3600,
        nonce_s: int = 300,
        counts_nonces: bool = False,
        limit_s: int = 180,
        namespace: str | None = None,
        ignores_rport: bool = False,
        routes: Mapping[str, Address] | None = None,
        relay: Address | None = None,
        relay_profile: str = "",
    ) -> None:
        self.address: Address = (host, free_port(host, namespace=namespace))
        self._tls = tls
        port = self.address[1]
        listens_at = f"[{host}]" if ":" in host else host
        # Behind TLS it needs a socket for its callee, which callers are not told of.
        inner = f"listen=udp:{listens_at}:{free_port(host, namespace=namespace)}"
        outer = [f"listen=tls:{listens_at}:{port}", inner] if tls else [f"listen=udp:{listens_at}:{port}"]
        listen = [*outer, f"listen=tcp:{listens_at}:{port}"] if tcp else outer
        self.folder = folder / f"kamailio-{self.address[1]}"
        self._limit_s = limit_s
        self._namespace = namespace
        self._process: Process | None = None
        named = "proxy" if code == 407 else "www"
        authenticate = _AUTHENTICATE.format(
            check=f"pv_{named}_authenticate",
            challenge=f"{named}_challenge",
            realm=realm,
            username=username,
            password=password,
            flags=1 if qop else 0,
            stale_flags=17 if qop else 16,
        )
        register = _AUTHENTICATE.format(
            check="pv_www_authenticate",
            challenge="www_challenge",
            realm=realm,
            username=username,
            password=password,
            flags=1 if qop else 0,
            stale_flags=17 if qop else 16,
        )
        user = f'    $rU = "{callee_user}";\n' if callee_user else ""
        called = f"[{callee[0]}]" if ":" in callee[0] else callee[0]
        to_callee = f"{called}:{callee[1]};transport={callee_transport}"
        self.config = _CONFIG.format(
            listen="\n".join(listen),
            no_tcp="no" if tcp or tls else "yes",
            with_tls="yes" if tls else "no",
            tls=_TLS.format(certificate=tls[0], key=tls[1]) if tls else "",
            tcp_lifetime_s=tcp_lifetime_s,
            max_expires_s=max_expires_s,
            nonce_s=nonce_s,
            nonce_count='modparam("auth", "nonce_count", 1)' if counts_nonces else "",
            authenticate_register=register if password is not None else "",
            algorithm=algorithm,
            realm=realm,
            authenticate=authenticate if password is not None else "",
            target=f'{user}    $ru = "sip:" + $rU + "@{to_callee}";{_routes(routes or {}, callee_user)}',
            relay=_RELAY.format(host=relay[0], port=relay[1]) if relay else "",
            relay_offer=_RELAY_OFFER.format(profile=relay_profile) if relay else "",
            relay_end=_RELAY_END if relay else "",
            reply_to_via="reply_to_via=1" if ignores_rport else "",
            forget_rport=_FORGET_RPORT if ignores_rport else "",
        )

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True)
        (self.folder / "kamailio.cfg").write_text(self.config)
        arguments = ["-f", "kamailio.cfg", "-DD", "-E", "-m", "16", "-M", "4", "-Y", str(self.folder.resolve())]
        self._process = Process(
            "kamailio",
            [*arguments, "-P", str(self.folder.resolve() / "kamailio.pid")],
            output=self.folder / "kamailio.log",
            limit_s=self._limit_s,
            cwd=self.folder,
            namespace=self._namespace,
        )
        try:
            over_tcp = self._tls is not None
            self._process.wait_ready(
                lambda: is_bound(*self.address, tcp=over_tcp, namespace=self._namespace), what="its port to open"
            )
        except BaseException:
            self._process.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.stop()

    @property
    def log(self) -> str:
        """All that Kamailio wrote, for people."""
        return (self.folder / "kamailio.log").read_text(errors="replace")

    @property
    def events(self) -> list[ProxyEvent]:
        """The outcome of every request so far, in order."""
        pattern = re.compile(r"peer event=(\S+) method=(\S+) uri=(\S+) call-id=(\S+) cseq=(\d+) ?(.*)")
        return [
            ProxyEvent(event=hit[1], method=hit[2], uri=hit[3], call_id=hit[4], cseq=int(hit[5]), detail=hit[6])
            for hit in pattern.finditer(self.log)
        ]

    def count(self, event: str, method: str) -> int:
        """How often this became of a request of this method."""
        return sum(entry.event == event and entry.method == method for entry in self.events)

    def wait_for(self, event: str, method: str, *, count: int = 1, timeout_s: float = 10.0) -> None:
        """Return once the log has so many such events."""
        what = f"{count} {event} of {method} at Kamailio"
        wait_until(lambda: self.count(event, method) >= count, what=what, timeout_s=timeout_s, poll_s=0.02)


def _routes(routes: Mapping[str, Address], user: str | None) -> str:
    """Where single numbers go."""
    lines = (
        f'    if ($oU == "{number}") {{ $ru = "sip:{user or number}@{host}:{port}"; }}'
        for number, (host, port) in routes.items()
    )
    return "\n".join(["", *lines])

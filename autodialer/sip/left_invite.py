"""What the CANCEL of an INVITE is made of (RFC 3261 section 9.1), as a value that outlives the process."""

import json
from dataclasses import dataclass
from typing import Self

from autodialer.sip.dialog_state import DialogState
from autodialer.sip.hop import Hop
from autodialer.sip.outgoing import OutgoingRequest

_MARK = "INVITE"
"""First of its parts as text, so that it is told from a dialog's."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LeftInvite:
    """An INVITE that has left and was answered provisionally."""

    uri: str
    hop: Hop
    branch: str
    via: str
    """Complete header line, like those below."""
    routes: tuple[str, ...]
    from_: str
    to: str
    call_id: str
    cseq: int

    @classmethod
    def of(cls, invite: OutgoingRequest) -> Self:
        """As much of the INVITE as is needed."""
        # Without offer, credentials and other headers, which stand in neither its CANCEL nor its ACK.
        return cls(
            uri=invite.uri,
            hop=invite.hop,
            branch=invite.branch,
            via=invite.via,
            routes=invite.routes,
            from_=invite.from_,
            to=invite.to,
            call_id=invite.call_id,
            cseq=invite.cseq,
        )

    def request(self) -> OutgoingRequest:
        """The INVITE again, to make its CANCEL and ACK of; not to be sent."""
        return OutgoingRequest(
            method="INVITE",
            uri=self.uri,
            hop=self.hop,
            branch=self.branch,
            via=self.via,
            routes=self.routes,
            from_=self.from_,
            to=self.to,
            call_id=self.call_id,
            cseq=self.cseq,
        )

    def packed(self) -> str:
        """As text, for the store."""
        parts = (self.uri, self.hop, self.branch, self.via, self.routes, self.from_, self.to, self.call_id, self.cseq)
        return json.dumps((_MARK, *parts))

    @classmethod
    def unpack(cls, text: str) -> Self:
        """Back from text. Raises ValueError for what `packed` did not write."""
        try:
            mark, uri, hop, branch, via, routes, from_, to, call_id, cseq = json.loads(text)
            if mark != _MARK:
                raise ValueError("this is no INVITE")
            return cls(
                uri=uri,
                hop=Hop(*hop),
                branch=branch,
                via=via,
                routes=tuple(routes),
                from_=from_,
                to=to,
                call_id=call_id,
                cseq=int(cseq),
            )
        except TypeError as exc:
            raise ValueError("this is no INVITE") from exc


def unpack_left(text: str) -> DialogState | LeftInvite:
    """What a call left, answered or not. Raises ValueError for what neither wrote."""
    return LeftInvite.unpack(text) if text.startswith(f'["{_MARK}"') else DialogState.unpack(text)

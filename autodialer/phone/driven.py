"""What stock pyVoIP calls with the messages of a call; ours is driven by the events of the SIP core."""

from pyVoIP import SIP


class DrivenByEvents:
    """Takes pyVoIP's own ways in, and does nothing."""

    def answered(self, request: SIP.SIPMessage) -> None:
        """Not used: answers come as events of the SIP core."""

    def not_found(self, request: SIP.SIPMessage) -> None:
        """Not used: failures come as events of the SIP core."""

    def unavailable(self, request: SIP.SIPMessage) -> None:
        """Not used: failures come as events of the SIP core."""

    def renegotiate(self, request: SIP.SIPMessage) -> None:
        """Not used: the SIP core answers re-INVITEs."""

"""The I/O of SIP: one thread a core with its UDP socket and its connections."""

from autodialer.sip.shell.connections import TlsSettings
from autodialer.sip.shell.loop import SipLoop

__all__ = ["SipLoop", "TlsSettings"]

"""An outbound dialer: it calls a base of subscribers over SIP and RTP and plays a sound to everyone who answers."""

__version__ = "0.1.0"

"""Peers nobody here wrote, as test fixtures: they judge our SIP and RTP on the wire."""

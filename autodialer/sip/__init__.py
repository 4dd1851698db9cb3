"""SIP for a caller (RFC 3261): a pure core, `user_agent`, and one I/O shell, `loop`."""

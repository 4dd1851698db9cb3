"""What we tell peers that we can do."""

ALLOW = "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, NOTIFY, UPDATE"
"""Header line: methods that we take."""
EXTENSIONS = ("timer", "100rel")
"""Option tags: RFC 4028 and RFC 3262."""
SUPPORTED = f"Supported: {', '.join(EXTENSIONS)}"
"""Header line."""

"""The page at /: what this is, whether it dials, where to go on."""

import html
from datetime import datetime

from autodialer.store import DialerSeen

PAGE = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>Outbound dialer</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="/api/doc/page.css"></head>
<body class="front">
<h1>Outbound dialer</h1>
<p>Calls a base of subscribers over SIP and plays a sound to the person who answers.</p>
<p>Dialer: <strong>{state}</strong></p>
<ul>
<li><a href="/api/doc/">Try the API</a>: press Authorize and log in with your login and password</li>
<li><a href="/swagger.json">The API contract</a></li>
<li><a href="/healthz">Health</a></li>
</ul>
</body></html>
"""


def front_page(dialer: DialerSeen | None, now: datetime) -> str:
    """HTML."""
    if dialer is None:
        state = "not running; nothing is dialled until it is. See the log of the service."
    else:
        minutes = int((now - dialer.started_at).total_seconds() // 60)
        state = f"running for {minutes} min" if minutes else "running, just started"
    return PAGE.format(state=html.escape(state))

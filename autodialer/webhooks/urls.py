"""URLs of webhooks: what is taken, and how it is stored."""

import re

from urllib3.exceptions import LocationParseError
from urllib3.util import Url, parse_url

from autodialer.errors import Invalid

LONGEST_URL = 2000
_ALLOWED = re.compile(r"[!-~]+")
"""Printable ASCII: a host of other letters is given as its xn-- name, a path with % escapes."""


def check_url(text: str, field: str = "url") -> str:
    """The URL in its stored spelling. Raises Invalid; no name is looked up."""
    text = text.strip()
    if len(text) > LONGEST_URL or not _ALLOWED.fullmatch(text):
        raise Invalid(
            f"{field} takes an http:// or https:// URL of at most {LONGEST_URL} characters, without spaces; letters"
            " other than ASCII are written as %-escapes, or xn-- in the host.",
            field=field,
        )
    url = _parsed(text, field)
    if url.auth is not None or "@" in text.partition("://")[2].partition("/")[0]:
        raise Invalid(
            f"{field} takes no login in the URL: everybody who reads the webhook would see it. The receiver knows the"
            " service by the signature.",
            field=field,
        )
    if url.fragment is not None:
        raise Invalid(f"{field} takes a URL without #{url.fragment}: that part is never sent.", field=field)
    return url.url


def _parsed(text: str, field: str) -> Url:
    try:
        url = parse_url(text)
    except LocationParseError as exc:
        raise Invalid(f"{field}: {text!r} cannot be read as a URL.", field=field) from exc
    if url.scheme not in ("http", "https") or not url.host or url.port == 0:
        raise Invalid(f"{field} takes a URL like https://crm.example/hook; it is {text!r}.", field=field)
    return url


def host_of(url: str) -> str:
    """The host of a URL that `check_url` has let pass, an IPv6 address without brackets."""
    return (parse_url(url).host or "").strip("[]")

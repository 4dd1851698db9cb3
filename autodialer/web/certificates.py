"""Certificates that a trunk trusts for TLS: taken as PEM text or as the path of a PEM file, kept as text."""

import ssl
from pathlib import Path

from autodialer.errors import Invalid

BEGINS = "-----BEGIN CERTIFICATE-----"
LARGEST = 200_000
"""Octets of a file; the bundles of whole systems are larger, and meant to be left out."""


def check_ca_file(value: str) -> str:
    """The certificates as PEM text. Raises Invalid, in the same words whatever is wrong with a path."""
    text = value if BEGINS in value else _read(value)
    if not _is_usable(text):
        raise Invalid(
            "ca_file takes certificates as PEM text, or the path of a PEM file on the service's machine;"
            " this is neither, or it cannot be read.",
            field="ca_file",
        )
    return text


def _is_usable(text: str) -> bool:
    try:
        ssl.create_default_context(cadata=text)
    except (ssl.SSLError, ValueError):
        return False
    return BEGINS in text


def _read(path: str) -> str:
    try:
        with Path(path).open(encoding="ascii", errors="replace") as file:
            return file.read(LARGEST)
    except (OSError, ValueError):
        return ""

"""Signatures of Standard Webhooks (github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md)."""

import base64
import hmac
import secrets

SECRET_BYTES = 32
PREFIX = "whsec_"


def new_secret() -> bytes:
    """A key for one webhook."""
    return secrets.token_bytes(SECRET_BYTES)


def shown_secret(secret: bytes) -> str:
    """The key as its user gets it: `whsec_` and base64."""
    return PREFIX + base64.b64encode(secret).decode()


def signed_headers(secret: bytes, delivery_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers that say what it is, when it was sent (UNIX seconds) and that it is ours."""
    told = f"{delivery_id}.{timestamp}.".encode() + body
    signature = base64.b64encode(hmac.digest(secret, told, "sha256")).decode()
    return {
        "webhook-id": delivery_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{signature}",
    }

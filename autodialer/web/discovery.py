"""What a client or a resource server may look up by itself: the authorization server's metadata and its public keys."""

from typing import Any

import bottle
from bottle import response

from autodialer.config import Settings
from autodialer.model import Scope
from autodialer.web.contract import BASE_PATH
from autodialer.web.oauth import GRANTS
from autodialer.web.signing_keys import SigningKeys

METADATA = "/.well-known/oauth-authorization-server"
KEYS = "/.well-known/jwks.json"
KEPT_S = 300
"""How long a cache may keep either. Less than a key is believed after its rotation."""


def add_discovery(app: bottle.Bottle, settings: Settings, keys: SigningKeys) -> None:
    """Give the application the two documents; they are open to everybody, and hold nothing that is secret."""
    described = metadata(settings)
    app.get(METADATA, callback=lambda: _cached(described))
    app.get(KEYS, callback=lambda: _cached(keys.public()))


def metadata(settings: Settings) -> dict[str, Any]:
    """RFC 8414 section 2."""
    issuer = settings.base_url
    return {
        "issuer": issuer,
        "token_endpoint": f"{issuer}{BASE_PATH}/auth/token",
        "revocation_endpoint": f"{issuer}{BASE_PATH}/auth/revoke",
        "jwks_uri": issuer + KEYS,
        "scopes_supported": [scope.value for scope in Scope],
        "grant_types_supported": list(GRANTS),
        # Without an authorization endpoint there is no response type. Section 3.2 has empty lists left out, but
        # section 2 requires this one, and clients look for it.
        "response_types_supported": [],
        "token_endpoint_auth_methods_supported": ["none"],
        "revocation_endpoint_auth_methods_supported": ["none"],
        "service_documentation": f"{issuer}/api/doc/",
    }


def _cached(value: dict[str, Any]) -> dict[str, Any]:
    response.set_header("Cache-Control", f"public, max-age={KEPT_S}")
    return value

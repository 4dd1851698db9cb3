"""Errors as the API answers them: one form, one mapping from exceptions to status codes, never an exception's text."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import bottle
from bravado_core.exception import SwaggerMappingError
from jsonschema import ValidationError

from autodialer import errors
from autodialer.store import new_id
from autodialer.web.violations import describe_violation

logger = logging.getLogger(__name__)

STATUS: Mapping[type[errors.DialerError], int] = {
    errors.Invalid: 422,
    errors.HostUnresolved: 422,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.TooLarge: 413,
    errors.UnsupportedContent: 415,
    errors.Unauthorized: 401,
    errors.Forbidden: 403,
    errors.TooManyRequests: 429,
    errors.Unavailable: 503,
    errors.UserError: 400,
}
"""The first class that an exception is an instance of decides."""
INVALID_TOKEN = "invalid_token"
OF_BOTTLE: Mapping[int, tuple[str, str]] = {
    400: ("bad_request", "The request is malformed."),
    404: ("not_found", "There is no such path; the operations are at /api/doc/."),
    405: ("method_not_allowed", "The path does not take this method; the operations are at /api/doc/."),
    413: ("too_large", "The request body is too large."),
    500: ("internal", "Something went wrong inside."),
}


@dataclass(frozen=True, kw_only=True)
class ErrorAnswer:
    """What a client is told."""

    status: int
    code: str
    message: str
    details: list[Any] = field(default_factory=list)
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def body(self) -> dict[str, Any]:
        """The JSON object."""
        return {"error": self.code, "message": self.message, "details": self.details}


def answer_for(error: BaseException) -> ErrorAnswer:
    """The one mapping from exceptions to answers."""
    if isinstance(error, bottle.HTTPResponse):
        return _answer_for_bottle(error)
    if isinstance(error, ValidationError | SwaggerMappingError):
        message, details = describe_violation(error)
        return ErrorAnswer(status=400, code="bad_request", message=message, details=details)
    for kind, status in STATUS.items():
        if isinstance(error, kind):
            return _answer_for_dialer_error(error, status)
    return _internal(error)


def _answer_for_dialer_error(error: errors.DialerError, status: int) -> ErrorAnswer:
    message = str(error)
    details = [item if isinstance(item, dict) else {"message": str(item)} for item in getattr(error, "details", [])]
    field = getattr(error, "field", None)
    if field:
        details = [{"field": field, "message": message}, *details]
        if field not in message:
            message = f"{field}: {message}"
    return ErrorAnswer(
        status=status, code=error.code, message=message, details=details, headers=_headers(status, details)
    )


def _headers(status: int, details: list[dict[str, Any]]) -> dict[str, str]:
    if status == 401:
        # RFC 6750 section 3: the error code is there only when a token was.
        given = any(detail.get("reason") == INVALID_TOKEN for detail in details)
        return {"WWW-Authenticate": 'Bearer realm="dialer"' + (f', error="{INVALID_TOKEN}"' if given else "")}
    if status == 403:
        # RFC 6750 section 3.1: whether the role or the token is too little, the scope is what has to be shown here.
        scopes = [detail["scope"] for detail in details if "scope" in detail]
        header = f'Bearer realm="dialer", error="insufficient_scope", scope="{scopes[0] if scopes else ""}"'
        return {"WWW-Authenticate": header} if scopes else {}
    waits = [detail["retry_after_s"] for detail in details if "retry_after_s" in detail]
    if status == 503 and not waits:
        waits = [1]
    return {"Retry-After": str(waits[0])} if waits else {}


def _answer_for_bottle(error: bottle.HTTPResponse) -> ErrorAnswer:
    cause = getattr(error, "exception", None)
    if cause is not None and error.status_code >= 500:
        return _internal(cause)
    code, message = OF_BOTTLE.get(error.status_code, ("bad_request", "The request cannot be answered."))
    allow = error.headers.get("Allow")
    return ErrorAnswer(
        status=error.status_code,
        code=code,
        message=message,
        headers={"Allow": allow} if allow else {},
    )


def _internal(error: BaseException) -> ErrorAnswer:
    reference = str(new_id())
    logger.error("unexpected error, reference %s", reference, exc_info=error)
    message = f"Something went wrong inside; the log says more under reference {reference}."
    return ErrorAnswer(status=500, code="internal", message=message, details=[{"reference": reference}])

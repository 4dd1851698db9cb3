"""What stands around every handler: errors become answers, tokens are checked, uploads are removed."""

import json
from collections.abc import Callable
from typing import Any

import bottle
from bottle import request

from autodialer.web.access import Access, check_access
from autodialer.web.credentials import Credentials
from autodialer.web.errors import ErrorAnswer, answer_for
from autodialer.web.request import Request
from autodialer.web.routing import ErrorStyle, Route

MALFORMED = (400, 413, 415, 422)


class ErrorsPlugin:
    """The outermost plugin: whatever is raised inside becomes an answer of one form, and no upload stays behind."""

    name = "errors"
    api = 2

    def apply(self, callback: Callable[..., Any], route: bottle.Route) -> Callable[..., Any]:
        """Bottle's hook."""
        line: Route[Any] | None = getattr(route.callback, "route", None)
        style = line.errors if line else ErrorStyle.API

        def guarded(*args: Any, **kwargs: Any) -> Any:
            try:
                return callback(*args, **kwargs)
            except bottle.HTTPResponse as exc:
                if not isinstance(exc, bottle.HTTPError):
                    raise
                return respond(answer_for(exc), style)
            except Exception as exc:  # noqa: BLE001 -- the one place where everything is mapped
                return respond(answer_for(exc), style)
            finally:
                upload = getattr(request, "upload", None)
                if upload is not None:
                    upload.close()

        return guarded


class GuardPlugin:
    """Checks the access token or API key before anything of the body is read."""

    name = "guard"
    api = 2

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    def apply(self, callback: Callable[..., Any], route: bottle.Route) -> Callable[..., Any]:
        """Bottle's hook."""
        line: Route[Any] | None = getattr(route.callback, "route", None)
        if line is None or line.access is Access.OPEN:
            return callback

        def checked(*args: Any, **kwargs: Any) -> Any:
            asked = Request()
            request.caller = self._credentials.check(asked.authorization, address=asked.address)
            check_access(line.access, request.caller)
            return callback(*args, **kwargs)

        return checked


def respond(answer: ErrorAnswer, style: ErrorStyle = ErrorStyle.API) -> bottle.HTTPResponse:
    """The answer as its clients read it."""
    status, value, headers = answer.status, answer.body, answer.headers
    if style in (ErrorStyle.PROTOTYPE, ErrorStyle.LOGIN):
        status, value, headers = 200, {"status": "fail", "text": answer.message}, {}
        if style is ErrorStyle.LOGIN:
            value |= {"acc_token": None, "expired": None}
    elif style is ErrorStyle.OAUTH:
        if status in MALFORMED:
            status, value = 400, {**value, "error": "invalid_request"}
        value = {**value, "error_description": answer.message}
    return bottle.HTTPResponse(json.dumps(value), status, {"Content-Type": "application/json", **headers})

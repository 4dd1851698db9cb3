"""Routes as a table: what main.py decorates, and what Bottle is given."""

import csv as csv_format
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar, overload

import bottle
from bottle import request, response

from autodialer.errors import Invalid
from autodialer.model import Role
from autodialer.web.caller import Caller
from autodialer.web.oauth import OAuthAnswer
from autodialer.web.tables import Download
from autodialer.web.uploads import Upload

Handler = TypeVar("Handler", bound=Callable[..., Any])
Json = dict[str, Any]
CSV_PAGE = 1000


class Access(Enum):
    """Who may call an operation."""

    OPEN = "open"
    USER = "user"
    ADMIN = "admin"


class ErrorStyle(Enum):
    """How the clients of an operation read errors."""

    API = "api"
    OAUTH = "oauth"
    """RFC 6749 section 5.2: a malformed request is 400 invalid_request."""
    PROTOTYPE = "prototype"
    """Always 200, with status `fail`."""


@overload
def authenticated(handler: Handler) -> Handler: ...
@overload
def authenticated(*, role: Role) -> Callable[[Handler], Handler]: ...
def authenticated(handler: Handler | None = None, *, role: Role = Role.USER) -> Any:
    """Only for whoever shows a good access token (with `role=Role.ADMIN`: an admin's), looked at before the body."""

    def mark(marked: Handler) -> Handler:
        marked.access = Access.ADMIN if role is Role.ADMIN else Access.USER  # type: ignore[attr-defined]
        return marked

    return mark if handler is None else mark(handler)


def open_to_all(handler: Handler) -> Handler:
    """For everybody, without a token."""
    handler.access = Access.OPEN  # type: ignore[attr-defined]
    return handler


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One route."""

    method: str
    path: str
    handler: Callable[..., Any]
    access: Access
    errors: ErrorStyle


class Routes:
    """The routes of the API in the order of their definition."""

    def __init__(self) -> None:
        self.endpoints: list[Endpoint] = []

    def get(self, path: str) -> Callable[[Handler], Handler]:
        """Decorates the handler of GET."""
        return self._add("GET", path, ErrorStyle.API)

    def post(self, path: str, *, errors: ErrorStyle = ErrorStyle.API) -> Callable[[Handler], Handler]:
        """Decorates the handler of POST."""
        return self._add("POST", path, errors)

    def put(self, path: str) -> Callable[[Handler], Handler]:
        """Decorates the handler of PUT."""
        return self._add("PUT", path, ErrorStyle.API)

    def delete(self, path: str) -> Callable[[Handler], Handler]:
        """Decorates the handler of DELETE."""
        return self._add("DELETE", path, ErrorStyle.API)

    def _add(self, method: str, path: str, errors: ErrorStyle) -> Callable[[Handler], Handler]:
        def add(handler: Handler) -> Handler:
            access = getattr(handler, "access", None)
            if access is None:
                raise TypeError(f"{handler.__name__}: say who may call it, @authenticated or @open_to_all")
            endpoint = Endpoint(method=method, path=path, handler=handler, access=access, errors=errors)
            self.endpoints.append(endpoint)
            return handler

        return add

    def include(self, part: "Routes") -> None:
        """Take over the routes of a part of the API."""
        self.endpoints += part.endpoints

    def mount(self, app: bottle.Bottle, api: Any) -> None:
        """Give the routes to Bottle; every handler gets `api` and the ids of its path."""
        for endpoint in self.endpoints:
            app.route(endpoint.path, endpoint.method, _callback(endpoint, api))


def _callback(endpoint: Endpoint, api: Any) -> Callable[..., Any]:
    def callback(**path: str) -> Any:
        values = getattr(request, "swagger_data", {})
        return endpoint.handler(api, **{name: values.get(name, text) for name, text in path.items()})

    callback.endpoint = endpoint  # type: ignore[attr-defined]
    return callback


# What handlers read


def caller() -> Caller:
    """Who asks; set by the guard."""
    found: Caller = request.caller
    return found


def address() -> str | None:
    """IP address of the client."""
    found: str | None = request.environ.get("REMOTE_ADDR")
    return found


def authorization() -> str:
    """The Authorization header; empty when there is none."""
    found: str = request.environ.get("HTTP_AUTHORIZATION", "")
    return found


def body() -> Json:
    """The JSON object that was sent; empty when none was."""
    found: Json | None = request.swagger_data.get("body")
    return found or {}


def form() -> Sequence[tuple[str, str]]:
    """The fields of an urlencoded form."""
    found: Sequence[tuple[str, str]] = request.pairs
    return found


def upload() -> Upload:
    """The uploaded form. Raises Invalid when it has no file."""
    found: Upload = request.upload
    if not found.has_file:
        raise Invalid("file is required; send it as multipart/form-data.", field="file")
    return found


def page() -> dict[str, Any]:
    """Which part of a list is wanted."""
    return {"limit": request.swagger_data["limit"], "after": request.swagger_data["after"] or None}


def parameter(name: str) -> Any:
    """A parameter of the query or the form; None when it was not given."""
    return request.swagger_data.get(name)


def parameters(*names: str) -> Json:
    """Some of them."""
    return {name: parameter(name) for name in names}


def once() -> str | None:
    """The Idempotency-Key; None when there is none."""
    found: str | None = request.swagger_data.get("Idempotency-Key")
    return found


def wants_csv() -> bool:
    """Whether the client rather reads CSV than JSON."""
    accept = request.environ.get("HTTP_ACCEPT", "")
    return "text/csv" in accept and "application/json" not in accept


# What handlers return


def with_status(status: int, value: Json) -> Json:
    """Answer with another status than 200."""
    response.status = status
    return value


def created(value: Json) -> Json:
    """201."""
    return with_status(201, value)


def no_content() -> None:
    """204."""
    response.status = 204


def oauth(answer: OAuthAnswer) -> Json:
    """What the token endpoint said."""
    for name, value in answer.headers.items():
        response.set_header(name, value)
    return with_status(answer.status, answer.body)


def file(path: Path, content_type: str) -> bottle.HTTPResponse:
    """A file, or the range of it that was asked for."""
    response.content_type = content_type
    return bottle.static_file(path.name, root=str(path.parent.resolve()), mimetype=content_type)


def download(value: Download) -> Download:
    """Something to be saved as a file."""
    response.content_type = value.content_type
    response.set_header("Content-Disposition", f'attachment; filename="{value.name}"')
    return value


def text(value: str) -> str:
    """Plain text."""
    response.content_type = "text/plain; charset=utf-8"
    return value


def csv(columns: Sequence[str], read_page: Callable[[Json], Json]) -> Iterator[str]:
    """A whole list as CSV, read page by page while it is sent. What `read_page` raises at first, this raises."""
    first = read_page({"limit": CSV_PAGE, "after": None})
    response.content_type = "text/csv; charset=utf-8"
    return _csv_lines(columns, first, read_page)


def _csv_lines(columns: Sequence[str], page: Json, read_page: Callable[[Json], Json]) -> Iterator[str]:
    yield _csv_text([columns])
    while True:
        yield _csv_text([[item[column] for column in columns] for item in page["items"]])
        if page["next"] is None:
            return
        page = read_page({"limit": CSV_PAGE, "after": page["next"]})


def _csv_text(rows: Sequence[Sequence[Any]]) -> str:
    text = io.StringIO()
    csv_format.writer(text).writerows(rows)
    return text.getvalue()

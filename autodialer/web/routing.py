"""Routes as a table: a line an operation, and what Bottle makes of it."""

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial
from typing import Any, Generic, TypeVar

import bottle
from bottle import response

from autodialer.web.access import Access
from autodialer.web.contract import BASE_PATH
from autodialer.web.downloads import BOM, Download, MadeFile, StoredFile, write_csv
from autodialer.web.oauth import OAuthAnswer
from autodialer.web.request import PageWanted, PrototypeRequest, Request

Json = dict[str, Any]
ApiT = TypeVar("ApiT")
CSV_PAGE = 1000


class ErrorStyle(Enum):
    """How the clients of an operation read errors."""

    API = "api"
    OAUTH = "oauth"
    """RFC 6749 section 5.2: a malformed request is 400 invalid_request."""
    PROTOTYPE = "prototype"
    """Always 200, with status `fail`."""
    LOGIN = "login"
    """The same, with the token that there is not."""


Answer = Json | OAuthAnswer | Download | StoredFile | MadeFile | Iterator[str] | str | None
"""JSON, and what else operations answer: text is plain text, an iterator the lines of a CSV, None no content."""


@dataclass(frozen=True)
class Route(Generic[ApiT]):
    """One line of the table."""

    method: str
    path: str
    """Below the base path, as in swagger.yaml but with <> for {}."""
    operation: Callable[[ApiT, Request], Answer]
    needs: Access | None = None
    """What it asks of its caller; None: to look (GET) Access.READ, to change anything Access.USER."""
    status: int | Callable[[Any], int] = 200
    """Of success; a function where the answer decides. No content is 204, and OAuth says its own."""
    errors: ErrorStyle = ErrorStyle.API
    for_prototype: Callable[[ApiT, PrototypeRequest], Json | Iterator[str]] | None = None
    """What a client of the prototype asks here, which sends no Authorization header (autodialer/web/prototype.py)."""

    @property
    def access(self) -> Access:
        """What it asks of its caller."""
        return self.needs or (Access.READ if self.method == "GET" else Access.USER)

    @property
    def is_single_object(self) -> bool:
        """Whether it reads one object that is found by its id: such answers have an entity tag."""
        return self.method == "GET" and self.path.endswith(">")


def mount(routes: Iterable[Route[ApiT]], app: bottle.Bottle, api: ApiT) -> None:
    """Give the routes to Bottle."""
    for route in routes:
        app.route(BASE_PATH + route.path, route.method, _callback(route, api))


def _callback(route: Route[ApiT], api: ApiT) -> Callable[..., Any]:
    def callback(**_path: str) -> Any:
        return _respond(route, route.operation(api, Request()))

    callback.route = route  # type: ignore[attr-defined]
    if route.for_prototype is not None:
        callback.for_prototype = partial(route.for_prototype, api)  # type: ignore[attr-defined]
    return callback


def _respond(route: Route[ApiT], answer: Answer) -> Any:
    match answer:
        case None:
            response.status = 204
        case OAuthAnswer():
            for name, value in answer.headers.items():
                response.set_header(name, value)
            response.status = answer.status
            return answer.body
        case StoredFile():
            response.content_type = answer.content_type
            path = answer.path
            return bottle.static_file(path.name, root=str(path.parent.resolve()), mimetype=answer.content_type)
        case MadeFile():
            return _whole_or_part(answer)
        case Download():
            response.content_type = answer.content_type
            response.set_header("Content-Disposition", f'attachment; filename="{answer.name}"')
        case str():
            response.content_type = "text/plain; charset=utf-8"
        case dict():
            response.status = route.status if isinstance(route.status, int) else route.status(answer)
        case _:
            response.content_type = "text/csv; charset=utf-8"
    return answer


def _whole_or_part(file: MadeFile) -> Any:
    """RFC 9110 section 14.2, one range: players ask for parts, and some play nothing without them."""
    size = len(file.data)
    response.content_type = file.content_type
    response.set_header("Accept-Ranges", "bytes")
    wanted = bottle.request.get_header("Range")
    if not wanted:
        return file.data
    ranges = list(bottle.parse_range_header(wanted, size))
    if not ranges:
        return bottle.HTTPError(416, "Requested Range Not Satisfiable")
    start, end = ranges[0]
    response.status = 206
    response.set_header("Content-Range", f"bytes {start}-{end - 1}/{size}")
    return file.data[start:end]


def list_or_csv(request: Request, columns: Sequence[str], read_page: Callable[[PageWanted], Json]) -> Answer:
    """A part of a list as JSON, or the whole list as CSV where the client wants that.

    The CSV is read page by page while it is sent; what `read_page` raises at first, this raises.
    """
    if not request.wants_csv:
        return read_page(request.page)
    wanted = PageWanted(limit=CSV_PAGE)
    return _csv_lines(columns, read_page(wanted), wanted, read_page)


def _csv_lines(
    columns: Sequence[str], page: Json, wanted: PageWanted, read_page: Callable[[PageWanted], Json]
) -> Iterator[str]:
    yield BOM + _csv_text([columns])
    while True:
        yield _csv_text([[item[column] for column in columns] for item in page["items"]])
        if page["next"] is None:
            return
        page = read_page(replace(wanted, after=page["next"]))


def _csv_text(rows: Sequence[Sequence[Any]]) -> str:
    text = io.StringIO()
    write_csv(text, rows)
    return text.getvalue()

"""The Bottle application around the routes: errors, headers, documentation, front page."""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import bottle
from bottle import response

from autodialer.clock import Clock
from autodialer.config import Settings
from autodialer.store import Store
from autodialer.web.contract import ContractPlugin
from autodialer.web.credentials import Credentials
from autodialer.web.discovery import add_discovery
from autodialer.web.documentation import DOCUMENTATION, PAGE_POLICY, add_documentation
from autodialer.web.errors import answer_for
from autodialer.web.guard import ErrorsPlugin, GuardPlugin
from autodialer.web.kept import KeptAnswers, KeptPlugin
from autodialer.web.metrics import Metrics, Requests
from autodialer.web.observed import Observed
from autodialer.web.pages import front_page
from autodialer.web.probes import add_probes
from autodialer.web.prototype import Envelope, PrototypePlugin

JSON_POLICY = "default-src 'none'; frame-ancestors 'none'"
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
}


class ExactRouter(bottle.Router):  # type: ignore[misc]
    """Bottle's router, which takes `preview` of /callbases/preview for an id where the method is not that path's."""

    def match(self, environ: dict[str, Any]) -> Any:
        """Route and arguments of a request. Raises HTTPError; 405 names the methods of just this path."""
        path, method = environ["PATH_INFO"] or "/", environ["REQUEST_METHOD"].upper()
        allowed = sorted(verb for verb, paths in self.static.items() if path in paths)
        if allowed and ("GET" if method == "HEAD" else method) not in allowed:
            raise bottle.HTTPError(405, "Method not allowed.", Allow=",".join(allowed))
        return super().match(environ)


class App(bottle.Bottle):  # type: ignore[misc]
    """Bottle, but every error is JSON and every answer has the security headers."""

    def __init__(self, check_credentials: Callable[[str], None], requests: Requests) -> None:
        super().__init__()
        self.catchall = False
        self.__dict__["router"] = ExactRouter()  # Bottle refuses to have an attribute set twice
        self._requests = requests
        self.check_credentials = check_credentials
        """Raises Unauthorized for an Authorization header that cannot be good, without asking the store."""
        self.at_close: list[Callable[[], None]] = []

    def close(self) -> None:
        """End what the application does in the background."""
        for end in self.at_close:
            end()
        super().close()

    def default_error_handler(self, error: bottle.HTTPError) -> str:
        """For what no handler saw: unknown paths and methods."""
        answer = answer_for(error)
        response.content_type = "application/json"
        for name, value in answer.headers.items():
            response.set_header(name, value)
        return json.dumps(answer.body)

    def wsgi(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """The WSGI entry."""
        observed = Observed(environ, self._requests)

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            observed.answer_begins(status)
            secured = _with_security(headers, environ, is_renewal=status.startswith("304"))
            return start_response(status, [*secured, observed.header], exc_info)

        try:
            answer: Iterable[bytes] = super().wsgi(environ, start)
        except Exception as exc:  # noqa: BLE001 -- the last line: never HTML, never an exception's text
            failed = answer_for(exc)
            data = json.dumps(failed.body).encode()
            start(
                "500 Internal Server Error", [("Content-Type", "application/json"), ("Content-Length", str(len(data)))]
            )
            return [data]
        return answer


def _with_security(
    headers: list[tuple[str, str]], environ: Mapping[str, Any], *, is_renewal: bool
) -> list[tuple[str, str]]:
    given = {name.lower(): value for name, value in headers}
    page = given.get("content-type", "").startswith("text/html")
    added: dict[str, str] = {}
    if not is_renewal:
        # A 304 renews the headers of what the browser has stored (RFC 9111 section 3.2): it has no type of its own, and
        # the policy of JSON would stick to a page.
        added = {**HEADERS, "Content-Security-Policy": PAGE_POLICY if page else JSON_POLICY}
    if not environ.get("PATH_INFO", "").startswith(DOCUMENTATION):
        added["Cache-Control"] = "no-store"
    return headers + [(name, value) for name, value in added.items() if name.lower() not in given]


def make_app(
    settings: Settings,
    store: Store,
    credentials: Credentials,
    metrics: Metrics,
    *,
    clock: Clock,
    validate_responses: bool,
) -> App:
    """The application without its routes. The first plugin is the outermost."""
    app = App(credentials.check_form, metrics.requests)
    app.install(ErrorsPlugin())
    app.install(PrototypePlugin(credentials.tokens, Envelope(settings.jwt_key)))
    app.install(GuardPlugin(credentials))
    app.install(KeptPlugin(KeptAnswers(store, clock)))
    app.install(ContractPlugin(uploads_folder=settings.data / "uploads", validate_responses=validate_responses))
    add_documentation(app)
    add_discovery(app, settings, credentials.tokens.keys)
    add_probes(app, settings, store, credentials, metrics)
    app.get("/", callback=lambda: front_page(store.live.dialer(), Clock().utcnow()))
    return app

"""Start here: the routes of the API and the wiring of the service.

A route reads, calls, returns: what is done stands in api_srv.py, what goes over the wire in swagger.yaml.
"""

import logging
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import bottle

from api_srv import Api
from autodialer.api.doctor import run_doctor
from autodialer.api.housekeeping import Housekeeping
from autodialer.api.numbering_plan import run_numbering_plan
from autodialer.api.routes import ALL as PARTS
from autodialer.clock import Clock
from autodialer.config import Settings, load_settings
from autodialer.errors import SettingsError, Unavailable, UserError
from autodialer.model import Role
from autodialer.store import Secrets, Store, migrate
from autodialer.supervisor import EXIT_CONFIG, run_service, start_logging, watch_parent
from autodialer.web import routing as http
from autodialer.web.app import App, make_app
from autodialer.web.console import make_administrator, read_command, set_password, show_trace
from autodialer.web.routing import ErrorStyle, Json, Routes, authenticated, open_to_all
from autodialer.web.server import ApiServer

logger = logging.getLogger(__name__)

routes = Routes()


# -- auth


@routes.post("/srv1/auth/token", errors=ErrorStyle.OAUTH)
@open_to_all
def issue_token(api: Api) -> Json:
    return http.oauth(api.issue_token(http.form(), http.authorization(), http.address()))


@routes.post("/srv1/auth/revoke", errors=ErrorStyle.OAUTH)
@open_to_all
def revoke_token(api: Api) -> Json:
    return http.oauth(api.revoke_token(http.form(), http.authorization()))


@routes.post("/srv1/auth/login", errors=ErrorStyle.PROTOTYPE)
@open_to_all
def log_in(api: Api) -> Json:
    return api.log_in(http.body()["login"], http.body()["password"], http.address())


# -- users


@routes.get("/srv1/users/me")
@authenticated
def read_me(api: Api) -> Json:
    return api.read_me(http.caller())


@routes.put("/srv1/users/me/password")
@authenticated
def change_password(api: Api) -> None:
    api.change_password(http.caller(), **http.body())
    http.no_content()


@routes.get("/srv1/users")
@authenticated(role=Role.ADMIN)
def list_users(api: Api) -> Json:
    return api.list_users(**http.page())


@routes.post("/srv1/users")
@authenticated(role=Role.ADMIN)
def create_user(api: Api) -> Json:
    return http.created(api.create_user(http.caller(), http.body(), http.once()))


@routes.get("/srv1/users/<user_id>")
@authenticated(role=Role.ADMIN)
def read_user(api: Api, user_id: UUID) -> Json:
    return api.read_user(user_id)


@routes.put("/srv1/users/<user_id>")
@authenticated(role=Role.ADMIN)
def change_user(api: Api, user_id: UUID) -> Json:
    return api.change_user(http.caller(), user_id, http.body())


@routes.get("/srv1/audit")
@authenticated(role=Role.ADMIN)
def list_audit(api: Api) -> Json:
    return api.list_audit(**http.page())


# -- trunks


@routes.get("/srv1/trunks")
@authenticated
def list_trunks(api: Api) -> Json:
    return api.list_trunks(http.caller(), **http.page())


@routes.post("/srv1/trunks")
@authenticated
def create_trunk(api: Api) -> Json:
    return http.created(api.create_trunk(http.caller(), http.body(), http.once()))


@routes.get("/srv1/trunks/<trunk_id>")
@authenticated
def read_trunk(api: Api, trunk_id: UUID) -> Json:
    return api.read_trunk(http.caller(), trunk_id)


@routes.put("/srv1/trunks/<trunk_id>")
@authenticated
def change_trunk(api: Api, trunk_id: UUID) -> Json:
    return api.change_trunk(http.caller(), trunk_id, http.body())


@routes.delete("/srv1/trunks/<trunk_id>")
@authenticated
def delete_trunk(api: Api, trunk_id: UUID) -> None:
    api.delete_trunk(http.caller(), trunk_id)
    http.no_content()


@routes.post("/srv1/trunks/<trunk_id>/check")
@authenticated
def check_trunk(api: Api, trunk_id: UUID) -> Json:
    return api.check_trunk(http.caller(), trunk_id, http.body())


# -- sounds


@routes.get("/srv1/sounds")
@authenticated
def list_sounds(api: Api) -> Json:
    return api.list_sounds(http.caller(), **http.page())


@routes.post("/srv1/sounds")
@authenticated
def create_sound(api: Api) -> Json:
    fields = http.parameters("name", "trim")
    return http.created(api.create_sound(http.caller(), http.upload(), **fields, once=http.once()))


@routes.get("/srv1/sounds/<sound_id>")
@authenticated
def read_sound(api: Api, sound_id: UUID) -> Json:
    return api.read_sound(http.caller(), sound_id)


@routes.delete("/srv1/sounds/<sound_id>")
@authenticated
def delete_sound(api: Api, sound_id: UUID) -> None:
    api.delete_sound(http.caller(), sound_id)
    http.no_content()


@routes.get("/srv1/sounds/<sound_id>/audio")
@authenticated
def read_sound_audio(api: Api, sound_id: UUID) -> bottle.HTTPResponse:
    return http.file(api.read_sound_audio(http.caller(), sound_id), "audio/wav")


# -- callbases


@routes.get("/srv1/callbases")
@authenticated
def list_callbases(api: Api) -> Json:
    return api.list_callbases(http.caller(), **http.page())


@routes.post("/srv1/callbases")
@authenticated
def create_callbase(api: Api) -> Json:
    callbase = api.create_callbase(
        http.caller(), http.upload(), http.parameters("name", "region", "timezone"), http.once()
    )
    return http.with_status(202 if callbase["state"] == "importing" else 201, callbase)


@routes.get("/srv1/callbases/<callbase_id>")
@authenticated
def read_callbase(api: Api, callbase_id: UUID) -> Json:
    return api.read_callbase(http.caller(), callbase_id)


@routes.delete("/srv1/callbases/<callbase_id>")
@authenticated
def delete_callbase(api: Api, callbase_id: UUID) -> None:
    api.delete_callbase(http.caller(), callbase_id)
    http.no_content()


@routes.get("/srv1/callbases/<callbase_id>/subscribers")
@authenticated
def list_subscribers(api: Api, callbase_id: UUID) -> Json:
    return api.list_subscribers(http.caller(), callbase_id, **http.page())


@routes.post("/srv1/callbases/<callbase_id>/subscribers")
@authenticated
def create_subscriber(api: Api, callbase_id: UUID) -> Json:
    return http.created(api.create_subscriber(http.caller(), callbase_id, http.body(), http.once()))


@routes.get("/srv1/callbases/<callbase_id>/rejected")
@authenticated
def list_rejected(api: Api, callbase_id: UUID) -> Any:
    if http.wants_csv():
        return http.csv(("row", "value", "reason"), lambda page: api.list_rejected(http.caller(), callbase_id, **page))
    return api.list_rejected(http.caller(), callbase_id, **http.page())


# -- campaigns and calls


for part in PARTS:
    routes.include(part)


# -- wiring


def build_app(settings: Settings, store: Store, *, clock: Clock | None = None, validate_responses: bool = False) -> App:
    """The WSGI application of the API on a database that `migrate` has prepared; `app.close()` ends it.

    With `validate_responses` an answer that breaks swagger.yaml is an error: for tests.
    """
    api = Api(settings, store, clock)
    app = make_app(settings, store, api.tokens, validate_responses=validate_responses)
    routes.mount(app, api)
    app.at_close.append(api.close)
    return app


def serve(settings: Settings, stopping: threading.Event | None = None) -> None:
    """Serve the API until `stopping` is set, the parent's pipe closes, or a signal asks for the end.

    Raises SettingsError for an address that cannot be listened on.
    """
    migrate(settings.url)
    store = Store(settings.url, secrets=Secrets(settings.keys))
    try:
        store.callbases.fail_unfinished()
        store.dnc_imports.fail_unfinished()
        app = build_app(settings, store)
        housekeeping = Housekeeping(settings, store)
        housekeeping.start()
        app.at_close.append(housekeeping.stop)
        server = ApiServer(settings, app, stopping)
        if threading.current_thread() is threading.main_thread():
            for signum in (signal.SIGTERM, signal.SIGINT):
                signal.signal(signum, lambda _signum, _frame: server.stop())
        watch_parent(server.stop)
        server.run()
        app.close()
    finally:
        store.close()


# -- the command line


def supervise(settings: Settings) -> int:
    """Run the whole service until a signal asks for the end; the exit status."""
    make_administrator(settings)
    logger.info("the API and its Swagger UI are at %s/api/doc, the front page at %s/", *[settings.base_url] * 2)
    return run_service(Path(__file__).resolve().parent, drain_s=settings.drain_s, log_level=settings.log)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; the exit status."""
    options = read_command(arguments)
    try:
        if options.command == "demo":
            from autodialer.gateway.demo import run_demo

            return run_demo(exit_at_end=options.exit)
        settings = load_settings()
        start_logging(settings.log, "api" if options.command == "serve" else "main")
        if options.command == "serve":
            serve(settings)
            return 0
        if options.command == "set-password":
            return set_password(settings, options.login)
        if options.command == "trace":
            return show_trace(settings, options.call_id)
        if options.command == "numbering-plan":
            return run_numbering_plan(settings, options.file)
        if options.command == "doctor":
            return run_doctor(settings)
        return supervise(settings)
    except (SettingsError, Unavailable, UserError) as exc:
        sys.stderr.write(f"{exc}\n")
        # A database that is locked or full may take it a moment later.
        return 1 if isinstance(exc, Unavailable) else EXIT_CONFIG


if __name__ == "__main__":
    sys.exit(main())

"""Start here: the routes of the API as one table, and the wiring of the service.

What an operation does stands in autodialer/api, a file a subject; what goes over the wire in swagger.yaml.
"""

import autodialer.environment  # noqa: F401 -- first of all: it may end the program with a message

# isort: split

import logging
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from api_srv import Api
from autodialer.api.accounts import AuditFilter, LogIn, NewUser, PasswordChange, UserChange, UserDeletion
from autodialer.api.api_keys import NewApiKey
from autodialer.api.callbases import NewCallbase, SubscriberFilter
from autodialer.api.calls import CallFilter, Digits, NewCall, SampleCall
from autodialer.api.campaigns import (
    CallableAt,
    CampaignChange,
    CampaignFilter,
    Clone,
    NewCampaign,
    Resume,
    SliceWanted,
    Stop,
)
from autodialer.api.filters import ObjectFilter
from autodialer.api.notices import NewNotice, NoticeChange
from autodialer.api.people import DncChange, DncScope, Erase, NewDncImport
from autodialer.api.prototype import PrototypeCall, PrototypeUser
from autodialer.api.reports import Period
from autodialer.api.second_factor import Confirm, Enrol, Proof
from autodialer.api.sounds import NewAudio, NewSound, SoundChange, WantedAudio
from autodialer.api.subscribers import ManyNumbers, OneSubscriber, PersonWanted, SubscriberChange
from autodialer.api.trunks import NewTrunk, TrunkChange, TrunkCheck
from autodialer.api.uploaded_tables import RejectedFilter, TableFields
from autodialer.api.webhooks import DeliveryFilter, NewWebhook, WebhookChange, WebhookFilter
from autodialer.clock import Clock
from autodialer.commands.accounts import make_administrator, set_password
from autodialer.commands.backup import run_backup
from autodialer.commands.command_line import read_command
from autodialer.commands.doctor import run_doctor
from autodialer.commands.numbering_plan import run_numbering_plan
from autodialer.commands.restore import run_restore
from autodialer.commands.rotation import rotate_key
from autodialer.commands.takeover import take_over_prototype
from autodialer.commands.trace import show_trace
from autodialer.config import Settings, load_settings
from autodialer.errors import AlreadyRunning, SettingsError, Unavailable, UserError
from autodialer.housekeeping import Housekeeping
from autodialer.imports.imports import Imports
from autodialer.logs import start_logging
from autodialer.store import Secrets, Store, migrate
from autodialer.supervisor import EXIT_CONFIG, HANDOVER_S, DataFolderLock, run_service, watch_parent
from autodialer.web.access import Access
from autodialer.web.app import App, make_app
from autodialer.web.metrics import Metrics
from autodialer.web.routing import ErrorStyle, Route, list_or_csv, mount
from autodialer.web.server import ApiServer, listen, reserve

logger = logging.getLogger(__name__)

Line = Route[Api]
OPEN, OPERATE, USER, ADMIN = Access.OPEN, Access.OPERATE, Access.USER, Access.ADMIN
ME, ACCOUNT, FACTOR, USERS = Access.ME, Access.ACCOUNT, Access.FACTOR, Access.USERS
OAUTH, LOGIN = ErrorStyle.OAUTH, ErrorStyle.LOGIN
ROW_COLUMNS = ("row", "column", "value", "reason")


def once_imported(made: dict[str, Any]) -> int:
    """The status of an import: 201, or 202 when a large file is still being read."""
    return 202 if made["state"] == "importing" else 201


ROUTES: tuple[Line, ...] = (
    # method, path below /srv1, operation, who may call (default: Access.READ for GET, else USER), status (default 200),
    # style of errors
    # -- auth
    Line(
        "POST",
        "/auth/token",
        lambda api, r: api.accounts.issue_token(r.form, r.authorization, r.sender),
        OPEN,
        errors=OAUTH,
    ),
    Line("POST", "/auth/revoke", lambda api, r: api.accounts.revoke_token(r.form, r.authorization), OPEN, errors=OAUTH),
    Line("POST", "/auth/login", lambda api, r: api.accounts.log_in(r.fields(LogIn), r.sender), OPEN, errors=LOGIN),
    # -- users
    Line("GET", "/users/me", lambda api, r: api.accounts.read_me(r.caller), ME),
    Line(
        "PUT",
        "/users/me/password",
        lambda api, r: api.accounts.change_password(r.caller, r.fields(PasswordChange)),
        ACCOUNT,
        204,
    ),
    Line("GET", "/users", lambda api, r: api.accounts.list_users(r.parameters(ObjectFilter), r.page), USERS),
    Line("POST", "/users", lambda api, r: api.accounts.create_user(r.caller, r.fields(NewUser), r.once), USERS, 201),
    Line("GET", "/users/<user_id>", lambda api, r: api.accounts.read_user(r.id), USERS),
    Line(
        "PUT", "/users/<user_id>", lambda api, r: api.accounts.change_user(r.caller, r.id, r.fields(UserChange)), USERS
    ),
    Line(
        "DELETE",
        "/users/<user_id>",
        lambda api, r: api.accounts.delete_user(r.caller, r.id, r.parameters(UserDeletion)),
        USERS,
        204,
    ),
    # -- the second factor
    Line("GET", "/users/me/mfa", lambda api, r: api.second_factor.read(r.caller), ME),
    Line("POST", "/users/me/mfa", lambda api, r: api.second_factor.enrol(r.caller, r.fields(Enrol)), FACTOR),
    Line(
        "POST", "/users/me/mfa/confirm", lambda api, r: api.second_factor.confirm(r.caller, r.fields(Confirm)), FACTOR
    ),
    Line(
        "POST",
        "/users/me/mfa/recovery-codes",
        lambda api, r: api.second_factor.renew_codes(r.caller, r.fields(Proof)),
        ACCOUNT,
    ),
    Line(
        "POST",
        "/users/me/mfa/disable",
        lambda api, r: api.second_factor.disable(r.caller, r.fields(Proof)),
        ACCOUNT,
        204,
    ),
    Line("DELETE", "/users/<user_id>/mfa", lambda api, r: api.second_factor.reset(r.caller, r.id), USERS, 204),
    # -- sessions
    Line("GET", "/users/me/sessions", lambda api, r: api.sessions.list_own(r.caller, r.page), ME),
    Line(
        "DELETE", "/users/me/sessions/<session_id>", lambda api, r: api.sessions.end_own(r.caller, r.id), ACCOUNT, 204
    ),
    Line("GET", "/users/<user_id>/sessions", lambda api, r: api.sessions.list(r.caller, r.id, r.page), USERS),
    Line(
        "DELETE",
        "/users/<user_id>/sessions/<session_id>",
        lambda api, r: api.sessions.end(r.caller, r.id_of("user_id"), r.id_of("session_id")),
        USERS,
        204,
    ),
    # -- API keys
    Line("GET", "/api-keys", lambda api, r: api.api_keys.list(r.caller, r.page), ME),
    Line("POST", "/api-keys", lambda api, r: api.api_keys.create(r.caller, r.fields(NewApiKey), r.once), ACCOUNT, 201),
    Line("GET", "/api-keys/<key_id>", lambda api, r: api.api_keys.read(r.caller, r.id), ME),
    Line("DELETE", "/api-keys/<key_id>", lambda api, r: api.api_keys.revoke(r.caller, r.id), ACCOUNT, 204),
    # -- audit
    Line("GET", "/audit", lambda api, r: api.accounts.list_audit(r.parameters(AuditFilter), r.page), ADMIN),
    # -- trunks
    Line("GET", "/trunks", lambda api, r: api.trunks.list(r.caller, r.parameters(ObjectFilter), r.page)),
    Line("POST", "/trunks", lambda api, r: api.trunks.create(r.caller, r.fields(NewTrunk), r.once), USER, 201),
    Line("GET", "/trunks/<trunk_id>", lambda api, r: api.trunks.read(r.caller, r.id)),
    Line("PUT", "/trunks/<trunk_id>", lambda api, r: api.trunks.change(r.caller, r.id, r.fields(TrunkChange))),
    Line("DELETE", "/trunks/<trunk_id>", lambda api, r: api.trunks.delete(r.caller, r.id), USER, 204),
    Line("POST", "/trunks/<trunk_id>/check", lambda api, r: api.trunks.check(r.caller, r.id, r.fields(TrunkCheck))),
    Line("POST", "/trunks/<trunk_id>/wake", lambda api, r: api.trunks.wake(r.caller, r.id), USER, 202),
    # -- sounds
    Line("GET", "/sounds", lambda api, r: api.sounds.list(r.caller, r.parameters(ObjectFilter), r.page)),
    Line(
        "POST",
        "/sounds",
        lambda api, r: api.sounds.create(r.caller, r.upload, r.parameters(NewSound), r.once),
        USER,
        201,
    ),
    Line("GET", "/sounds/<sound_id>", lambda api, r: api.sounds.read(r.caller, r.id)),
    Line("PUT", "/sounds/<sound_id>", lambda api, r: api.sounds.change(r.caller, r.id, r.fields(SoundChange))),
    Line("DELETE", "/sounds/<sound_id>", lambda api, r: api.sounds.delete(r.caller, r.id), USER, 204),
    Line(
        "GET",
        "/sounds/<sound_id>/audio",
        lambda api, r: api.sounds.read_audio(r.caller, r.id, r.parameters(WantedAudio)),
    ),
    Line(
        "PUT",
        "/sounds/<sound_id>/audio",
        lambda api, r: api.sounds.replace_audio(r.caller, r.id, r.upload, r.parameters(NewAudio)),
    ),
    Line("GET", "/sounds/<sound_id>/waveform", lambda api, r: api.sounds.read_waveform(r.caller, r.id)),
    # -- callbases
    Line("GET", "/callbases", lambda api, r: api.callbases.list(r.caller, r.parameters(ObjectFilter), r.page)),
    Line(
        "POST",
        "/callbases",
        lambda api, r: api.callbases.create(r.caller, r.upload, r.parameters(NewCallbase), r.once),
        USER,
        once_imported,
    ),
    Line(
        "POST",
        "/callbases/preview",
        lambda api, r: api.callbases.preview(r.caller, r.upload, r.parameters(TableFields)),
    ),
    Line("GET", "/callbases/<callbase_id>", lambda api, r: api.callbases.read(r.caller, r.id)),
    Line("DELETE", "/callbases/<callbase_id>", lambda api, r: api.callbases.delete(r.caller, r.id), USER, 204),
    Line(
        "GET",
        "/callbases/<callbase_id>/subscribers",
        lambda api, r: api.callbases.list_subscribers(r.caller, r.id, r.parameters(SubscriberFilter), r.page),
    ),
    Line(
        "POST",
        "/callbases/<callbase_id>/subscribers",
        lambda api, r: api.callbases.create_subscriber(r.caller, r.id, r.fields(OneSubscriber), r.once),
        USER,
        201,
    ),
    Line(
        "GET",
        "/callbases/<callbase_id>/rejected",
        lambda api, r: list_or_csv(
            r, ROW_COLUMNS, partial(api.callbases.list_rejected, r.caller, r.id, r.parameters(RejectedFilter))
        ),
    ),
    # -- subscribers
    Line("GET", "/subscribers", lambda api, r: api.subscribers.find(r.caller, r.parameters(PersonWanted), r.page)),
    Line("GET", "/subscribers/<subscriber_id>", lambda api, r: api.subscribers.read(r.caller, r.id)),
    Line(
        "PUT",
        "/subscribers/<subscriber_id>",
        lambda api, r: api.subscribers.change(r.caller, r.id, r.fields(SubscriberChange)),
    ),
    Line("DELETE", "/subscribers/<subscriber_id>", lambda api, r: api.subscribers.delete(r.caller, r.id), USER, 204),
    # -- campaigns
    Line("GET", "/campaigns", lambda api, r: api.campaigns.list(r.caller, r.parameters(CampaignFilter), r.page)),
    Line("POST", "/campaigns", lambda api, r: api.campaigns.create(r.caller, r.fields(NewCampaign), r.once), USER, 201),
    Line("GET", "/campaigns/<campaign_id>", lambda api, r: api.campaigns.read(r.caller, r.id)),
    Line(
        "PUT", "/campaigns/<campaign_id>", lambda api, r: api.campaigns.change(r.caller, r.id, r.fields(CampaignChange))
    ),
    Line("POST", "/campaigns/<campaign_id>/start", lambda api, r: api.campaigns.start(r.caller, r.id), OPERATE),
    Line("POST", "/campaigns/<campaign_id>/pause", lambda api, r: api.campaigns.pause(r.caller, r.id), OPERATE),
    Line(
        "POST",
        "/campaigns/<campaign_id>/resume",
        lambda api, r: api.campaigns.resume(r.caller, r.id, r.fields(Resume)),
        OPERATE,
    ),
    Line(
        "POST",
        "/campaigns/<campaign_id>/stop",
        lambda api, r: api.campaigns.stop(r.caller, r.id, r.fields(Stop)),
        OPERATE,
    ),
    Line("DELETE", "/campaigns/<campaign_id>", lambda api, r: api.campaigns.delete(r.caller, r.id), USER, 204),
    Line("POST", "/campaigns/<campaign_id>/archive", lambda api, r: api.campaigns.archive(r.caller, r.id)),
    Line("POST", "/campaigns/<campaign_id>/unarchive", lambda api, r: api.campaigns.unarchive(r.caller, r.id)),
    Line(
        "POST",
        "/campaigns/<campaign_id>/clone",
        lambda api, r: api.campaigns.clone(r.caller, r.id, r.fields(Clone), r.once),
        USER,
        201,
    ),
    Line(
        "POST",
        "/campaigns/<campaign_id>/slice",
        lambda api, r: api.campaigns.count_slice(r.caller, r.id, r.fields(SliceWanted)),
    ),
    Line(
        "GET",
        "/campaigns/<campaign_id>/callable",
        lambda api, r: api.campaigns.read_callable(r.caller, r.id, r.parameters(CallableAt)),
    ),
    Line("GET", "/campaigns/<campaign_id>/diary", lambda api, r: api.campaigns.list_diary(r.caller, r.id, r.page)),
    Line("GET", "/campaigns/<campaign_id>/why", lambda api, r: api.campaigns.read_why(r.caller, r.id)),
    Line(
        "GET",
        "/campaigns/<campaign_id>/calls",
        lambda api, r: api.calls.list(r.caller, r.id, r.parameters(CallFilter), r.page),
    ),
    Line(
        "POST",
        "/campaigns/<campaign_id>/subscribers",
        lambda api, r: api.subscribers.add_many(r.caller, r.id, r.fields(ManyNumbers)),
    ),
    Line("GET", "/campaigns/<campaign_id>/report", lambda api, r: api.campaigns.read_report(r.caller, r.id)),
    # -- reports
    Line("GET", "/reports/period", lambda api, r: api.reports.read_period(r.caller, r.parameters(Period))),
    # -- tables
    Line("GET", "/campaigns/<campaign_id>/calls.csv", lambda api, r: api.tables.export_calls_csv(r.caller, r.id)),
    Line("GET", "/campaigns/<campaign_id>/calls.xlsx", lambda api, r: api.tables.export_calls_xlsx(r.caller, r.id)),
    Line(
        "GET",
        "/campaigns/<campaign_id>/subscribers.csv",
        lambda api, r: api.tables.export_subscribers_csv(r.caller, r.id),
    ),
    Line(
        "GET",
        "/campaigns/<campaign_id>/subscribers.xlsx",
        lambda api, r: api.tables.export_subscribers_xlsx(r.caller, r.id),
    ),
    # -- calls
    Line("GET", "/calls", lambda api, r: api.calls.list_all(r.caller, r.parameters(CallFilter), r.page)),
    Line("POST", "/calls", lambda api, r: api.calls.create(r.caller, r.fields(NewCall), r.once), USER, 202),
    Line("GET", "/calls/<call_id>", lambda api, r: api.calls.read(r.caller, r.id)),
    Line("GET", "/calls/<call_id>/trace", lambda api, r: api.calls.read_trace(r.caller, r.id)),
    Line("POST", "/calls/<call_id>/hangup", lambda api, r: api.calls.hang_up(r.caller, r.id), OPERATE, 202),
    Line(
        "POST",
        "/calls/<call_id>/digits",
        lambda api, r: api.calls.send_digits(r.caller, r.id, r.fields(Digits)),
        USER,
        202,
    ),
    Line(
        "POST",
        "/call/sample",
        lambda api, r: api.calls.create_sample(r.caller, r.fields(SampleCall), r.once),
        USER,
        202,
        for_prototype=lambda api, r: api.prototype.call(r.caller, r.fields(PrototypeCall), r.once),
    ),
    # -- webhooks
    Line("GET", "/webhooks", lambda api, r: api.webhooks.list(r.caller, r.parameters(WebhookFilter), r.page)),
    Line("POST", "/webhooks", lambda api, r: api.webhooks.create(r.caller, r.fields(NewWebhook), r.once), USER, 201),
    # Before the paths with an id, which these would be taken for.
    Line(
        "GET",
        "/webhooks/deliveries",
        lambda api, r: api.webhooks.list_deliveries(r.caller, r.parameters(DeliveryFilter), r.page),
    ),
    Line("GET", "/webhooks/deliveries/<delivery_id>", lambda api, r: api.webhooks.read_delivery(r.caller, r.id)),
    Line(
        "POST",
        "/webhooks/deliveries/<delivery_id>/redeliver",
        lambda api, r: api.webhooks.redeliver(r.caller, r.id),
        USER,
        202,
    ),
    Line("GET", "/webhooks/<webhook_id>", lambda api, r: api.webhooks.read(r.caller, r.id)),
    Line("PUT", "/webhooks/<webhook_id>", lambda api, r: api.webhooks.change(r.caller, r.id, r.fields(WebhookChange))),
    Line("DELETE", "/webhooks/<webhook_id>", lambda api, r: api.webhooks.delete(r.caller, r.id), USER, 204),
    Line("POST", "/webhooks/<webhook_id>/test", lambda api, r: api.webhooks.test(r.caller, r.id), USER, 202),
    # -- notices
    Line("GET", "/notices", lambda api, r: api.notices.list(r.caller, r.page)),
    Line("POST", "/notices", lambda api, r: api.notices.create(r.caller, r.fields(NewNotice), r.once), USER, 201),
    Line("GET", "/notices/<notice_id>", lambda api, r: api.notices.read(r.caller, r.id)),
    Line("PUT", "/notices/<notice_id>", lambda api, r: api.notices.change(r.caller, r.id, r.fields(NoticeChange))),
    Line("DELETE", "/notices/<notice_id>", lambda api, r: api.notices.delete(r.caller, r.id), USER, 204),
    Line("POST", "/notices/<notice_id>/test", lambda api, r: api.notices.test(r.caller, r.id), USER, 202),
    # -- the prototype's, and these for the clients of today
    Line(
        "GET",
        "/abon/all",
        lambda api, r: api.prototype.list_subscribers(r.caller, r.page),
        for_prototype=lambda api, r: api.prototype.tell_subscribers(r.caller),
    ),
    Line(
        "POST",
        "/admin/adduser",
        lambda api, r: api.prototype.create_user(r.caller, r.fields(NewUser), r.once),
        USERS,
        201,
        for_prototype=lambda api, r: api.prototype.add_user(r.caller, r.fields(PrototypeUser), r.once),
    ),
    # -- people
    Line(
        "POST",
        "/subscribers/<subscriber_id>/erase",
        lambda api, r: api.people.erase_subscriber(r.caller, r.id, r.fields(Erase)),
    ),
    Line("GET", "/dnc", lambda api, r: api.people.list_dnc(r.caller, r.parameters(DncScope), r.page)),
    # Before the paths with a number, which these would be taken for.
    Line(
        "POST",
        "/dnc/import",
        lambda api, r: api.people.import_dnc(r.caller, r.upload, r.parameters(NewDncImport), r.once),
        USER,
        once_imported,
    ),
    Line("GET", "/dnc/imports", lambda api, r: api.people.list_dnc_imports(r.caller, r.page)),
    Line("GET", "/dnc/imports/<import_id>", lambda api, r: api.people.read_dnc_import(r.caller, r.id)),
    Line("DELETE", "/dnc/imports/<import_id>", lambda api, r: api.people.delete_dnc_import(r.caller, r.id), USER, 204),
    Line(
        "GET",
        "/dnc/imports/<import_id>/rejected",
        lambda api, r: list_or_csv(
            r, ROW_COLUMNS, partial(api.people.list_dnc_rejected, r.caller, r.id, r.parameters(RejectedFilter))
        ),
    ),
    Line("GET", "/dnc/<number>", lambda api, r: api.people.read_dnc_entry(r.caller, r.number)),
    Line("PUT", "/dnc/<number>", lambda api, r: api.people.put_dnc_entry(r.caller, r.number, r.fields(DncChange))),
    Line("DELETE", "/dnc/<number>", lambda api, r: api.people.delete_dnc_entry(r.caller, r.number), USER, 204),
)


# -- wiring


def build_app(settings: Settings, store: Store, *, clock: Clock | None = None, validate_responses: bool = False) -> App:
    """The WSGI application of the API on a database that `migrate` has prepared; `app.close()` ends it.

    With `validate_responses` an answer that breaks swagger.yaml is an error: for tests.
    """
    clock = clock or Clock()
    api = Api(settings, store, clock)
    metrics = Metrics(settings, store, imported_rows=api.imported_rows)
    app = make_app(settings, store, api.credentials, metrics, clock=clock, validate_responses=validate_responses)
    mount(ROUTES, app, api)
    app.at_close.append(api.close)
    return app


def serve(settings: Settings, stopping: threading.Event | None = None) -> None:
    """Serve the API until `stopping` is set, the parent's pipe closes, or a signal asks for the end.

    Raises SettingsError for an address that cannot be listened on, AlreadyRunning for a second API on the data folder.
    """
    # Nothing is touched before both are ours: the imports and uploads that look left over may be another API's.
    with DataFolderLock(settings.data, "API").held(HANDOVER_S), closing(listen(settings)) as listener:
        take_over_prototype(settings)
        migrate(settings.url)
        with closing(Store(settings.url, secrets=Secrets(settings.keys))) as store:
            _serve(settings, store, listener, stopping)


def _serve(settings: Settings, store: Store, listener: socket.socket, stopping: threading.Event | None) -> None:
    Imports(settings, store).fail_unfinished()
    app = build_app(settings, store)
    housekeeping = Housekeeping(settings, store)
    housekeeping.start()
    app.at_close.append(housekeeping.stop)
    server = ApiServer(settings, app, stopping, listener=listener)
    if threading.current_thread() is threading.main_thread():
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, lambda _signum, _frame: server.stop())
    watch_parent(server.stop)
    server.run()
    app.close()


# -- the command line


def supervise(settings: Settings) -> int:
    """Run the whole service until a signal asks for the end; the exit status."""
    # A second service must not even migrate the database of the first. The children take the locks and the port again:
    # a socket that listened here would take clients in, and reset them when it is closed for the child's.
    with (
        DataFolderLock(settings.data).held(HANDOVER_S),
        DataFolderLock(settings.data, "API").held(HANDOVER_S),
        closing(reserve(settings)),
    ):
        take_over_prototype(settings)
        make_administrator(settings)
    logger.info("the API and its Swagger UI are at %s/api/doc, the front page at %s/", *[settings.base_url] * 2)
    return run_service(
        Path(__file__).resolve().parent,
        drain_s=settings.drain_s,
        log_level=settings.log,
        log_format=settings.log_format,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; the exit status."""
    options = read_command(arguments)
    try:
        if options.command == "demo":
            from autodialer.gateway.demo import run_demo

            return run_demo(exit_at_end=options.exit)
        settings = load_settings()
        start_logging(settings.log, "api" if options.command == "serve" else "main", settings.log_format)
        if options.command == "serve":
            serve(settings)
            return 0
        if options.command == "set-password":
            return set_password(settings, options.login, reset_mfa=options.reset_mfa)
        if options.command == "rotate-key":
            return rotate_key(settings, forget=options.forget)
        if options.command == "trace":
            return show_trace(settings, options.call_id)
        if options.command == "numbering-plan":
            return run_numbering_plan(settings, options.file)
        if options.command == "backup":
            return run_backup(settings, options.file)
        if options.command == "restore":
            return run_restore(settings, options.file, force=options.force)
        if options.command == "doctor":
            return run_doctor(settings)
        return supervise(settings)
    except (SettingsError, AlreadyRunning, Unavailable, UserError) as exc:
        sys.stderr.write(f"{exc}\n")
        # A database that is locked or full may take it a moment later.
        return 1 if isinstance(exc, Unavailable) else EXIT_CONFIG


if __name__ == "__main__":
    sys.exit(main())

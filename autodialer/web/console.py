"""What whoever owns the machine does at its console, without a login: accounts, and the SIP messages of calls."""

import argparse
import getpass
import sys
from collections.abc import Sequence
from contextlib import closing
from uuid import UUID

from autodialer.clock import Clock
from autodialer.config import Settings
from autodialer.errors import Invalid, NotFound
from autodialer.store import DEFAULT_ADMIN_LOGIN, Secrets, Store, migrate
from autodialer.web.traces import CallTraces

LEAST_PASSWORD = 8


def read_command(arguments: Sequence[str] | None) -> argparse.Namespace:
    """What main.py is told on its command line; `command` is None without one."""
    parser = argparse.ArgumentParser(
        prog="main.py", description="The outbound dialer. Without a command: run the service."
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    demo = commands.add_parser("demo", help="show the whole main job without a provider")
    demo.add_argument("--exit", action="store_true", help="end after the report instead of staying up")
    commands.add_parser("serve", help="run the API alone")
    password = commands.add_parser("set-password", help="give a user a password")
    password.add_argument("login")
    trace = commands.add_parser("trace", help="print the SIP messages of a call")
    trace.add_argument("call_id", metavar="ID", help="as GET /srv1/campaigns/{id}/calls tells it")
    plan = commands.add_parser("numbering-plan", help="take the Russian regulator's numbering plan, for time zones")
    plan.add_argument("file", metavar="FILE", nargs="?", help="a CSV as it is published; without one: what is there")
    commands.add_parser("doctor", help="say what of this machine helps or hinders the service")
    return parser.parse_args(arguments)


def make_administrator(settings: Settings) -> None:
    """On the first start there is an administrator; a made-up password is shown once and kept nowhere."""
    migrate(settings.url)
    store = Store(settings.url, secrets=Secrets(settings.keys))
    password = store.users.ensure_admin(settings.admin_login, settings.admin_password)
    store.close()
    if password:
        login = settings.admin_login or DEFAULT_ADMIN_LOGIN
        _say(f"First start. Administrator: {login}   password: {password}   (shown only now)")


def set_password(settings: Settings, login: str) -> int:
    """Give a user a password, asked for at the terminal or read from standard input; the exit status."""
    migrate(settings.url)
    store = Store(settings.url, secrets=Secrets(settings.keys))
    try:
        user = store.users.by_login(login)
        if user is None:
            raise NotFound(f"There is no user with the login {login!r}.")
        asked = getpass.getpass(f"New password of {login}: ") if sys.stdin.isatty() else sys.stdin.readline().strip()
        if len(asked) < LEAST_PASSWORD:
            raise Invalid(f"A password takes at least {LEAST_PASSWORD} characters.", field="password")
        store.users.set_password(user.key, asked)
    finally:
        store.close()
    _say(f"{login} can log in with the new password; all sessions of this user have ended.")
    return 0


def show_trace(settings: Settings, call_id: str) -> int:
    """Print the SIP messages of a call; the exit status. Raises Invalid or NotFound."""
    try:
        wanted = UUID(call_id)
    except ValueError as exc:
        raise Invalid(f"{call_id!r} is not the id of a call; GET /srv1/campaigns/{{id}}/calls tells them.") from exc
    migrate(settings.url)
    with closing(Store(settings.url, secrets=Secrets(settings.keys))) as store:
        try:
            call = store.calls.get(wanted, None)
        except NotFound as exc:
            raise NotFound(f"There is no call with the id {wanted}.") from exc
        _say(CallTraces(store, Clock()).read(call).rstrip("\n"))
    return 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()

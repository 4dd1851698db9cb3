"""Accounts at the console: the administrator of the first start, and new passwords."""

import getpass
import logging
import sys

from autodialer.api.passwords import check_password
from autodialer.config import Settings
from autodialer.errors import Invalid, NotFound
from autodialer.store import DEFAULT_ADMIN_LOGIN, Secrets, Store, migrate

logger = logging.getLogger(__name__)


def make_administrator(settings: Settings) -> None:
    """On the first start there is an administrator; a made-up password is shown once and kept nowhere."""
    migrate(settings.url)
    store = Store(settings.url, secrets=Secrets(settings.keys))
    is_first = not store.users.has_admin()
    password = store.users.ensure_admin(settings.admin_login, settings.admin_password)
    store.close()
    if is_first and settings.admin_password:
        _judge_given(settings.admin_login or DEFAULT_ADMIN_LOGIN, settings.admin_password)
    if password:
        say_administrator(settings.admin_login or DEFAULT_ADMIN_LOGIN, password)


def _judge_given(login: str, password: str) -> None:
    """Warn of a password in the settings that the API would refuse. It is taken: a machine may be set up by a program
    that reads no messages, and its owner may do as it likes.
    """
    try:
        check_password(password, login=login, field="DIALER_ADMIN_PASSWORD")
    except Invalid as exc:
        logger.warning("%s Change it with `python main.py set-password %s`.", exc, login)


def say_administrator(login: str, password: str) -> None:
    """Show a made-up password; nobody can show it again."""
    say(f"First start. Administrator: {login}   password: {password}   (shown only now)")


def set_password(settings: Settings, login: str, *, reset_mfa: bool = False) -> int:
    """Give a user a password, asked for at the terminal or read from standard input; the exit status.

    With `reset_mfa` a second factor goes too: the only admin has nobody to ask.
    """
    migrate(settings.url)
    store = Store(settings.url, secrets=Secrets(settings.keys))
    try:
        user = store.users.by_login(login)
        if user is None:
            raise NotFound(f"There is no user with the login {login!r}.")
        asked = getpass.getpass(f"New password of {login}: ") if sys.stdin.isatty() else sys.stdin.readline().strip()
        check_password(asked, login=user.login, name=user.name)
        hashed = store.users.hash_password(asked)
        with store.transaction():
            store.users.set_password(user.key, hashed)
            if reset_mfa and user.mfa_enabled:
                store.second_factors.remove(user.key)
                store.audit.append(None, "users.reset_mfa", object_kind="users", object_id=user.id)
            # By nobody: the console knows no user of the API.
            store.audit.append(None, "users.set_password", object_kind="users", object_id=user.id)
    finally:
        store.close()
    say(f"{login} can log in with the new password; all sessions of this user have ended.")
    return 0


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()

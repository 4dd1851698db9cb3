"""Accounts: logging in, users, and the audit of what they did."""

import logging
from collections.abc import Sequence
from typing import cast
from uuid import UUID

from autodialer.api.ceilings import Ceilings, first_ceilings
from autodialer.api.context import Context
from autodialer.api.filters import ObjectFilter, TimeFilter
from autodialer.api.passwords import check_password
from autodialer.api.present import Json, identifier, page, time
from autodialer.api.sounds import SoundFiles
from autodialer.errors import Conflict, Invalid, Unavailable
from autodialer.model import Role, User
from autodialer.store import AuditEntry
from autodialer.store.accounts.users import UserChanges
from autodialer.store.forget.leaving import Objects
from autodialer.web.caller import Caller, Sender
from autodialer.web.fields import Fields
from autodialer.web.oauth import OAuthAnswer, Passwords, TokenEndpoint
from autodialer.web.request import PageWanted

logger = logging.getLogger(__name__)

BATCHES_AWAITED = 10
"""Of what a deleted user has left; a request takes no seconds for a million rows."""
Form = Sequence[tuple[str, str]]


class LogIn(Fields):
    """Login and password as the prototype's clients send them."""

    login: str
    password: str


class PasswordChange(Fields):
    """A user's own password."""

    password: str
    """The one of now."""
    new_password: str


class NewUser(Fields):
    """A user to be made."""

    login: str
    password: str
    name: str = ""
    role: Role = Role.USER
    comment: str | None = None
    works_for: str | None = None
    """Login of the user with whose objects an operator or a viewer works."""
    max_calls_day: int | None = None
    max_minutes_day: int | None = None
    mfa_required: bool = False


class UserChange(Fields):
    """What an admin changes of a user."""

    password: str | None = None
    name: str = ""
    role: Role = Role.USER
    comment: str | None = None
    works_for: str | None = None
    max_calls_day: int | None = None
    max_minutes_day: int | None = None
    mfa_required: bool = False

    def changes(self) -> UserChanges:
        """Those that stand in the user's row as they are."""
        return cast(UserChanges, {name: value for name, value in self.given.items() if name != "password"})


class AuditFilter(TimeFilter):
    """Which entries of the audit are listed."""

    login: str | None = None
    """Of the user who did it."""
    action: str | None = None
    """campaigns.start, for example."""


class UserDeletion(Fields):
    """What becomes of the objects of a user who is deleted."""

    objects: Objects
    to: UUID | None = None
    """The user who gets them; None: the admin who deletes."""


class Accounts:
    """The operations on accounts."""

    def __init__(
        self, context: Context, passwords: Passwords, token_endpoint: TokenEndpoint, sound_files: SoundFiles
    ) -> None:
        self._context = context
        self._sound_files = sound_files
        self._store = context.store
        self._passwords = passwords
        self._token_endpoint = token_endpoint

    def issue_token(self, form: Form, authorization: str, sender: Sender) -> OAuthAnswer:
        """The OAuth 2.0 token endpoint. Raises TooManyRequests."""
        return self._token_endpoint.issue(form, authorization, sender)

    def revoke_token(self, form: Form, authorization: str) -> OAuthAnswer:
        """RFC 7009: end a session."""
        return self._token_endpoint.revoke(form, authorization)

    def log_in(self, fields: LogIn, sender: Sender) -> Json:
        """As the prototype's clients log in; fails by `status` only."""
        return self._token_endpoint.log_in(fields.login, fields.password, sender)

    def read_me(self, caller: Caller) -> Json:
        """The user who asks."""
        return present_user(caller.user)

    def change_password(self, caller: Caller, fields: PasswordChange) -> None:
        """A new password for a user who knows the old one; all sessions of the user end.

        Raises Invalid, TooManyRequests.
        """
        user = caller.user
        check_password(fields.new_password, login=user.login, name=user.name, field="new_password")
        if self._passwords.verify(caller.user.login, fields.password, caller.address) is None:
            raise Invalid("password is not the one you have now.", field="password")
        hashed = self._store.users.hash_password(fields.new_password)
        with self._store.transaction():
            self._store.users.set_password(caller.user.key, hashed)
            self._context.record(caller, "users.change_password", caller.user.id)

    def list_users(self, fields: ObjectFilter, wanted: PageWanted) -> Json:
        """All users."""
        return page(self._store.users.page(fields.narrowed(), limit=wanted.limit, after=wanted.after), present_user)

    def create_user(self, caller: Caller, fields: NewUser, once: str | None, *, any_password: bool = False) -> Json:
        """A user with a password; the prototype's clients may send any. Raises Invalid, and Conflict when the login is
        taken.
        """
        if not any_password:
            check_password(fields.password, login=fields.login, name=fields.name)
        with self._context.once.attempt(caller, "create_user", once, fields.asked()) as attempt:
            if attempt.object_id is None:
                hashed = self._store.users.hash_password(fields.password)
                ceilings = Ceilings(max_calls_day=fields.max_calls_day, max_minutes_day=fields.max_minutes_day)
                if fields.role is not Role.ADMIN:
                    ceilings.update(first_ceilings(self._context.settings, fields.given))
                with self._store.transaction():
                    user = self._store.users.create(
                        login=fields.login,
                        password=hashed,
                        name=fields.name,
                        role=fields.role,
                        comment=fields.comment,
                        works_for=fields.works_for,
                        mfa_required=fields.mfa_required,
                        **ceilings,
                    )
                    self._context.record(caller, "users.create", user.id, login=user.login, role=user.role.value)
                    attempt.remember(user.id)
            return self.read_user(attempt.made)

    def read_user(self, user_id: UUID) -> Json:
        """One user."""
        return present_user(self._store.users.by_id(user_id))

    def change_user(self, caller: Caller, user_id: UUID, fields: UserChange) -> Json:
        """Change what is given; a new password ends the user's sessions. Raises NotFound, Invalid, Conflict."""
        if fields.password is not None:
            before = self._store.users.by_id(user_id)
            check_password(fields.password, login=before.login, name=fields.name or before.name)
        hashed = self._store.users.hash_password(fields.password) if fields.password is not None else None
        with self._store.transaction():
            user = self._store.users.update(user_id, **fields.changes())
            if hashed is not None:
                self._store.users.set_password(user.key, hashed)
            self._context.record(caller, "users.change", user_id, fields=sorted(fields.given))
        return self.read_user(user_id)

    def delete_user(self, caller: Caller, user_id: UUID, fields: UserDeletion) -> None:
        """Take a user away, and its objects, or give them to another. Raises NotFound, Invalid, Conflict."""
        if user_id == caller.user.id:
            raise Conflict("You cannot delete yourself; ask another admin.")
        if fields.to is not None and fields.objects is Objects.DELETE:
            raise Invalid("to goes with objects=give.", field="to")
        heir_id = fields.to or caller.user.id
        with self._store.transaction():
            left = self._store.leaving.delete(user_id, objects=fields.objects, heir_id=heir_id, by=caller.user.login)
            given = {"to": str(heir_id)} if fields.objects is Objects.GIVE else {}
            self._context.record(
                caller, "users.delete", user_id, login=left.user.login, objects=fields.objects.value, **given
            )
        # After the commit: a row without files would be a sound that cannot be played.
        for sound in left.sounds:
            self._sound_files.remove(sound)
        self._give_at_once()

    def _give_at_once(self) -> None:
        """What few objects there are, so that the new owner finds them; housekeeping sees to the rest."""
        try:
            for _ in range(BATCHES_AWAITED):
                if not self._store.leaving.clear_some():
                    return
        except Unavailable as exc:
            logger.warning("the objects of a deleted user are given or cleared away later: %s", exc)

    def list_audit(self, fields: AuditFilter, wanted: PageWanted) -> Json:
        """What was done and by which user, newest first."""
        found = self._store.audit.page(
            fields.narrowed(), login=fields.login, action=fields.action, limit=wanted.limit, after=wanted.after
        )
        return page(found, present_audit_entry)


def present_user(value: User) -> Json:
    """A user, without the password."""
    return {
        "id": str(value.id),
        "login": value.login,
        "name": value.name,
        "role": value.role.value,
        "works_for": value.works_for,
        "comment": value.comment,
        "can_log_in": value.can_log_in,
        "max_calls_day": value.max_calls_day,
        "max_minutes_day": value.max_minutes_day,
        "mfa_required": value.mfa_required,
        "mfa_enabled": value.mfa_enabled,
        "created_at": time(value.created_at),
    }


def present_audit_entry(value: AuditEntry) -> Json:
    """Something that was done."""
    return {
        "at": time(value.at),
        "user_id": identifier(value.user_id),
        "login": value.login,
        "action": value.action,
        "object_kind": value.object_kind,
        "object_id": identifier(value.object_id),
        "details": dict(value.details) if value.details else None,
        "address": value.address,
        "times": value.times,
    }

"""The second factor of a user: set up, confirmed, switched off by its user, taken away by an admin."""

from uuid import UUID

import segno

from autodialer.api.context import Context
from autodialer.api.present import Json, time
from autodialer.errors import Conflict, Invalid
from autodialer.store.accounts.second_factors import MOST_FAILURES, CodeVerdict
from autodialer.web.caller import Caller
from autodialer.web.fields import Fields
from autodialer.web.oauth import Passwords
from autodialer.web.second_step import SecondStep

LOCKED = f"After {MOST_FAILURES} wrong codes in a row no code is taken; ask an admin to take your second factor away."


class Enrol(Fields):
    """What setting up asks for."""

    password: str
    """The one of now: a thief of a session must not shut the user out."""


class Confirm(Fields):
    """That the authenticator has the secret."""

    code: str


class Proof(Fields):
    """Both factors, for what weakens them."""

    password: str
    code: str


class SecondFactor:
    """The operations on second factors."""

    def __init__(self, context: Context, passwords: Passwords, second_step: SecondStep) -> None:
        self._context = context
        self._store = context.store
        self._passwords = passwords
        self._second_step = second_step

    def read(self, caller: Caller) -> Json:
        """Whether the caller has one, and whether it must."""
        found = self._store.second_factors.standing(caller.user.key)
        return {
            "enabled": found.confirmed_at is not None,
            "required": caller.user.mfa_required,
            "since": time(found.confirmed_at),
            "recovery_codes_left": found.recovery_codes_left,
        }

    def enrol(self, caller: Caller, fields: Enrol) -> Json:
        """A secret for an authenticator, shown this once. Raises Invalid, Conflict, TooManyRequests."""
        self._check_password(caller, fields.password)
        with self._store.transaction():
            made = self._store.second_factors.enrol(caller.user)
            self._context.record(caller, "users.enrol_mfa", caller.user.id)
        code = segno.make(made.address, micro=False)
        return {"secret": made.secret, "otpauth_url": made.address, "qr_svg": code.svg_inline(scale=4)}

    def confirm(self, caller: Caller, fields: Confirm) -> Json:
        """Take the secret into use; the recovery codes are shown this once. Raises Invalid, Conflict."""
        with self._store.transaction():
            codes = self._store.second_factors.confirm(caller.user.key, fields.code, but=caller.family_id)
            if codes is None:
                raise Invalid(
                    "code is not what the authenticator shows now. If it is, its clock or this server's is wrong.",
                    field="code",
                )
            self._context.record(caller, "users.confirm_mfa", caller.user.id)
        return {"recovery_codes": codes}

    def renew_codes(self, caller: Caller, fields: Proof) -> Json:
        """New recovery codes, shown this once. Raises Invalid, Conflict, TooManyRequests."""
        self._check_both(caller, fields)
        with self._store.transaction():
            codes = self._store.second_factors.renew_codes(caller.user.key)
            self._context.record(caller, "users.renew_recovery_codes", caller.user.id)
        return {"recovery_codes": codes}

    def disable(self, caller: Caller, fields: Proof) -> None:
        """Log in by password alone from now on. Raises Invalid, Conflict, TooManyRequests."""
        if caller.user.mfa_required:
            raise Conflict("An admin requires a second factor of you; only an admin can take it away.")
        self._check_both(caller, fields)
        with self._store.transaction():
            self._store.second_factors.remove(caller.user.key)
            self._context.record(caller, "users.disable_mfa", caller.user.id)

    def reset(self, caller: Caller, user_id: UUID) -> None:
        """Take a user's second factor away, who has lost it; the user's sessions end. Raises NotFound."""
        with self._store.transaction():
            user = self._store.users.by_id(user_id)
            self._store.second_factors.remove(user.key)
            self._store.tokens.revoke_all(user.key)
            self._context.record(caller, "users.reset_mfa", user_id, login=user.login)

    def _check_both(self, caller: Caller, proof: Proof) -> None:
        # The password first: a code that was right is used up.
        self._check_password(caller, proof.password)
        verdict = self._second_step.judge(caller.user, proof.code, caller.address)
        if verdict is CodeVerdict.NO_FACTOR:
            raise Conflict("You have no second factor; POST /srv1/users/me/mfa sets one up.")
        if verdict is not CodeVerdict.RIGHT:
            wrong = "code is wrong, or was used already; wait for the next one."
            raise Invalid(LOCKED if verdict is CodeVerdict.LOCKED else wrong, field="code")

    def _check_password(self, caller: Caller, password: str) -> None:
        if self._passwords.verify(caller.user.login, password, caller.address) is None:
            raise Invalid("password is not the one you have now.", field="password")

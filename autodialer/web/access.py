"""Access to an operation: one decision, from the roles and the scope that its line in the table of routes names."""

from dataclasses import dataclass
from enum import Enum

from autodialer.errors import Forbidden, InsufficientScope, SecondFactorRequired
from autodialer.model import OWNING, SCOPES_OF, Role, Scope
from autodialer.model.rights import in_words
from autodialer.web.caller import Caller

EVERYBODY = frozenset(Role)
OPERATING = OWNING | {Role.OPERATOR}
ADMINS = frozenset({Role.ADMIN})


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What an operation asks of its caller."""

    roles: frozenset[Role]
    scope: Scope | None
    """None: every scope that the role allows, for a token of less must not become one of more."""
    by_key: bool = True
    """Whether an API key will do; else it takes a user who has logged in."""
    before_factor: bool = False
    """Whether a user may do it of which an admin requires a second factor, before there is one."""


class Access(Enum):
    """The callers that an operation is open to."""

    OPEN = None
    """Everybody, without a token."""
    READ = Needs(roles=EVERYBODY, scope=Scope.READ)
    OPERATE = Needs(roles=OPERATING, scope=Scope.DIAL)
    """What an operator may: start and end what others have set up."""
    USER = Needs(roles=OWNING, scope=Scope.DIAL)
    """All else that changes something or places a call."""
    ADMIN = Needs(roles=ADMINS, scope=Scope.ADMIN)
    ME = Needs(roles=EVERYBODY, scope=Scope.READ, by_key=False, before_factor=True)
    """To look at one's own account."""
    ACCOUNT = Needs(roles=EVERYBODY, scope=None, by_key=False)
    """To change one's own account."""
    FACTOR = Needs(roles=EVERYBODY, scope=None, by_key=False, before_factor=True)
    """To set up a second factor."""
    USERS = Needs(roles=ADMINS, scope=Scope.ADMIN, by_key=False)
    """The users: a key that could make a user would live on in that user after its own end."""


SENTENCES = {
    EVERYBODY: "",
    OPERATING: "A viewer only reads; ask an admin for another role.",
    OWNING: "An operator only starts, pauses, resumes and stops campaigns and hangs up calls; ask an admin for another"
    " role.",
    ADMINS: "Only an admin may do this.",
}


def check_access(access: Access, caller: Caller) -> None:
    """Raises Forbidden for a role that may not do it, InsufficientScope for a token or key with too few scopes, and
    SecondFactorRequired for a user who must have a second factor and has none.
    """
    needs: Needs | None = access.value
    if needs is None:
        return
    role, scopes = caller.user.role, needed_scopes(needs, caller.user.role)
    if role not in needs.roles:
        viewer = role is Role.VIEWER and needs.roles == OWNING
        raise Forbidden(SENTENCES[OPERATING if viewer else needs.roles], details=[_scope(scopes)])
    if caller.key_id is not None and not needs.by_key:
        raise Forbidden(
            "An API key may not do this; log in at POST /srv1/auth/token and send the access token.",
            details=[_scope(scopes)],
        )
    if not scopes <= caller.scopes:
        raise InsufficientScope(
            f"This needs the scope {in_words(scopes)!r}, and your {_kind(caller)} has {in_words(caller.scopes)!r};"
            f" {_remedy(caller)}.",
            details=[_scope(scopes)],
        )
    # A key is no log-in: it goes on, as it does when the password is changed.
    if caller.user.mfa_required and not caller.user.mfa_enabled and caller.key_id is None and not needs.before_factor:
        raise SecondFactorRequired


def needed_scopes(needs: Needs, role: Role) -> frozenset[Scope]:
    """The scopes that a user of this role has to show."""
    return frozenset(SCOPES_OF[role]) if needs.scope is None else frozenset({needs.scope})


def _scope(scopes: frozenset[Scope]) -> dict[str, str]:
    return {"scope": in_words(scopes)}


def _kind(caller: Caller) -> str:
    return "access token" if caller.key_id is None else "API key"


def _remedy(caller: Caller) -> str:
    return "log in without a scope to get all" if caller.key_id is None else "make a key that has it"

"""Trunks: a provider's SIP settings as a client sends them, as they are stored, and as they are read back."""

import dataclasses
import ssl
import time as time_module
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar, get_type_hints
from uuid import UUID

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificates
from pydantic import Field, create_model

from autodialer.api.caller_ids import check_caller_ids, warnings_of_trunk
from autodialer.api.ceilings import first_ceilings, refuse_at_ceiling
from autodialer.api.context import Context
from autodialer.api.destinations import check_destination
from autodialer.api.filters import ObjectFilter
from autodialer.api.hosts import check_endpoint, check_host, look_up_in_time, resolver_of
from autodialer.api.present import Json, page, time
from autodialer.campaign.checks import sample_number
from autodialer.campaign.destinations import check_countries, rules_of_trunk
from autodialer.campaign.numbers import check_number_format
from autodialer.errors import Forbidden, Invalid, Unavailable
from autodialer.model import ADMINS_SETTINGS, Trunk, TrunkSettings, TrunkStatus
from autodialer.phone.provider import find_provider
from autodialer.seats import Seats
from autodialer.sip.invite import extra_header
from autodialer.store import Store, trunk_of
from autodialer.web.caller import Caller
from autodialer.web.fields import Fields
from autodialer.web.request import PageWanted

NAMES_A_HOST = frozenset(("host", "port", "transport", "outbound_proxy", "backup_host", "stun_server"))
LEADS_THE_LOGIN = NAMES_A_HOST - {"port", "transport", "stun_server"} | {"domain"}
"""Whose challenges the password answers. A STUN server sees no password."""
CHECKS_AT_ONCE = 2
"""Requests that wait for a check at the same time: the others of the API must not starve."""
LOOK_S = 0.1
SIGNALLING_S = 45.0
"""Names, OPTIONS, REGISTER, and TCP after UDP was silent."""
CALL_S = 160.0
"""A call that waits for a channel, rings, is answered and hears the sound, or that nobody answers."""


class GivenSettings(Fields):
    """Settings of a trunk as a client sends them."""

    def new(self) -> TrunkSettings:
        """Those of a new trunk, in their stored spelling. Raises Invalid; no name is looked up."""
        return _fitting(TrunkSettings(**self._checked()))

    def over(self, trunk: Trunk) -> Trunk:
        """The trunk with those that were given, in their stored spelling. Raises Invalid; no name is looked up."""
        return _fitting(replace(trunk, **self._checked()))

    def _checked(self) -> dict[str, Any]:
        values = self.given
        for name, check in _CHECKS.items():
            if values.get(name):
                values[name] = check(values[name])
        return values


Settings = TypeVar("Settings", bound=TrunkSettings)


def _fitting(settings: Settings) -> Settings:
    """The settings, once they go together. Raises Invalid."""
    if settings.media_encryption != "none" and settings.transport != "tls":
        raise Invalid(
            f"media_encryption {settings.media_encryption} needs transport tls, and this trunk has"
            f" {settings.transport}: the keys go through the SIP messages, where anybody on the way could read them.",
            field="media_encryption",
        )
    return settings


def _fields_of(settings: type[TrunkSettings], *, required: bool) -> dict[str, Any]:
    """The fields of a request, made from those of the model, so that a setting is named there and nowhere else."""
    types = get_type_hints(settings)
    made: dict[str, Any] = {}
    for each in dataclasses.fields(settings):
        is_required = required and each.default is dataclasses.MISSING
        # An underscore, for pydantic's models have a `register` of their own.
        made[f"{each.name}_"] = (types[each.name], Field(... if is_required else None, alias=each.name))
    return made


NewTrunk = create_model("NewTrunk", __base__=GivenSettings, **_fields_of(TrunkSettings, required=True))
TrunkChange = create_model("TrunkChange", __base__=GivenSettings, **_fields_of(TrunkSettings, required=False))


class TrunkCheck(Fields):
    """How far a check goes."""

    number: str | None = None
    """To call; None: no call."""
    raw: bool = False
    """Whether the number is dialled as written."""


def check_ca_file(value: str) -> str:
    """The certificates that a trunk trusts for TLS, as PEM text. Raises Invalid.

    Only they are kept: a private key or a note beside them would come back to every reader of the trunk. The path of a
    file is not taken, for it would let a user of the API read the service's machine.
    """
    try:
        certificates = load_pem_x509_certificates(value.encode("ascii", "ignore"))
        text = "".join(each.public_bytes(Encoding.PEM).decode("ascii") for each in certificates)
        ssl.create_default_context(cadata=text)
    except (ValueError, ssl.SSLError) as exc:
        raise Invalid(
            "ca_file takes the text of one or more certificates in PEM form, from -----BEGIN CERTIFICATE----- to"
            " -----END CERTIFICATE-----; this holds none that can be read. Paste the content of the file, not its"
            " path.",
            field="ca_file",
        ) from exc
    return text


_CHECKS: Mapping[str, Callable[[Any], Any]] = {
    "name": str.strip,
    "host": check_host,
    "outbound_proxy": lambda value: check_endpoint(value, "outbound_proxy"),
    "backup_host": lambda value: check_endpoint(value, "backup_host"),
    "stun_server": lambda value: check_endpoint(value, "stun_server"),
    "extra_headers": lambda lines: tuple(": ".join(extra_header(line)) for line in lines),
    "ca_file": check_ca_file,
    "number_format": check_number_format,
    "allowed_countries": check_countries,
    "caller_ids": check_caller_ids,
}


def leads_elsewhere(before: Trunk, changed: Trunk) -> bool:
    """Whether the stored password would answer the challenges of another server, or be tried where anyone listens.

    The user who changes a trunk may have the token of its owner without knowing the provider's password.
    """
    moved = any(getattr(before, name) != getattr(changed, name) for name in LEADS_THE_LOGIN)
    return moved or (before.transport == "tls" and changed.transport != "tls")


NOTHING_ALLOWED = TrunkSettings(name="", host="")


def check_admins_settings(caller: Caller, before: TrunkSettings, wanted: TrunkSettings) -> None:
    """Raises Forbidden when a user who is no admin changes what only an admin may; sending it as it stands is fine."""
    changed = [name for name in ADMINS_SETTINGS if getattr(before, name) != getattr(wanted, name)]
    if changed and caller.owner_key is not None:
        raise Forbidden(f"Only an admin may change {changed[0]} of a trunk; ask one.", field=changed[0])


class Trunks:
    """The operations on trunks."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._store = context.store
        self._checks = WaitingChecks(context.store)
        self._resolver = resolver_of(context.settings)

    def list(self, caller: Caller, fields: ObjectFilter, wanted: PageWanted) -> Json:
        """The trunks of the caller."""
        live = self._live_trunks()
        found = self._store.trunks.page(caller.owner_key, fields.narrowed(), limit=wanted.limit, after=wanted.after)
        return page(found, lambda trunk: present_trunk(trunk, live.get(trunk.key)))

    def create(self, caller: Caller, fields: GivenSettings, once: str | None) -> Json:
        """A trunk whose host has an address. Raises Invalid, HostUnresolved."""
        with self._context.once.attempt(caller, "create_trunk", once, fields.asked()) as attempt:
            if attempt.object_id is None:
                settings = fields.new()
                check_admins_settings(caller, NOTHING_ALLOWED, settings)
                settings = replace(settings, **first_ceilings(self._context.settings, fields.given))
                self._look_up(trunk_of(settings))
                with self._store.transaction():
                    trunk = self._store.trunks.create(caller.user.key, settings)
                    self._context.record(caller, "trunks.create", trunk.id, name=trunk.name, host=trunk.host)
                    attempt.remember(trunk.id)
            return self.read(caller, attempt.made)

    def read(self, caller: Caller, trunk_id: UUID) -> Json:
        """One trunk."""
        trunk = self._store.trunks.get(trunk_id, caller.owner_key)
        return present_trunk(trunk, self._live_trunks().get(trunk.key))

    def change(self, caller: Caller, trunk_id: UUID, fields: GivenSettings) -> Json:
        """Change what is given. Raises Invalid, HostUnresolved."""
        before = self._store.trunks.get(trunk_id, caller.owner_key)
        changed = fields.over(before)
        check_admins_settings(caller, before, changed)
        if before.password and "password" not in fields.given and leads_elsewhere(before, changed):
            raise Invalid(
                "This change leads the trunk's login to another server or over a weaker transport: give the password"
                " again.",
                field="password",
            )
        if NAMES_A_HOST & fields.given.keys():
            self._look_up(changed)
        with self._store.transaction():
            # Once more: another request may have changed other settings meanwhile.
            before = self._store.trunks.get(trunk_id, caller.owner_key)
            changed = fields.over(before)
            check_admins_settings(caller, before, changed)
            if caller.owner_key is not None and leads_elsewhere(before, changed):
                # An admin allowed it for the provider, or the PBX, that the trunk led to.
                changed = replace(changed, allowed_special=())
            self._store.trunks.update(trunk_id, caller.owner_key, changed)
            self._context.record(caller, "trunks.change", trunk_id, fields=sorted(fields.given))
        return self.read(caller, trunk_id)

    def delete(self, caller: Caller, trunk_id: UUID) -> None:
        """Raises Conflict while a campaign needs it."""
        with self._store.transaction():
            self._store.trunks.delete(trunk_id, caller.owner_key)
            self._context.record(caller, "trunks.delete", trunk_id)

    def check(self, caller: Caller, trunk_id: UUID, fields: TrunkCheck) -> Json:
        """Have the dialer try it. Raises Invalid for the number, TooManyRequests, Unavailable without a dialer."""
        trunk = self._store.trunks.get(trunk_id, caller.owner_key)
        checked = sample_number(fields.number, raw=fields.raw) if fields.number else None
        if checked is not None:
            check_destination(checked, [rules_of_trunk(trunk)], "number")
            refuse_at_ceiling(self._store, trunk.owner_key, trunk.key, self._context.clock.utcnow())
        # Open ports, closed ports and silence look different to a check: a user must not feel out a network by it.
        self._context.checks.take(caller.user.key, self._context.clock.monotonic())

        def record() -> None:
            self._context.record(caller, "trunks.check", trunk_id, number=checked)
            if checked is not None:
                self._store.day_uses.count_check(trunk.owner_key, trunk.key, self._context.clock.utcnow())

        return dict(self._checks.run(caller.user.key, trunk.key, checked, record=record))

    def wake(self, caller: Caller, trunk_id: UUID) -> Json:
        """Have the dialer end the trunk's rest and try it at once; a trunk that does not rest stays as it is."""
        trunk = self._store.trunks.get(trunk_id, caller.owner_key)
        with self._store.transaction():
            self._store.commands.add("wake_trunk", trunk_key=trunk.key)
            self._context.record(caller, "trunks.wake", trunk_id)
        return self.read(caller, trunk_id)

    def _look_up(self, trunk: Trunk) -> None:
        look_up_in_time(lambda: find_provider(trunk, self._resolver))

    def _live_trunks(self) -> dict[int, TrunkStatus]:
        """What the dialer says; nothing while no dialer runs, because its last word may be out of date."""
        return self._store.live.trunks() if self._store.live.dialer() else {}


class WaitingChecks:
    """Checks of trunks: the dialer does them, and the request waits for what it finds."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seats = Seats(
            most=CHECKS_AT_ONCE,
            most_a_user=1,
            yours="A check of yours is under way already; wait for its answer.",
            others=f"{CHECKS_AT_ONCE} checks of other users are under way; ask again in a moment.",
        )

    def run(
        self, user_key: int, trunk_key: int, number: str | None, *, record: Callable[[], object]
    ) -> Mapping[str, Any]:
        """What a check found that this user asks for; `record` writes to the audit that it was asked for.

        Raises TooManyRequests, or Unavailable when no dialer does it or others' checks are under way.
        """
        with self._seats.taken(user_key):
            return self._wait(trunk_key, number, record)

    def _wait(self, trunk_key: int, number: str | None, record: Callable[[], object]) -> Mapping[str, Any]:
        self._expect_dialer()
        with self._store.transaction():
            check_id = self._store.checks.ask(trunk_key, number)
            self._store.commands.add("check_trunk", call_id=check_id)
            record()
        deadline = time_module.monotonic() + SIGNALLING_S + (CALL_S if number else 0.0)
        while time_module.monotonic() < deadline:
            result = self._store.checks.result(check_id)
            if result is not None:
                return result
            time_module.sleep(LOOK_S)
        self._expect_dialer()
        raise Unavailable("The check takes too long; see the dialer's log.")

    def _expect_dialer(self) -> None:
        if self._store.live.dialer() is None:
            raise Unavailable("No dialer process is running, and only it can try a trunk; see the service's log.")


def present_countries(trunk: Trunk) -> Json:
    """Where the trunk calls when no callbase says a country, and what that comes from."""
    rules = rules_of_trunk(trunk)
    return {"countries": None if rules.countries is None else sorted(rules.countries), "by": rules.by}


def present_trunk(value: Trunk, status: TrunkStatus | None) -> Json:
    """A trunk, without its password, with what the dialer says of it (None: no dialer does)."""
    status = status or TrunkStatus(trunk_key=value.key, breaker_state="closed")
    return {
        "id": str(value.id),
        **value.shown(),
        "warnings": warnings_of_trunk(value),
        "countries_in_force": present_countries(value),
        "created_at": time(value.created_at),
        "active_calls": status.active_calls,
        "registration": {
            "state": status.registration_state,
            "since": time(status.registration_since),
            "error": status.registration_error,
        },
        "breaker": {
            "state": status.breaker_state,
            "until": time(status.breaker_until),
            "cause": status.breaker_cause,
        },
    }

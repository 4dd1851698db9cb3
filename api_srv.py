"""What the API does: one method an operation. No HTTP in here: plain values come in, the JSON's values go out.

Every method that changes something writes to the audit. Methods that make something take `once`, the client's
Idempotency-Key: a repeated call with the same key gives the object of the first one.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from uuid import UUID

from autodialer.api.operations import CallOperations, CampaignOperations, ExportOperations, Json, PeopleOperations
from autodialer.campaign.checks import check_second_number, check_timezone, sample_number
from autodialer.campaign.numbers import check_number_format, check_region, normalise
from autodialer.campaign.zones import ZoneFinder
from autodialer.clock import Clock
from autodialer.config import Settings
from autodialer.errors import Invalid
from autodialer.model import Role, Trunk, TrunkStatus
from autodialer.phone.provider import find_provider
from autodialer.phone.resolver import Resolver
from autodialer.store import NewSubscriber, Store, trunk_of
from autodialer.web import present
from autodialer.web.caller import Caller
from autodialer.web.fields import trunk_fields
from autodialer.web.hosts import LOOK_UP_S, look_up_in_time
from autodialer.web.limiter import GuessLimiter
from autodialer.web.oauth import OAuthAnswer, Passwords, TokenEndpoint
from autodialer.web.tokens import AccessTokens, SigningKey
from autodialer.web.trunk_checks import WaitingChecks
from autodialer.web.uploads import Upload

Form = Sequence[tuple[str, str]]
NAMES_A_HOST = frozenset(("host", "port", "transport", "outbound_proxy", "stun_server"))


class Api(CampaignOperations, ExportOperations, CallOperations, PeopleOperations):
    """The operations, on one store and one data folder."""

    def __init__(self, settings: Settings, store: Store, clock: Clock | None = None) -> None:
        super().__init__(settings, store, clock)
        key = SigningKey.load(settings.keys)
        self.tokens = AccessTokens(store, key, issuer=settings.base_url, clock=self._clock)
        self._passwords = Passwords(store, GuessLimiter(self._clock))
        self._token_endpoint = TokenEndpoint(store, self.tokens, self._passwords)
        self._checks = WaitingChecks(store)
        self._resolver = Resolver(lifetime_s=LOOK_UP_S / 2)

    def close(self) -> None:
        """End what goes on in the background."""
        self._imports.stop()

    # -- auth

    def issue_token(self, form: Form, authorization: str, address: str | None) -> OAuthAnswer:
        """The OAuth 2.0 token endpoint. Raises TooManyRequests."""
        return self._token_endpoint.issue(form, authorization, address)

    def revoke_token(self, form: Form, authorization: str) -> OAuthAnswer:
        """RFC 7009: end a session."""
        return self._token_endpoint.revoke(form, authorization)

    def log_in(self, login: str, password: str, address: str | None) -> Json:
        """As the prototype's clients log in; fails by `status` only."""
        return self._token_endpoint.log_in(login, password, address)

    # -- users

    def read_me(self, caller: Caller) -> Json:
        """Who asks."""
        return present.user(caller.user)

    def change_password(self, caller: Caller, password: str, new_password: str) -> None:
        """A new password for whoever knows the old one; all his sessions end. Raises Invalid, TooManyRequests."""
        if self._passwords.verify(caller.user.login, password, caller.address) is None:
            raise Invalid("password is not the one you have now.", field="password")
        self._store.users.set_password(caller.user.key, new_password)
        self._audit(caller, "users.change_password", caller.user.id)

    def list_users(self, limit: int, after: str | None) -> Json:
        """All users."""
        return present.page(self._store.users.page(limit=limit, after=after), present.user)

    def create_user(self, caller: Caller, fields: Json, once: str | None) -> Json:
        """A user with a password. Raises Conflict when the login is taken."""

        def create() -> UUID:
            values = {**fields, "role": Role(fields.get("role", Role.USER))}
            user = self._store.users.create(**values)
            self._audit(caller, "users.create", user.id, login=user.login, role=user.role.value)
            return user.id

        return self.read_user(self._once(caller, "create_user", once, fields, create))

    def read_user(self, user_id: UUID) -> Json:
        """One user."""
        return present.user(self._store.users.by_id(user_id))

    def change_user(self, caller: Caller, user_id: UUID, fields: Json) -> Json:
        """Change what is given; a new password ends the user's sessions."""
        values = {name: value for name, value in fields.items() if name != "password"}
        if "role" in values:
            values["role"] = Role(values["role"])
        user = self._store.users.update(user_id, **values)
        if "password" in fields:
            self._store.users.set_password(user.key, fields["password"])
        self._audit(caller, "users.change", user_id, fields=sorted(fields))
        return self.read_user(user_id)

    def list_audit(self, limit: int, after: str | None) -> Json:
        """Who did what, newest first."""
        return present.page(self._store.audit.page(limit=limit, after=after), present.audit_entry)

    # -- trunks

    def list_trunks(self, caller: Caller, limit: int, after: str | None) -> Json:
        """The trunks of the caller."""
        live = self._live_trunks()
        found = self._store.trunks.page(caller.owner_key, limit=limit, after=after)
        return present.page(found, lambda trunk: present.trunk(trunk, live.get(trunk.key)))

    def create_trunk(self, caller: Caller, fields: Json, once: str | None) -> Json:
        """A trunk whose host has an address. Raises Invalid, HostUnresolved."""

        def create() -> UUID:
            values = _trunk_fields(fields)
            self._look_up(trunk_of(values))
            trunk = self._store.trunks.create(caller.user.key, **values)
            self._audit(caller, "trunks.create", trunk.id, name=trunk.name, host=trunk.host)
            return trunk.id

        return self.read_trunk(caller, self._once(caller, "create_trunk", once, fields, create))

    def read_trunk(self, caller: Caller, trunk_id: UUID) -> Json:
        """One trunk."""
        trunk = self._store.trunks.get(trunk_id, caller.owner_key)
        return present.trunk(trunk, self._live_trunks().get(trunk.key))

    def change_trunk(self, caller: Caller, trunk_id: UUID, fields: Json) -> Json:
        """Change what is given."""
        trunk, values = self._store.trunks.get(trunk_id, caller.owner_key), _trunk_fields(fields)
        if NAMES_A_HOST & values.keys():
            self._look_up(replace(trunk, **values))
        self._store.trunks.update(trunk_id, caller.owner_key, **values)
        self._audit(caller, "trunks.change", trunk_id, fields=sorted(fields))
        return self.read_trunk(caller, trunk_id)

    def delete_trunk(self, caller: Caller, trunk_id: UUID) -> None:
        """Raises Conflict while a campaign needs it."""
        self._store.trunks.delete(trunk_id, caller.owner_key)
        self._audit(caller, "trunks.delete", trunk_id)

    def check_trunk(self, caller: Caller, trunk_id: UUID, fields: Json) -> Json:
        """Have the dialer try it. Raises Invalid for the number, TooManyRequests, Unavailable without a dialer."""
        trunk = self._store.trunks.get(trunk_id, caller.owner_key)
        number = fields.get("number")
        checked = sample_number(number, raw=fields.get("raw", False)) if number else None
        self._audit(caller, "trunks.check", trunk_id, number=checked)
        return dict(self._checks.run(trunk.key, checked))

    # -- sounds

    def list_sounds(self, caller: Caller, limit: int, after: str | None) -> Json:
        """The sounds of the caller."""
        return present.page(self._store.sounds.page(caller.owner_key, limit=limit, after=after), present.sound)

    def create_sound(
        self, caller: Caller, upload: Upload, name: str | None, once: str | None, *, trim: bool | None = None
    ) -> Json:
        """Import a recording: files first, then the row; all of it or nothing."""

        def create() -> UUID:
            sound = self._sound_files.import_upload(caller.user.key, upload, upload.named(name), trim=bool(trim))
            self._audit(caller, "sounds.create", sound.id, name=sound.name)
            return sound.id

        asked = {"name": name, "file": upload.digest, **({"trim": True} if trim else {})}
        return self.read_sound(caller, self._once(caller, "create_sound", once, asked, create))

    def read_sound(self, caller: Caller, sound_id: UUID) -> Json:
        """One sound."""
        return present.sound(self._store.sounds.get(sound_id, caller.owner_key))

    def read_sound_audio(self, caller: Caller, sound_id: UUID) -> Path:
        """The WAV that is heard. Raises NotFound."""
        return self._sound_files.audio(self._store.sounds.get(sound_id, caller.owner_key))

    def delete_sound(self, caller: Caller, sound_id: UUID) -> None:
        """Raises Conflict while a campaign needs it."""
        self._sound_files.remove(self._store.sounds.delete(sound_id, caller.owner_key))
        self._audit(caller, "sounds.delete", sound_id)

    # -- callbases

    def list_callbases(self, caller: Caller, limit: int, after: str | None) -> Json:
        """The callbases of the caller."""
        return present.page(self._store.callbases.page(caller.owner_key, limit=limit, after=after), present.callbase)

    def create_callbase(self, caller: Caller, upload: Upload, fields: Json, once: str | None) -> Json:
        """Import a file of numbers. A large one is still `importing` when this returns."""
        name = upload.named(fields.get("name"))
        region, timezone = check_region(fields["region"]), check_timezone(fields.get("timezone"))

        def create() -> UUID:
            callbase = self._imports.import_file(
                upload.take(),
                lambda: self._store.callbases.create(caller.user.key, name=name, region=region, timezone=timezone),
            )
            self._audit(caller, "callbases.create", callbase.id, name=name, file=upload.filename)
            return callbase.id

        asked = {"name": name, "region": region, "timezone": timezone, "file": upload.digest}
        return self.read_callbase(caller, self._once(caller, "create_callbase", once, asked, create))

    def read_callbase(self, caller: Caller, callbase_id: UUID) -> Json:
        """One callbase."""
        return present.callbase(self._store.callbases.get(callbase_id, caller.owner_key))

    def delete_callbase(self, caller: Caller, callbase_id: UUID) -> None:
        """With its subscribers; an import of it ends. Raises Conflict while a campaign needs it."""
        self._store.callbases.delete(callbase_id, caller.owner_key)
        self._audit(caller, "callbases.delete", callbase_id)

    def list_subscribers(self, caller: Caller, callbase_id: UUID, limit: int, after: str | None) -> Json:
        """The subscribers of a callbase."""
        found = self._store.subscribers.page(callbase_id, caller.owner_key, limit=limit, after=after)
        return present.page(found, present.subscriber)

    def create_subscriber(self, caller: Caller, callbase_id: UUID, fields: Json, once: str | None) -> Json:
        """Add one; a running campaign calls him too. Raises Invalid, Conflict."""
        callbase = self._store.callbases.get(callbase_id, caller.owner_key)

        def create() -> UUID:
            number = normalise(fields["number"], callbase.region)
            extra = {**fields.get("extra", {}), **({"flag": number.flag} if number.flag else {})}
            found = ZoneFinder(self._store.numbering_plan.zones()).find(number.number)
            new = NewSubscriber(
                number=number.number,
                number_zone=found.zone if found else None,
                number_zone_by=found.by if found else None,
                second_number=check_second_number(fields.get("second_number"), callbase.region, number.number),
                name=fields.get("name"),
                comment=fields.get("comment"),
                timezone=check_timezone(fields.get("timezone")),
                extra=extra,
            )
            subscriber = self._store.subscribers.add(callbase_id, caller.owner_key, new)
            self._audit(caller, "subscribers.create", subscriber.id, callbase_id=str(callbase_id))
            return subscriber.id

        asked = {"callbase_id": str(callbase_id), **fields}
        subscriber_id = self._once(caller, "create_subscriber", once, asked, create)
        return present.subscriber(self._store.subscribers.by_id(subscriber_id, caller.owner_key))

    def list_rejected(self, caller: Caller, callbase_id: UUID, limit: int, after: str | None) -> Json:
        """The rows that were not imported."""
        found = self._store.callbases.rejected(callbase_id, caller.owner_key, limit=limit, after=after)
        return present.page(found, present.rejected_row)

    # -- parts of the above

    def _look_up(self, trunk: Trunk) -> None:
        look_up_in_time(lambda: find_provider(trunk, self._resolver))

    def _live_trunks(self) -> dict[int, TrunkStatus]:
        """What the dialer says; nothing while there is none, for what it said last may be long over."""
        return self._store.live.trunks() if self._store.live.dialer() else {}


def _trunk_fields(fields: Json) -> Json:
    values = trunk_fields(fields)
    if "number_format" in values:
        values["number_format"] = check_number_format(values["number_format"])
    return values

"""What the prototype's clients ask: all subscribers, a new user, a call through a gateway that they name.

Each is an operation of today in their words. Owner rules, audit, idempotency, the DNC list and every limit are those of
that operation, because it is that operation.
"""

import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from autodialer.api.accounts import Accounts, NewUser
from autodialer.api.calls import queue_sample_call
from autodialer.api.context import Context
from autodialer.api.hosts import check_endpoint, look_up_in_time, resolver_of
from autodialer.api.present import Json, page
from autodialer.api.sounds import SoundFiles
from autodialer.api.subscribers import present_subscriber
from autodialer.api.trunks import NewTrunk
from autodialer.campaign.checks import sample_number
from autodialer.campaign.written import clean
from autodialer.errors import HostUnresolved, Invalid
from autodialer.model import Subscriber, Trunk, TrunkSettings
from autodialer.phone.provider import find_provider
from autodialer.sip.fields import split_host_port
from autodialer.store import new_id, trunk_of
from autodialer.web.caller import Caller
from autodialer.web.fields import Fields
from autodialer.web.request import PageWanted
from autodialer.web.uploads import Upload

SOUND_NAME = "prototype"
"""A sound of the user with this name is played; without one, the speech of the demo is imported under it."""
DEMO_SPEECH = Path(__file__).resolve().parent.parent / "gateway" / "sample.flac"
ROWS_AT_ONCE = 1000
SWEPT_AT_ONCE = 10
"""Hidden trunks that go with one call: the dialer's claims wait meanwhile."""


class PrototypeUser(Fields):
    """A user as the prototype's clients send one. Rules of passwords do not apply."""

    login: str
    password: str
    name: str = ""
    comment: str | None = None


class PrototypeCall(Fields):
    """One call as the prototype's clients ask for it."""

    gw_addr: str
    """host or host:port."""
    gw_login: str = ""
    gw_password: str = ""
    phone_num: str

    def asked(self) -> str:
        """See Fields."""
        return self.model_dump_json(exclude_unset=True, exclude={"gw_password"})

    def settings(self) -> TrunkSettings:
        """Those of a trunk through the gateway. Raises Invalid."""
        host, port = split_host_port(check_endpoint(self.gw_addr, "gw_addr"))
        known: dict[str, Any] = {
            "name": f"prototype {host}",
            "host": host,
            "port": port,
            "username": self.gw_login,
            "password": self.gw_password,
            # These clients say no country and cannot set a trunk: digits are dialled as they always were. What is worst
            # stays refused: emergency numbers, codes with * and #, and what is premium or satellite by its digits.
            "allowed_special": ("short", "as_written"),
        }
        return NewTrunk.model_validate(known).new()

    def number(self) -> str:
        """The number, whose digits are dialled as they stand. Raises Invalid."""
        try:
            return sample_number(self.phone_num, raw=not clean(self.phone_num).startswith("+"))
        except Invalid as exc:
            raise Invalid(f"phone_num: {exc}", field="phone_num") from exc


class Prototype:
    """The operations that the prototype had, for its clients and for those of today."""

    def __init__(self, context: Context, accounts: Accounts, sound_files: SoundFiles) -> None:
        self._context = context
        self._store = context.store
        self._accounts = accounts
        self._sound_files = sound_files
        self._importing = threading.Lock()
        self._resolver = resolver_of(context.settings)

    def list_subscribers(self, caller: Caller, wanted: PageWanted) -> Json:
        """The subscribers of all callbases of the caller."""
        found = self._store.subscribers.page_of_all(caller.owner_key, limit=wanted.limit, after=wanted.after)
        return page(found, present_subscriber)

    def tell_subscribers(self, caller: Caller) -> Iterator[str]:
        """The same, all at once, as JSON that is read from the store while it is sent.

        What the first read raises, this raises.
        """
        return self._told(caller, *self._page(caller, None))

    def create_user(self, caller: Caller, fields: NewUser, once: str | None) -> Json:
        """A user, as POST /users makes one."""
        return self._accounts.create_user(caller, fields, once)

    def add_user(self, caller: Caller, fields: PrototypeUser, once: str | None) -> Json:
        """A user for a client of the prototype. Raises Conflict when the login is taken."""
        new = NewUser(login=fields.login, password=fields.password, name=fields.name, comment=fields.comment)
        made = self._accounts.create_user(caller, new, once, any_password=True)
        return {"status": "success", "text": f"The user {made['login']} has been added."}

    def call(self, caller: Caller, fields: PrototypeCall, once: str | None) -> Json:
        """One call through the gateway that the client names, with the demo sound. Raises Invalid, HostUnresolved."""
        with self._context.once.attempt(caller, "create_sample_call", once, fields.asked()) as attempt:
            if attempt.object_id is None:
                number, settings = fields.number(), fields.settings()
                self._look_up(settings)
                sound_key = self._sound(caller)
                with self._store.transaction():
                    trunk = self._hidden_trunk(caller, settings)
                    queue_sample_call(
                        self._context, caller, attempt, trunk_key=trunk.key, sound_key=sound_key, number=number
                    )
            return {"status": "success", "text": "The call is queued.", "id": str(attempt.made)}

    def _page(self, caller: Caller, after: str | None) -> tuple[list[Subscriber], str | None]:
        return self._store.subscribers.page_of_all(caller.owner_key, limit=ROWS_AT_ONCE, after=after)

    def _told(self, caller: Caller, found: list[Subscriber], after: str | None) -> Iterator[str]:
        yield '{"status": "success", "text": "All subscribers.", "all_abon": {'
        told = 0
        while True:
            entries = [f'"{told + place}": {_entry(subscriber)}' for place, subscriber in enumerate(found, 1)]
            yield (", " if told and entries else "") + ", ".join(entries)
            told += len(entries)
            if after is None:
                break
            found, after = self._page(caller, after)
        yield "}}"

    def _look_up(self, settings: TrunkSettings) -> None:
        try:
            look_up_in_time(lambda: find_provider(trunk_of(settings), self._resolver))
        except HostUnresolved as exc:
            raise HostUnresolved(str(exc), field="gw_addr") from exc

    def _hidden_trunk(self, caller: Caller, settings: TrunkSettings) -> Trunk:
        """The user's trunk through this gateway, in the transaction of the call that needs it.

        Each gateway has a trunk, and none is changed: a queued call must not go to the next call's gateway. Those
        that no call needs any more go, with their passwords.
        """
        found = self._store.trunks.find_hidden(caller.user.key, settings)
        for trunk in self._store.trunks.unneeded_hidden(caller.user.key, limit=SWEPT_AT_ONCE):
            if found is None or trunk.key != found.key:
                self._store.trunks.delete(trunk.id, caller.user.key)
                self._context.record(caller, "trunks.delete", trunk.id)
        if found is not None:
            return self._store.trunks.update(found.id, caller.user.key, settings)
        made = self._store.trunks.create(caller.user.key, settings, hidden=True)
        self._context.record(caller, "trunks.create", made.id, name=made.name, host=made.host)
        return made

    def _sound(self, caller: Caller) -> int:
        with self._importing:
            sound = self._store.sounds.by_name(caller.user.key, SOUND_NAME)
            if sound is not None and self._sound_files.are_there(sound.key):
                return sound.key
            return self._import_speech(caller)

    def _import_speech(self, caller: Caller) -> int:
        # Among the uploads, which the next start removes if this one dies meanwhile.
        uploads = self._context.settings.data / "uploads"
        uploads.mkdir(parents=True, exist_ok=True, mode=0o700)
        with closing(Upload(path=uploads / f"upload-{new_id()}", filename=DEMO_SPEECH.name)) as copy:
            shutil.copyfile(DEMO_SPEECH, copy.path)
            imported = self._sound_files.import_upload(copy, trim=False)
        try:
            with self._store.transaction():
                sound = self._sound_files.store(caller.user.key, imported, SOUND_NAME)
                self._context.record(caller, "sounds.create", sound.id, name=sound.name)
        except BaseException:
            imported.remove()
            raise
        return sound.key


def _entry(value: Subscriber) -> str:
    return json.dumps({"name": value.name, "number": value.number, "comment": value.comment})

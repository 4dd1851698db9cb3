"""Notices: addresses of people who are told what happens."""

from collections.abc import Sequence
from uuid import UUID

from autodialer.api.context import Context
from autodialer.api.outside import turn
from autodialer.api.present import Json, page, time
from autodialer.errors import Invalid
from autodialer.store import Notice, NoticeSettings
from autodialer.web.caller import Caller
from autodialer.web.fields import Fields
from autodialer.web.request import PageWanted
from autodialer.webhooks.sentences import sample_sentence
from autodialer.webhooks.stranger import Task, apart

EVENTS = ("campaign.state", "trunk.state", "import.ended", "ceiling.reached")


class NoticeChange(Fields):
    """What is changed of a notice; the meanings are those of autodialer.store.NoticeSettings."""

    name: str = ""
    url: str = ""
    events: Sequence[str] = ()
    language: str = "en"
    active: bool = True

    def asked(self) -> str:
        """Without the address, which is a secret."""
        return self.model_dump_json(exclude_unset=True, exclude={"url"})


class NewNotice(NoticeChange):
    """A notice to be made."""


class Notices:
    """The operations on notices."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._store = context.store

    def list(self, caller: Caller, wanted: PageWanted) -> Json:
        """The notices of the caller."""
        found = self._store.notices.page(caller.owner_key, limit=wanted.limit, after=wanted.after)
        return page(found, present_notice)

    def create(self, caller: Caller, fields: NewNotice, once: str | None) -> Json:
        """Raises Invalid for an address of no service; Conflict when there are too many."""
        with self._context.once.attempt(caller, "create_notice", once, fields.asked()) as attempt:
            if attempt.object_id is None:
                settings = NoticeSettings(
                    name=fields.name.strip(),
                    url=fields.url.strip(),
                    shown=self._check(fields.url),
                    events=_in_order(fields.events or EVENTS),
                    language=fields.language,
                    active=fields.active,
                )
                with self._store.transaction():
                    made = self._store.notices.create(caller.user.key, settings)
                    self._context.record(caller, "notices.create", made.id, name=made.name, to=made.shown)
                    attempt.remember(made.id)
            return self.read(caller, attempt.made)

    def read(self, caller: Caller, notice_id: UUID) -> Json:
        """One notice."""
        return present_notice(self._store.notices.get(notice_id, caller.owner_key))

    def change(self, caller: Caller, notice_id: UUID, fields: NoticeChange) -> Json:
        """Change what is given. Raises as `create`."""
        before = self._store.notices.get(notice_id, caller.owner_key)
        given = fields.given
        settings = NoticeSettings(
            name=given.get("name", before.name).strip(),
            url=given.get("url", before.url).strip(),
            shown=self._check(fields.url) if "url" in given else before.shown,
            events=_in_order(given.get("events", before.events)),
            language=given.get("language", before.language),
            active=given.get("active", before.active),
        )
        with self._store.transaction():
            self._store.notices.update(notice_id, caller.owner_key, settings)
            self._context.record(caller, "notices.change", notice_id, fields=sorted(given))
        return self.read(caller, notice_id)

    def delete(self, caller: Caller, notice_id: UUID) -> None:
        """Nothing more is sent to it."""
        with self._store.transaction():
            self._store.notices.delete(notice_id, caller.owner_key)
            self._context.record(caller, "notices.delete", notice_id)

    def test(self, caller: Caller, notice_id: UUID) -> Json:
        """Send a sentence; `sent_at` or `note` says what came of it."""
        notice = self._store.notices.get(notice_id, caller.owner_key)
        with self._store.transaction():
            self._store.notices.send(notice.key, *sample_sentence(notice.language))
            self._context.record(caller, "notices.test", notice_id)
        return self.read(caller, notice_id)

    def _check(self, url: str) -> str:
        """What is shown of an address. Raises Invalid, TooManyRequests."""
        networks = tuple(str(network) for network in self._context.settings.webhook_networks)
        with turn():
            told = apart(Task(url=url.strip(), networks=networks))
        if told.error is not None or told.shown is None:
            raise Invalid(
                f"url takes an address in the words of the apprise library, like mailto://user:password@mail.example or"
                f" tgram://token/chat; of this one: {told.error}",
                field="url",
            )
        return told.shown


def _in_order(events: Sequence[str]) -> Sequence[str]:
    return [event for event in EVENTS if event in events]


def present_notice(value: Notice) -> Json:
    """A notice, without its address."""
    return {
        "id": str(value.id),
        "name": value.name,
        "to": value.shown,
        "events": list(value.events),
        "language": value.language,
        "active": value.active,
        "note": value.note,
        "sent_at": time(value.sent_at),
        "created_at": time(value.created_at),
    }

"""What an operation reads of its request, typed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, TypeVar
from uuid import UUID

from bottle import request
from pydantic import ValidationError

from autodialer.errors import Invalid
from autodialer.web.caller import Caller, Sender
from autodialer.web.fields import Fields
from autodialer.web.uploads import Upload

AnyFields = TypeVar("AnyFields", bound=Fields)
LONGEST_PROGRAM = 200
"""Characters of a User-Agent that are kept: browsers put what tells them apart within these."""


@dataclass(frozen=True, kw_only=True)
class PageWanted:
    """Which part of a list is wanted."""

    limit: int
    """Most items."""
    after: str | None = None
    """The cursor of the part before; None: from the beginning."""


class Request:
    """The request that this thread answers; the contract plugin has judged it before an operation sees it."""

    @property
    def caller(self) -> Caller:
        """The user who asks; set by the guard."""
        found: Caller = request.caller
        return found

    @property
    def address(self) -> str | None:
        """IP address of the client; None where a proxy names none that can be read."""
        text = request.environ.get("REMOTE_ADDR") or ""
        try:
            return str(ip_address(text.strip().removeprefix("[").partition("]")[0]))
        except ValueError:
            return None

    @property
    def sender(self) -> Sender:
        """The client, for the list of sessions."""
        said = request.environ.get("HTTP_USER_AGENT") or ""
        # WSGI hands headers over as Latin-1; most that is sent in UTF-8 is meant to be that.
        text = said.encode("latin-1", "replace").decode("utf-8", "replace")
        shown = "".join(character if character.isprintable() else " " for character in text).strip()
        return Sender(address=self.address, program=shown[:LONGEST_PROGRAM] or None)

    @property
    def authorization(self) -> str:
        """The Authorization header; empty when it is missing."""
        found: str = request.environ.get("HTTP_AUTHORIZATION", "")
        return found

    @property
    def id(self) -> UUID:
        """The id in a path that has one."""
        [name] = request.url_args
        found: UUID = request.swagger_data[name]
        return found

    def id_of(self, name: str) -> UUID:
        """The id of this name in a path that has two."""
        found: UUID = request.swagger_data[name]
        return found

    @property
    def number(self) -> str:
        """The phone number in the path."""
        found: str = request.swagger_data["number"]
        return found

    @property
    def form(self) -> Sequence[tuple[str, str]]:
        """The fields of an urlencoded form, in UTF-8."""
        found: Sequence[tuple[str, str]] = request.pairs
        return found

    @property
    def upload(self) -> Upload:
        """The uploaded form. Raises Invalid when it has no file."""
        found: Upload = request.upload
        if not found.has_file:
            raise Invalid("file is required; send it as multipart/form-data.", field="file")
        return found

    @property
    def page(self) -> PageWanted:
        """Which part of a list is wanted."""
        return PageWanted(limit=request.swagger_data["limit"], after=request.swagger_data["after"] or None)

    @property
    def once(self) -> str | None:
        """The Idempotency-Key; None when it is missing."""
        found: str | None = request.swagger_data.get("Idempotency-Key")
        return found

    @property
    def wants_csv(self) -> bool:
        """Whether the client rather reads CSV than JSON."""
        accept = request.environ.get("HTTP_ACCEPT", "")
        return "text/csv" in accept and "application/json" not in accept

    def fields(self, kind: type[AnyFields]) -> AnyFields:
        """The JSON object that was sent, as a typed value; without one no field is given. Raises Invalid."""
        return typed(kind, request.swagger_data.get("body") or {})

    def parameters(self, kind: type[AnyFields]) -> AnyFields:
        """The parameters of the query or of an uploaded form that were given, as a typed value. Raises Invalid."""
        names = [field.alias or name for name, field in kind.model_fields.items()]
        sent = {name: request.swagger_data.get(name) for name in names}
        return typed(kind, {name: value for name, value in sent.items() if value is not None})


@dataclass(frozen=True, kw_only=True)
class PrototypeRequest:
    """A request of a prototype's client, whose token and fields have been checked."""

    caller: Caller
    sent: Mapping[str, Any] = field(repr=False)
    once: str | None
    """The Idempotency-Key; None when it is missing."""

    def fields(self, kind: type[AnyFields]) -> AnyFields:
        """What was sent, as a typed value. Raises Invalid."""
        return typed(kind, dict(self.sent))


def typed(kind: type[AnyFields], sent: dict[str, Any]) -> AnyFields:
    """What was sent, as a typed value. Raises Invalid."""
    try:
        return kind.model_validate(sent)
    except ValidationError as exc:
        # The contract has been kept to, so that this is rare: a value that swagger.yaml cannot describe.
        first = exc.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise Invalid(f"{field}: {first['msg']}.", field=field) from exc

"""Column types of the tables, and the comments that SQLite keeps in its schema."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import uuid_utils.compat
from sqlalchemy import BigInteger, Dialect, Integer, LargeBinary, Text, TypeDecorator
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import CreateColumn, CreateTable
from sqlalchemy.sql.compiler import DDLCompiler

from autodialer.model import DigitTime, DigitVia, KeyAction, KeyEffect, KeyResult, ShownNumber

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)

Key = BigInteger().with_variant(Integer, "sqlite")
"""Integer keys. SQLite makes only `INTEGER PRIMARY KEY` an alias of its rowid."""


def new_id() -> UUID:
    """A public id: UUID version 7 (RFC 9562 section 5.7), so that ids made later sort later."""
    return uuid_utils.compat.uuid7()


def to_milliseconds(at: datetime) -> int:
    """Milliseconds since the epoch of an aware time, rounded down."""
    return (at - EPOCH) // MILLISECOND


class PublicId(TypeDecorator[UUID]):
    """A UUID as its 16 bytes; as text it would take 36, and as many again in each index."""

    impl = LargeBinary(16)
    cache_ok = True

    def process_bind_param(self, value: UUID | None, dialect: Dialect) -> bytes | None:
        """To the database."""
        return None if value is None else value.bytes

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[bytes | None], UUID | None]:
        """From the database. SQLAlchemy's hook below `process_result_value`, which would be a call more for each id."""
        return _id_from


class UtcTime(TypeDecorator[datetime]):
    """An aware time as integer milliseconds since the epoch, UTC: SQLite has no type for times, and integers sort."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """To the database. A naive time is a bug and raises TypeError."""
        return None if value is None else to_milliseconds(value)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[int | None], datetime | None]:
        """From the database; the hook is that of PublicId."""
        return _time_from


def _id_from(value: bytes | None) -> UUID | None:
    return None if value is None else UUID(bytes=bytes(value))


def _time_from(value: int | None) -> datetime | None:
    return None if value is None else EPOCH + timedelta(milliseconds=value)


class JsonObject(TypeDecorator[Mapping[str, Any]]):
    """A small JSON object as compact text; an empty one is stored as NULL and read as `{}`."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Mapping[str, Any] | None, dialect: Dialect) -> str | None:
        """To the database."""
        return json.dumps(dict(value), ensure_ascii=False, separators=(",", ":")) if value else None

    def process_result_value(self, value: str | None, dialect: Dialect) -> Mapping[str, Any]:
        """From the database."""
        return json.loads(value) if value else {}


class DigitTimes(TypeDecorator[Sequence[DigitTime]]):
    """The presses of a call as JSON, `[["1",2.34,"rtp"]]`; none are stored as NULL and read as `()`."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Sequence[DigitTime] | None, dialect: Dialect) -> str | None:
        """To the database."""
        presses = [[press.digit, press.at_s, press.via.value] for press in value or ()]
        # Most calls have none, and NULL takes no room in the row.
        return json.dumps(presses, separators=(",", ":")) if presses else None

    def process_result_value(self, value: str | None, dialect: Dialect) -> Sequence[DigitTime]:
        """From the database."""
        presses = json.loads(value) if value else ()
        return tuple(DigitTime(digit=digit, at_s=at_s, via=DigitVia(via)) for digit, at_s, via in presses)


class KeyResults(TypeDecorator[Sequence[KeyResult]]):
    """What keys did in a call as JSON, `[["5","transfer",2.34,"refused",603]]`; none: NULL, read as `()`."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Sequence[KeyResult] | None, dialect: Dialect) -> str | None:
        """To the database."""
        rows = [[press.digit, press.action, press.at_s, press.effect, press.code] for press in value or ()]
        return json.dumps(rows, separators=(",", ":")) if rows else None

    def process_result_value(self, value: str | None, dialect: Dialect) -> Sequence[KeyResult]:
        """From the database."""
        return key_results_from(value)


def key_results_from(stored: str | None) -> Sequence[KeyResult]:
    """What keys did in a call, as its column keeps it."""
    return tuple(
        KeyResult(digit=digit, action=KeyAction(action), at_s=at_s, effect=KeyEffect(effect), code=code)
        for digit, action, at_s, effect, code in (json.loads(stored) if stored else ())
    )


class ShownNumbers(TypeDecorator[Sequence[ShownNumber]]):
    """The numbers of a trunk as JSON, `[["+74950000000","Clinic"]]`; none are stored as NULL and read as `()`."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Sequence[ShownNumber] | None, dialect: Dialect) -> str | None:
        """To the database."""
        rows = [[each.number, each.shown_as] for each in value or ()]
        return json.dumps(rows, ensure_ascii=False, separators=(",", ":")) if rows else None

    def process_result_value(self, value: str | None, dialect: Dialect) -> Sequence[ShownNumber]:
        """From the database."""
        return tuple(ShownNumber(number=number, shown_as=shown_as) for number, shown_as in json.loads(value or "[]"))


@compiles(CreateColumn, "sqlite")
def _with_comment(element: CreateColumn, compiler: DDLCompiler, **options: Any) -> str:
    """SQLite has no COMMENT ON, but keeps the text of CREATE TABLE: the comment goes on the line above the column."""
    column: str | None = compiler.visit_create_column(element, **options)  # type: ignore[no-untyped-call]
    comment = element.element.comment
    if column is None or not comment:
        return column or ""
    lines = "".join(f"-- {line}\n\t" for line in comment.splitlines())
    return f"{lines}{column}"


@compiles(CreateTable, "sqlite")
def _with_table_comment(element: CreateTable, compiler: DDLCompiler, **options: Any) -> str:
    """As `_with_comment`, for the table; the clean-up of SQLAlchemy's trailing blanks comes along."""
    text: str = compiler.visit_create_table(element, **options)  # type: ignore[no-untyped-call]
    text = text.strip().replace(", \n", ",\n").replace("\n\n", "\n").replace("\t", "    ")
    text = text.replace("\n)\n WITHOUT", "\n) WITHOUT")
    comment = element.element.comment
    return text.replace(" (\n", f" (\n    -- {comment}\n", 1) if comment else text

"""What the JSON of all subjects has in common: times, ids, parts of lists."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

from autodialer.store import RejectedRow

Json = dict[str, Any]
T = TypeVar("T")


def time(moment: datetime | None) -> str | None:
    """RFC 3339 in UTC with milliseconds."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def identifier(value: UUID | None) -> str | None:
    """A public id."""
    return str(value) if value is not None else None


def page(items_and_next: tuple[list[T], str | None], present: Callable[[T], Json]) -> Json:
    """A part of a list."""
    items, cursor = items_and_next
    return {"items": [present(item) for item in items], "next": cursor}


def values_of(value: object, names: tuple[str, ...]) -> Json:
    """Attributes that go out as they are, under their names."""
    return {name: getattr(value, name) for name in names}


def rejected_row(value: RejectedRow) -> Json:
    """A row of an uploaded file that was not imported."""
    counted = {} if value.rows is None else {"rows": value.rows}
    return {**values_of(value, ("row", "column", "value", "reason")), **counted}


TABLE = ("kind", "encoding", "delimiter", "broken_letters", "sheet", "sheets_not_read", "header_row")


def reading(value: Mapping[str, Any]) -> Json:
    """How an uploaded file was read: which columns were taken, and what of the file."""
    table = {name: value.get(name) for name in TABLE} if value else None
    return {"columns": dict(value.get("columns", {})), "table": table}

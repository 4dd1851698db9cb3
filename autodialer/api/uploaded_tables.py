"""What a client says of an uploaded table, a callbase's or a stop list's: which sheet, header and columns."""

from typing import Any

from autodialer.errors import Invalid, UserError
from autodialer.imports.columns import FIELDS, Wanted
from autodialer.imports.imports import Uploaded
from autodialer.web.body import parse_json
from autodialer.web.caller import Caller
from autodialer.web.fields import Fields
from autodialer.web.uploads import Upload

EXAMPLE = '{"number": "Phone", "name": "B"}'


class TableFields(Fields):
    """Said of any uploaded table."""

    region: str
    columns: str | None = None
    """JSON object: field -> header or letter, or null for none."""
    sheet: str | None = None
    header_row: int | None = None

    def wanted(self) -> Wanted:
        """The same, judged. Raises Invalid."""
        columns = {} if self.columns is None else _columns(self.columns)
        return Wanted(columns=columns, sheet=self.sheet or None, header_row=self.header_row)


class RejectedFilter(Fields):
    """How rejected rows are listed."""

    group: str | None = None
    """reason: one for each reason; None: every row."""


def uploaded(caller: Caller, upload: Upload, region: str, wanted: Wanted) -> Uploaded:
    """The file, which is from now on the import's to remove."""
    return Uploaded(file=upload.take(), user_key=caller.user.key, region=region, wanted=wanted)


def _columns(text: str) -> dict[str, str | None]:
    try:
        said = parse_json(text.encode())
    except UserError as exc:
        raise Invalid(f"columns takes a JSON object such as {EXAMPLE}; {exc}", field="columns") from exc
    if not isinstance(said, dict):
        raise Invalid(f"columns takes a JSON object such as {EXAMPLE}", field="columns")
    return {_field(name): _column(name, column) for name, column in said.items()}


def _field(name: str) -> str:
    if name not in FIELDS:
        raise Invalid(f"columns knows the fields {', '.join(FIELDS)}, but not {name!r}", field="columns")
    return name


def _column(name: str, column: Any) -> str | None:
    if column is None and name != "number":
        return None
    if not isinstance(column, str) or not column.strip():
        raise Invalid(f"columns: {name} takes the header or the letter of a column, not {column!r}", field="columns")
    return column

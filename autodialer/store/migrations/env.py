"""Alembic runs this for every command; the connection and its transaction come from `migrate` or `__main__`."""

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext

from autodialer.store.schema import metadata
from autodialer.store.sql import column_types as columns

OWN_TYPES = (columns.PublicId, columns.UtcTime, columns.JsonObject)


def render_item(kind: str, item: Any, _context: AutogenContext) -> str | Literal[False]:
    """Our column types by name; everything else as Alembic does it."""
    if kind == "type" and isinstance(item, OWN_TYPES):
        return f"columns.{type(item).__name__}()"
    if kind == "type" and item is columns.Key:
        return "columns.Key"
    return False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_item=render_item,
    render_as_batch=True,
    compare_type=False,
)
context.run_migrations()

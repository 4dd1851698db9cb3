"""What people asked for, as JSON: not to be called, to be forgotten."""

from autodialer.store import DncEntry, DncImport, Erasure
from autodialer.web.present import Json, time

OWN, ALL = "own", "all"


def dnc_entry(value: DncEntry) -> Json:
    """A number that is not dialled."""
    return {
        "number": value.number,
        "scope": scope(for_everybody=value.for_everybody),
        "source": value.source,
        "comment": value.comment,
        "created_at": time(value.created_at),
    }


def dnc_import(value: DncImport) -> Json:
    """An uploaded file of such numbers, with its counts."""
    names = ("file", "region", "state", "rows", "rows_done", "imported", "duplicates", "rejected", "error")
    return {
        "id": str(value.id),
        "scope": scope(for_everybody=value.for_everybody),
        **{name: getattr(value, name) for name in names},
        "created_at": time(value.created_at),
    }


def scope(*, for_everybody: bool) -> str:
    """Whose campaigns an entry holds for."""
    return ALL if for_everybody else OWN


def erasure(value: Erasure) -> Json:
    """What was erased."""
    names = ("subscribers", "calls", "traces", "jobs_cancelled", "under_way")
    return {name: getattr(value, name) for name in names}

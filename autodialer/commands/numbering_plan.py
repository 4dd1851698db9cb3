"""`python main.py numbering-plan [FILE]`: take a file of the numbering plan, or tell what the plan is made of."""

import sys
from contextlib import closing
from pathlib import Path

from autodialer.campaign.numbering_plan import PlanTable, read_plan
from autodialer.config import Settings
from autodialer.errors import NotFound
from autodialer.imports.table_file import open_table
from autodialer.store import Secrets, Store, migrate

MOST_FAULTS = 20
"""Lines shown; how many more there are is said."""


def run_numbering_plan(settings: Settings, file: str | None) -> int:
    """Import `file` if there is one; the exit status. Raises NotFound, or what `read_plan` raises."""
    migrate(settings.url)
    with closing(Store(settings.url, secrets=Secrets(settings.keys))) as store:
        if file is not None:
            path = Path(file)
            if not path.is_file():
                raise NotFound(f"There is no file {file!r}.")
            table = read_plan(row for _, row in open_table(path).rows())
            store.numbering_plan.take(path.name, table.ranges)
            _tell(table)
        _tell_plan(store)
    return 0


def _tell(table: PlanTable) -> None:
    _say(f"{len(table.ranges)} ranges of {table.codes} codes, {table.without_zone} without a time zone")
    for region, unknown in table.unknown.items():
        more = f" and {unknown.ranges - 1} more" if unknown.ranges > 1 else ""
        _say(f"unknown region {region!r}: line {unknown.line}{more}")
    for fault in table.faults[:MOST_FAULTS]:
        _say(f"left out: {fault}")
    if len(table.faults) > MOST_FAULTS:
        _say(f"left out: {len(table.faults) - MOST_FAULTS} lines more")


def _tell_plan(store: Store) -> None:
    files = store.numbering_plan.files()
    if not files:
        _say("There is no numbering plan; import the regulator's files: python main.py numbering-plan DEF-9xx.csv")
    for part in files:
        _say(f"in the plan: {part.codes} codes of {part.file}, imported {part.imported_at:%Y-%m-%d %H:%M} UTC")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")

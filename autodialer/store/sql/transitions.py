"""The state columns: CHECK constraints, comments and triggers, all made from the transition tables of the model."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, ColumnElement, literal_column

from autodialer.model import CAMPAIGN_TRANSITIONS, JOB_TRANSITIONS, SUBSCRIBER_TRANSITIONS


class CallbaseState(StrEnum):
    """Life of a callbase; the allowed transitions are in CALLBASE_TRANSITIONS."""

    IMPORTING = "importing"
    READY = "ready"
    FAILED = "failed"


CALLBASE_TRANSITIONS: Mapping[CallbaseState, frozenset[CallbaseState]] = {
    CallbaseState.IMPORTING: frozenset({CallbaseState.READY, CallbaseState.FAILED}),
    CallbaseState.READY: frozenset(),
    CallbaseState.FAILED: frozenset(),
}


@dataclass(frozen=True, kw_only=True)
class StateColumn:
    """A table whose column `state` may change only along its arrows."""

    table: str
    arrows: Mapping[Any, frozenset[Any]]
    """State -> states that may follow. Every state is a key."""

    def comment(self) -> str:
        """The arrows in one line each, for the schema."""
        order = [str(state) for state in self.arrows]
        lines = []
        for state, after in self.arrows.items():
            following = sorted((str(name) for name in after), key=order.index)
            lines.append(f"{state} -> {' | '.join(following)}" if following else f"{state} (final)")
        return "\n".join(lines)

    def check(self) -> CheckConstraint:
        """The CHECK that takes only the known states."""
        return check_one_of("state", self.arrows)

    def trigger(self, dialect: str) -> str:
        """The statement that makes the database refuse an arrow that is not in the table.

        PostgreSQL's text comes with its first migration; asking for it now raises KeyError.
        """
        return {"sqlite": self._sqlite_trigger}[dialect]()

    def _sqlite_trigger(self) -> str:
        # A trigger, because a CHECK sees only the new row.
        allowed = ["NEW.state = OLD.state"]
        order = [str(state) for state in self.arrows]
        for state, after in self.arrows.items():
            if after:
                names = ", ".join(f"'{name}'" for name in sorted((str(name) for name in after), key=order.index))
                allowed.append(f"OLD.state = '{state}' AND NEW.state IN ({names})")
        condition = "\n    OR ".join(allowed)
        return (
            f"CREATE TRIGGER {self.table}_state BEFORE UPDATE OF state ON {self.table}\n"
            f"WHEN NOT (\n    {condition}\n)\n"
            f"BEGIN\n    SELECT RAISE(ABORT, '{self.table}.state: there is no such transition');\nEND"
        )


CALLBASES = StateColumn(table="callbases", arrows=CALLBASE_TRANSITIONS)
CAMPAIGNS = StateColumn(table="campaigns", arrows=CAMPAIGN_TRANSITIONS)
CAMPAIGN_SUBSCRIBERS = StateColumn(table="campaign_subscribers", arrows=SUBSCRIBER_TRANSITIONS)
CALL_JOBS = StateColumn(table="call_jobs", arrows=JOB_TRANSITIONS)
DNC_IMPORTS = StateColumn(table="dnc_imports", arrows=CALLBASE_TRANSITIONS)
STATE_COLUMNS = (CALLBASES, DNC_IMPORTS, CAMPAIGNS, CAMPAIGN_SUBSCRIBERS, CALL_JOBS)


def check_one_of(column: str, words: Iterable[object]) -> CheckConstraint:
    """The column holds one of these words."""
    names = ", ".join(f"'{word}'" for word in words)
    return CheckConstraint(f"{column} IN ({names})", name=column)


def is_one_of(column: ColumnElement[Any], *states: StrEnum) -> ColumnElement[bool]:
    """`column = 'a'` or `column IN ('a', 'b')` with the words in the text of the statement.

    A partial index is used only where the statement says the same condition in so many words, not by a parameter.
    """
    words: list[ColumnElement[str]] = [literal_column(f"'{state.value}'") for state in states]
    return column == words[0] if len(words) == 1 else column.in_(words)

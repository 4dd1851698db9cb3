"""What the keys of a campaign did, counted in calls."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from autodialer.model import JobResult, KeyAction, KeyEffect, KeyResult
from autodialer.store.figures.tables import key_counts
from autodialer.store.sql.engine import insert_into

_CHANGES_NOTHING = (KeyEffect.AGAIN, KeyEffect.IGNORED)


@dataclass(frozen=True, kw_only=True)
class KeyFigures:
    """One key of a campaign."""

    action: KeyAction
    calls: int
    """Calls in which it was pressed."""
    effects: Mapping[KeyEffect, int]
    """What came of it -> in how many of them; of several presses in a call the last that changed anything counts."""


def count_keys(connection: Connection, results: Sequence[JobResult]) -> None:
    """Count the keys of calls that are being recorded, in the same transaction."""
    counted = Counter(
        (result.job.campaign_key, digit, action, effect)
        for result in results
        for (digit, action), effect in _last_effects(result.key_results).items()
    )
    for (campaign_key, digit, action, effect), count in counted.items():
        statement = insert_into(connection.dialect.name, key_counts).values(
            campaign_key=campaign_key, digit=digit, action=action.value, effect=effect.value, calls=count
        )
        there = ["campaign_key", "digit", "action", "effect"]
        added = {"calls": key_counts.c.calls + count}
        connection.execute(statement.on_conflict_do_update(index_elements=there, set_=added))


def _last_effects(results: Sequence[KeyResult]) -> dict[tuple[str, KeyAction], KeyEffect]:
    last: dict[tuple[str, KeyAction], KeyEffect] = {}
    for result in results:
        key = (result.digit, result.action)
        if key not in last or result.effect not in _CHANGES_NOTHING:
            last[key] = result.effect
    return last


def key_figures(connection: Connection, campaign_key: int) -> dict[str, KeyFigures]:
    """Key -> its figures; only keys that were pressed. A key has one meaning from a campaign's start to its end."""
    query = select(key_counts).where(key_counts.c.campaign_key == campaign_key).order_by(key_counts.c.digit)
    found: dict[tuple[str, str], dict[KeyEffect, int]] = {}
    for row in connection.execute(query):
        found.setdefault((row.digit, row.action), {})[KeyEffect(row.effect)] = row.calls
    return {
        digit: KeyFigures(action=KeyAction(action), calls=sum(effects.values()), effects=effects)
        for (digit, action), effects in found.items()
    }

"""What events cost the dialer: next to nothing, whatever becomes of the deliveries."""

import sqlite3
import time
from statistics import median

import pytest
from sqlalchemy import event, text

from autodialer.model import Disposition
from autodialer.model.webhooks import EventKind
from autodialer.store import WebhookSettings
from autodialer.store.webhooks.triggers import TELLING_TRIGGERS
from tests.store.test_cost import explained
from tests.store.world import World
from tests.webhooks.conftest import Hooks

URL = "https://crm.example/hook"
CALLS = 40


def ended_call_statements(world: World, count: int) -> list[str]:
    """The statements of the transaction that records so many calls."""
    campaign = world.running(count)
    results = [world.result(job, Disposition.ANSWERED) for job in world.claim(campaign, count)]
    seen: list[str] = []
    engine = world.store._database._engine

    def see(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        seen.append(statement)

    event.listen(engine, "before_cursor_execute", see)
    world.record(*results)
    event.remove(engine, "before_cursor_execute", see)
    return seen


def test_the_tick_runs_the_same_statements_with_and_without_webhooks(world: World, hooks: Hooks) -> None:
    """All that a webhook adds is in a trigger: no delivery, no receiver and no thread is in the dialer's way."""
    without = ended_call_statements(world, 3)
    hooks.make(URL)
    assert ended_call_statements(world, 3) == without
    # Nor do they depend on what waits to be delivered.
    hooks.fan_out()
    assert len(hooks.deliveries()) > 0
    assert ended_call_statements(world, 3) == without


def test_a_call_writes_one_small_row_however_many_webhooks_want_it(world: World, hooks: Hooks) -> None:
    for _ in range(20):
        hooks.make(URL, EventKind.CALL_ENDED)
    ended_call_statements(world, 1)
    (row,) = world.store.events.oldest(10)
    assert (row.kind, row.details) == ("call.ended", {})
    hooks.fan_out()
    assert len(hooks.deliveries()) == 20


def test_the_trigger_looks_in_indexes_only(store_url: str, world: World) -> None:
    """The plan of what SQLite does for a call, as it would be asked by itself."""
    connection = sqlite3.connect(store_url.removeprefix("sqlite:///"))
    trigger = TELLING_TRIGGERS["sqlite"]["calls_told"]
    condition = trigger.partition("WHEN ")[2].partition("\nBEGIN")[0].replace("NEW.campaign_key", "1")
    plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN SELECT {condition}")]
    connection.close()
    assert plan and not [step for step in plan if step.startswith("SCAN") and "CONSTANT ROW" not in step], plan


def test_no_statement_of_the_deliveries_scans_a_big_table(world: World, hooks: Hooks, store_url: str) -> None:
    made = hooks.make(URL)
    ended_call_statements(world, 3)
    with explained(world, store_url, only_while_writing=False) as plans:
        hooks.fan_out()
        lanes = hooks.due()
        for lane in lanes:
            waiting = world.store.deliveries.waiting(lane, 50)
            world.store.deliveries.record(lane, [], world.clock.now)
            assert waiting
        world.store.webhooks.update(made.id, None, WebhookSettings(url=URL + "2", events=made.events))
        world.store.deliveries.page(world.user.key, webhook_key=made.key)
        world.store.deliveries.page(world.user.key)
        world.store.deliveries.forget(world.clock.now)
    big = {"webhook_deliveries", "calls", "subscribers", "call_jobs", "dnc"}
    scans = [step for step in plans if step.startswith("SCAN") and step.split()[1] in big]
    # Housekeeping walks over the oldest by the primary key, and pages of lists too.
    assert not [step for step in scans if "USING" not in step and step != "SCAN webhook_deliveries"], scans


@pytest.mark.slow
def test_an_ended_call_costs_no_more_where_deliveries_wait_by_the_ten_thousand(world: World, hooks: Hooks) -> None:
    """Measured against itself: what waits to be delivered is nothing to the dialer's transaction."""
    hooks.make(URL, EventKind.CALL_ENDED)

    def median_s() -> float:
        campaign = world.running(CALLS)
        spent = []
        for job in world.claim(campaign, CALLS):
            result = world.result(job, Disposition.ANSWERED)
            began = time.process_time()
            world.record(result)
            spent.append(time.process_time() - began)
        return median(spent)

    first = median_s()
    hooks.fan_out()
    with world.store._database.write() as connection:
        connection.execute(
            text(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) "
                "INSERT INTO webhook_deliveries (id, webhook_key, owner_key, campaign_key, kind, object_key, at, state)"
                " SELECT randomblob(16), 1, 1, 1, 'call.ended', i, 0, 'waiting' FROM n"
            )
        )
    assert median_s() < 3 * first + 0.002

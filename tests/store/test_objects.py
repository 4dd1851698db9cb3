"""Trunks, sounds, callbases, subscribers, DNC: owners, lists, deletion."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import event, func, select

from autodialer.errors import Conflict, Invalid, NotFound, SettingsError
from autodialer.model import Callbase, Disposition, TrunkSettings
from autodialer.store import NewSubscriber, RejectedRow, Secrets, Store
from autodialer.store.setup.tables import rejected_rows, subscribers
from autodialer.store.sql.paging import decode_cursor, encode_cursor
from tests.databases import cheap_secrets
from tests.store.world import World, number


def test_a_trunk_is_read_back_as_it_was_made(world: World) -> None:
    made = world.store.trunks.create(
        world.user.key,
        TrunkSettings(
            name="t", host="sip.example.org", port=5080, username="u", password="p", codecs=("PCMU",), cps=0.5
        ),
    )
    assert world.store.trunks.get(made.id, world.user.key) == made
    assert (made.password, made.codecs, made.cps, made.number_format, made.max_channels) == (
        "p",
        ("PCMU",),
        0.5,
        "{e164}",
        10,
    )


def test_a_trunk_changes_only_in_what_is_given(world: World) -> None:
    trunks = world.store.trunks
    changed = trunks.update(world.trunk.id, world.user.key, replace(world.trunk, host="192.0.2.1", port=5062))
    assert (changed.host, changed.port, changed.password, changed.name) == ("192.0.2.1", 5062, "s3cret", "trunk")
    assert trunks.update(world.trunk.id, world.user.key, replace(world.trunk, password="", port=None)).password == ""
    assert trunks.get(world.trunk.id, None).port is None


def test_a_trunk_whose_key_file_was_lost_says_so(world: World, store_url: str, tmp_path: object) -> None:
    other = Store(store_url, secrets=cheap_secrets(tmp_path / "other keys"))  # type: ignore[operator]
    open_one = other.trunks.create(world.user.key, TrunkSettings(name="open", host="h"))
    locked = other.trunks.get(world.trunk.id, None)
    assert (locked.name, locked.password) == ("trunk", "")
    assert locked.problem is not None and "Enter the password again" in locked.problem
    assert [trunk.problem for trunk in other.trunks.by_keys([open_one.key]).values()] == [None], "others go on"
    assert other.trunks.update(world.trunk.id, None, replace(world.trunk, password="again")).problem is None
    other.close()


def test_an_encrypted_password_moved_to_another_row_does_not_decrypt(secrets: Secrets) -> None:
    sealed = secrets.encrypt("password", context=b"here")
    assert secrets.decrypt(sealed, context=b"here") == "password"
    assert secrets.encrypt("password", context=b"here") != sealed
    with pytest.raises(SettingsError):
        secrets.decrypt(sealed, context=b"there")


@pytest.mark.parametrize("part", ["trunks", "sounds", "callbases", "campaigns"])
def test_what_belongs_to_others_is_not_found_but_for_an_admin(world: World, part: str) -> None:
    made = {
        "trunks": lambda: world.trunk,
        "sounds": lambda: world.sound,
        "callbases": world.callbase,
        "campaigns": lambda: world.draft(world.callbase()),
    }[part]()
    objects = getattr(world.store, part)
    assert objects.get(made.id, world.user.key) == objects.get(made.id, None)
    for stranger in (lambda: objects.get(made.id, world.other.key), lambda: objects.get(uuid4(), None)):
        with pytest.raises(NotFound):
            stranger()
    assert objects.page(world.other.key) == ([], None)
    assert [item.id for item in objects.page(None)[0]] == [item.id for item in objects.page(world.user.key)[0]]
    if part != "campaigns":
        with pytest.raises(NotFound):
            objects.delete(made.id, world.other.key)


@pytest.mark.parametrize("part", ["trunks", "sounds", "callbases"])
def test_what_a_live_campaign_needs_cannot_be_deleted(world: World, part: str) -> None:
    callbase = world.callbase()
    campaign = world.store.campaigns.start(world.draft(callbase).id, None)
    made = {"trunks": world.trunk, "sounds": world.sound, "callbases": callbase}[part]
    objects = getattr(world.store, part)
    with pytest.raises(Conflict, match="'campaign' still needs it"):
        objects.delete(made.id, None)
    world.store.campaigns.pause(campaign.id, None)
    with pytest.raises(Conflict):
        objects.delete(made.id, None)
    world.store.campaigns.stop(campaign.id, None, hangup=False)
    objects.delete(made.id, None)
    with pytest.raises(NotFound):
        objects.get(made.id, None)
    assert objects.page(None) == ([], None)
    assert world.store.campaigns.get(campaign.id, None).id == campaign.id


def test_a_sound_stays_while_a_call_of_a_stopped_campaign_may_yet_play_it(world: World) -> None:
    campaign = world.running(1)
    [job] = world.claim(campaign)
    world.store.campaigns.stop(campaign.id, None, hangup=False)
    with pytest.raises(Conflict, match=r"still under way \(1\)"):
        world.store.sounds.delete(world.sound.id, None)
    world.record(world.result(job, Disposition.ANSWERED))
    world.store.sounds.delete(world.sound.id, None)


@pytest.mark.parametrize("field", ["trunk_ids", "sound_id", "callbase_id"])
def test_a_draft_whose_needs_were_deleted_does_not_start(world: World, field: str) -> None:
    callbase = world.callbase()
    campaign = world.draft(callbase)
    delete: dict[str, Callable[[], object]] = {
        "trunk_ids": lambda: world.store.trunks.delete(world.trunk.id, None),
        "sound_id": lambda: world.store.sounds.delete(world.sound.id, None),
        "callbase_id": lambda: world.store.callbases.delete(callbase.id, None),
    }
    delete[field]()
    with pytest.raises(Conflict) as refused:
        world.store.campaigns.start(campaign.id, None)
    assert refused.value.field == field
    with pytest.raises(Invalid) as invalid:
        world.draft(callbase)
    assert invalid.value.field == field


def test_a_deleted_trunk_keeps_no_password_and_its_calls_keep_its_name(world: World) -> None:
    campaign = world.running(1)
    [job] = world.claim(campaign)
    world.store.campaigns.stop(campaign.id, None, hangup=False)
    world.store.trunks.delete(world.trunk.id, None)
    assert world.store.trunks.by_key(world.trunk.key).password == ""
    assert world.store.calls.get(job.call_id, None).trunk_id == world.trunk.id


def test_hidden_things_are_in_no_list(world: World) -> None:
    hidden = world.store.trunks.create(world.user.key, TrunkSettings(name="h", host="h"), hidden=True)
    world.store.campaigns.create_sample_call(
        world.user.key, trunk_key=hidden.key, sound_key=world.sound.key, number="100"
    )
    assert [trunk.id for trunk in world.store.trunks.page(None)[0]] == [world.trunk.id]
    assert world.store.callbases.page(None) == ([], None)
    assert world.store.campaigns.page(None) == ([], None)
    assert world.store.subscribers.page_of_all(None, limit=10)[0] == []


def test_a_list_comes_in_pages_of_any_size(world: World) -> None:
    made = [world.trunk] + [
        world.store.trunks.create(world.user.key, TrunkSettings(name=f"{n}", host="h")) for n in range(6)
    ]
    for limit in range(1, 9):
        seen, cursor = world.store.trunks.page(world.user.key, limit=limit)
        while cursor is not None:
            items, cursor = world.store.trunks.page(world.user.key, limit=limit, after=cursor)
            assert items
            seen += items
        assert seen == made


@pytest.mark.parametrize("cursor", ["", "x", "====", "\u0430", "a" * 100, encode_cursor(1)[:-1] + "!"])
def test_a_cursor_that_nobody_gave_is_invalid(cursor: str) -> None:
    with pytest.raises(Invalid) as caught:
        decode_cursor(cursor)
    assert caught.value.field == "after"


@pytest.mark.parametrize("key", [0, 1, 10**15])
def test_a_cursor_gives_its_key_back(key: int) -> None:
    assert decode_cursor(encode_cursor(key)) == key


def test_an_import_counts_what_it_took_and_what_not(world: World) -> None:
    callbases = world.store.callbases
    made = callbases.create(world.user.key, name="c", region="GB", timezone="Europe/London")
    assert made.state == "importing"
    one = NewSubscriber(number=number(1), name="Алиса", extra={"город": "Тверь"})
    assert callbases.add_rows(made.key, [one, NewSubscriber(number=number(2)), NewSubscriber(number=number(1))]) == 2
    assert callbases.add_rows(made.key, [NewSubscriber(number=number(2)), NewSubscriber(number=number(3))]) == 1
    assert callbases.add_rows(made.key, []) == 0
    callbases.add_rejected(made.key, [RejectedRow(row=4, value="abc", reason="not a number")])
    callbases.add_rejected(made.key, [])
    callbases.progress(made.key, rows=6, rows_done=5)
    assert callbases.by_key(made.key).rows_done == 5
    ready = callbases.finish(made.key, rows=6)
    assert (ready.state, ready.rows, ready.rows_done, ready.imported, ready.duplicates, ready.rejected) == (
        "ready",
        6,
        6,
        3,
        2,
        1,
    )
    found, _ = world.store.subscribers.page(made.id, world.user.key)
    assert [subscriber.number for subscriber in found] == [number(1), number(2), number(3)]
    assert (found[0].name, found[0].extra, found[1].extra) == ("Алиса", {"город": "Тверь"}, {})
    assert world.store.subscribers.by_id(found[0].id, world.user.key) == found[0]
    assert callbases.rejected(made.id, world.user.key) == (
        [RejectedRow(row=4, value="abc", reason="not a number")],
        None,
    )
    for refused in (lambda: callbases.rejected(made.id, world.other.key), lambda: callbases.by_key(99)):
        with pytest.raises(NotFound):
            refused()
    with pytest.raises(NotFound):
        world.store.subscribers.by_id(found[0].id, world.other.key)


def test_the_same_number_may_be_in_two_callbases(world: World) -> None:
    assert world.callbase(2).imported == world.callbase(2).imported == 2
    assert len(world.store.subscribers.page_of_all(world.user.key, limit=10)[0]) == 4
    assert len(world.store.subscribers.page_of_all(None, limit=3)[0]) == 3
    assert world.store.subscribers.page_of_all(world.other.key, limit=10)[0] == []


def test_a_batch_is_at_most_five_hundred_rows(world: World) -> None:
    with pytest.raises(ValueError, match="500"):
        world.store.callbases.add_rows(1, [NewSubscriber(number="1")] * 501)


def test_a_failed_import_keeps_its_rejected_rows_and_no_subscriber(world: World) -> None:
    callbases = world.store.callbases
    made = callbases.create(world.user.key, name="c", region="GB")
    callbases.add_rows(made.key, [NewSubscriber(number=number(1))])
    callbases.add_rejected(made.key, [RejectedRow(row=1, value="x", reason="why")])
    callbases.fail(made.key, "the file ends in the middle of a row")
    failed = callbases.get(made.id, world.user.key)
    assert (failed.state, failed.error, failed.imported) == ("failed", "the file ends in the middle of a row", 0)
    assert world.store.subscribers.page(made.id, None) == ([], None)
    assert len(callbases.rejected(made.id, None)[0]) == 1
    with pytest.raises(Conflict):
        callbases.finish(made.key, rows=1)


def test_an_import_that_died_with_its_process_has_failed(world: World) -> None:
    made = world.store.callbases.create(world.user.key, name="c", region="GB")
    world.store.callbases.add_rows(made.key, [NewSubscriber(number=number(1))])
    ready = world.callbase()
    assert world.store.callbases.fail_unfinished() == 1
    assert world.store.callbases.by_key(made.key).state == "failed"
    assert world.store.callbases.by_key(ready.key) == ready
    world.store.callbases.purge_deleted()
    assert world.store.subscribers.page(made.id, None) == ([], None)
    assert len(world.store.subscribers.page(ready.id, None)[0]) == ready.imported


def test_deleting_a_callbase_that_is_being_imported_cancels_the_import(world: World) -> None:
    made = world.store.callbases.create(world.user.key, name="c", region="GB")
    world.store.callbases.add_rows(made.key, [NewSubscriber(number=number(1))])
    world.store.callbases.delete(made.id, world.user.key)
    with pytest.raises(Conflict):
        world.store.callbases.add_rows(made.key, [NewSubscriber(number=number(2))])
    assert world.store.subscribers.page_of_all(None, limit=10)[0] == []
    world.store.callbases.purge_deleted()
    with pytest.raises(NotFound):
        world.store.callbases.by_key(made.key)
    assert world.store.subscribers.page_of_all(None, limit=10)[0] == []


def test_a_discarded_callbase_leaves_nothing(world: World) -> None:
    made = world.callbase(1100)
    world.store.callbases.discard(made.key)
    assert world.store.subscribers.page_of_all(None, limit=10)[0] == []
    with pytest.raises(NotFound):
        world.store.callbases.by_key(made.key)


def test_deleting_a_called_callbase_erases_its_people_and_keeps_the_counts(world: World) -> None:
    campaign = world.running(3)
    [job, *_] = world.claim(campaign, 1)
    world.store.campaigns.stop(campaign.id, None, hangup=False)
    [person, *_], _ = world.store.subscribers.page(campaign.callbase_id, None)
    before = world.store.campaigns.progress(campaign.key).counts
    world.store.callbases.delete(campaign.callbase_id, world.user.key)
    world.store.callbases.purge_deleted()
    assert world.store.subscribers.by_id(person.id, None).number == ""
    assert world.store.campaigns.progress(campaign.key).counts == before
    assert world.store.calls.get(job.call_id, None).subscriber_id == person.id
    assert world.store.campaigns.get(campaign.id, None).callbase_id == campaign.callbase_id
    world.store.callbases.purge_deleted()
    assert world.store.subscribers.by_id(person.id, None).id == person.id


def rows_left(world: World, callbase: Callbase) -> tuple[int, int, int]:
    """Subscribers, those with a number, and rejected rows."""
    counts = (func.count(), func.count(subscribers.c.number))
    with world.store._database.read() as connection:
        people = connection.execute(select(*counts).where(subscribers.c.callbase_key == callbase.key)).one()
        of_callbase = rejected_rows.c.callbase_key == callbase.key
        rejected = connection.execute(select(func.count()).where(of_callbase)).scalar_one()
    return people[0], people[1], rejected


@pytest.mark.parametrize("is_used", [True, False])
def test_deleting_a_large_callbase_only_marks_it_and_its_rows_go_in_batches(world: World, *, is_used: bool) -> None:
    callbases = world.store.callbases
    callbase = callbases.create(world.user.key, name="large", region="GB")
    callbases.add_rejected(callbase.key, [RejectedRow(row=1, value="x", reason="why")] * 500)
    for start in (0, 500, 1000):
        callbases.add_rows(callbase.key, [NewSubscriber(number=number(start + index)) for index in range(500)])
    callbases.finish(callbase.key, rows=2000)
    if is_used:
        world.draft(callbase)
    callbases.delete(callbase.id, None)
    assert rows_left(world, callbase) == (1500, 1500, 500), "no row has been touched"
    assert (callbases.page(None), callbases.zones(callbase.key)) == (([], None), [])
    with pytest.raises(NotFound):
        callbases.get(callbase.id, None)
    with pytest.raises(Invalid, match="no such object"):
        world.draft(callbase)
    seen = []
    while callbases.clear_some():
        seen.append(rows_left(world, callbase))
    batches = [(1000, 1000, 500), (500, 500, 500), (0, 0, 500), (0, 0, 0)]
    if is_used:
        assert seen == [(1500, named, rejected) for _, named, rejected in batches]
        assert callbases.by_key(callbase.key).id == callbase.id, "the campaign still says what it called"
    else:
        assert seen == [*batches, (0, 0, 0)]
        with pytest.raises(NotFound):
            callbases.by_key(callbase.key)


def test_a_batch_that_erases_does_not_walk_over_the_rows_erased_before(world: World) -> None:
    callbase = world.callbase(2)
    world.draft(callbase)
    world.store.callbases.delete(callbase.id, None)
    plans: list[str] = []
    with world.store._database.read() as connection:

        def explain(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
            if statement.startswith("UPDATE subscribers"):
                rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
                plans.extend(row[3] for row in rows)

        event.listen(world.store._database._engine, "before_cursor_execute", explain)
        world.store.callbases.clear_some()
        event.remove(world.store._database._engine, "before_cursor_execute", explain)
    assert [plan for plan in plans if "callbase_key=? AND number>?" in plan], plans


def test_one_subscriber_is_added_to_a_ready_callbase_once(world: World) -> None:
    callbase = world.callbase(1)
    added = world.store.subscribers.add(callbase.id, world.user.key, NewSubscriber(number=number(7), name="Eve"))
    assert (added.number, added.name) == (number(7), "Eve")
    assert world.store.callbases.by_key(callbase.key).imported == 2
    with pytest.raises(Conflict) as caught:
        world.store.subscribers.add(callbase.id, world.user.key, NewSubscriber(number=number(7)))
    assert caught.value.field == "number"
    importing = world.store.callbases.create(world.user.key, name="c", region="GB")
    with pytest.raises(Conflict, match="importing"):
        world.store.subscribers.add(importing.id, world.user.key, NewSubscriber(number=number(8)))
    with pytest.raises(NotFound):
        world.store.subscribers.add(callbase.id, world.other.key, NewSubscriber(number=number(8)))

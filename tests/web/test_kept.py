"""Entity tags, and answers that are kept: never stale, and never for a caller who may not have them."""

import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from uuid import UUID

import pytest

from autodialer.config import Settings
from autodialer.model import TrunkSettings, User
from autodialer.store import Store
from autodialer.web import kept
from autodialer.web.kept import KeptAnswers, is_known
from tests.databases import cheap_secrets
from tests.web.client import Client
from tests.web.conftest import StandingClock


@pytest.fixture
def trunk(anna: Client) -> str:
    """The path of a trunk of anna's."""
    made = anna.post("/srv1/trunks", json={"name": "first", "host": "192.0.2.9"})
    return f"/srv1/trunks/{made.json()['id']}"


@pytest.fixture
def elsewhere(settings: Settings, clock: StandingClock, store: Store) -> Iterator[Store]:
    """The same database as another process has it."""
    with closing(Store(settings.url, secrets=cheap_secrets(settings.keys), clock=clock)) as opened:
        yield opened


def test_an_unchanged_object_is_304_and_a_changed_one_comes_whole(anna: Client, trunk: str) -> None:
    first = anna.get(trunk)
    tag = first.headers["etag"]
    again = anna.get(trunk, headers={"If-None-Match": f'"another", W/{tag}'})
    assert (again.status, again.body, again.headers["etag"]) == (304, b"", tag)
    assert again.headers["cache-control"] == first.headers["cache-control"] == "no-store"
    anna.call("PUT", trunk, json={"name": "second"})
    changed = anna.get(trunk, headers={"If-None-Match": tag})
    assert (changed.status, changed.json()["name"]) == (200, "second")
    assert changed.headers["etag"] != tag


def test_head_has_the_tag_of_get(anna: Client, trunk: str) -> None:
    assert anna.call("HEAD", trunk).headers["etag"] == anna.get(trunk).headers["etag"]


def test_a_list_has_no_tag(anna: Client, trunk: str) -> None:
    assert "etag" not in anna.get("/srv1/trunks").headers


@pytest.mark.parametrize(
    ("header", "known"),
    [
        ("", False),
        ("*", True),
        (" * ", True),
        ('"a"', True),
        ('W/"a"', True),
        ('"b" ,"a"', True),
        ('"b"', False),
        ("a", False),
        ('"b,"a"', False),
    ],
)
def test_entity_tags_are_read_as_rfc_9110_writes_them(header: str, *, known: bool) -> None:
    assert is_known('"a"', header) is known


def test_what_another_process_commits_is_seen_at_once(anna: Client, trunk: str, elsewhere: Store) -> None:
    found = anna.get(trunk)
    elsewhere.trunks.update(UUID(found.json()["id"]), None, TrunkSettings(name="from the other one", host="192.0.2.9"))
    assert anna.get(trunk).json()["name"] == "from the other one"


def test_each_commit_makes_another_version_and_nothing_else_does(store: Store, elsewhere: Store) -> None:
    before = store.version()
    store.ping()
    elsewhere.ping()
    assert store.version() == before
    elsewhere.users.create(login="clara", password="correct horse")
    after = store.version()
    assert after != before
    store.users.create(login="dora", password="correct horse")
    assert store.version() not in (before, after)


def test_the_version_after_a_close_is_another_one(store: Store) -> None:
    before = store.version()
    store.close()
    assert store.version() != before


@pytest.mark.parametrize("end", ["log out", "log out elsewhere", "delete"])
def test_an_ended_session_reads_nothing_that_was_kept_for_it(
    anna: Client, admin: Client, trunk: str, elsewhere: Store, end: str
) -> None:
    assert anna.get(trunk).status == 200
    if end == "log out":
        anna.post("/srv1/auth/revoke", data={"token": anna.token})
    elif end == "log out elsewhere":
        elsewhere.users.set_password(_anna(elsewhere).key, "another correct horse")
    else:
        admin.call("DELETE", f"/srv1/users/{_anna(elsewhere).id}?objects=delete")
    assert anna.get(trunk).status == 401


def test_what_is_kept_for_its_owner_is_404_for_another_user(anna: Client, boris: Client, trunk: str) -> None:
    assert [anna.get(trunk).status, boris.get(trunk).status, anna.get(trunk).status] == [200, 404, 200]


def test_an_expired_token_reads_nothing_that_was_kept(anna: Client, trunk: str, clock: StandingClock) -> None:
    assert anna.get(trunk).status == 200
    clock.move(601)
    assert anna.get(trunk).status == 401


def test_an_answer_is_made_anew_after_a_second_for_what_holds_by_the_clock(store: Store, clock: StandingClock) -> None:
    answers, made = KeptAnswers(store, clock), _Counting()
    for seconds, expected in ((0.0, 1), (0.9, 1), (0.2, 2)):
        clock.move(seconds)
        answers.answer("key", made)
        assert made.times == expected


def test_an_answer_that_was_overtaken_by_a_commit_is_not_kept(store: Store, clock: StandingClock) -> None:
    answers, made = KeptAnswers(store, clock), _Counting()

    def overtaken() -> str:
        store.users.create(login="late", password="correct horse")
        return made()

    answers.answer("key", overtaken)
    answers.answer("key", made)
    assert made.times == 2


def test_the_answers_kept_are_few_and_small(
    store: Store, clock: StandingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "MOST", 3)
    answers, made = KeptAnswers(store, clock), _Counting()
    for key in range(5):
        answers.answer(key, made)
    answers.answer("large", lambda: "x" * (kept.MOST_BYTES + 1))
    assert list(answers._kept) == [2, 3, 4]


def test_the_version_is_asked_by_many_threads(store: Store) -> None:
    seen: list[Any] = []
    threads = [threading.Thread(target=lambda: seen.append(store.version())) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 20
    assert len(set(seen)) == 1


def _anna(store: Store) -> User:
    found = store.users.by_login("anna")
    assert found is not None
    return found


class _Counting:
    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> str:
        self.times += 1
        return str(self.times)

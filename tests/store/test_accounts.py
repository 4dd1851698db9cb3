"""Users, passwords and sessions."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Barrier
from uuid import uuid4

import pytest
from argon2 import PasswordHasher

from autodialer.errors import Conflict, NotFound
from autodialer.model import Role, TrunkSettings
from autodialer.store import Rotated, Secrets, Store, new_id
from tests.databases import cheap_secrets
from tests.store.world import StandingClock
from tests.timing import at_most


def test_a_user_logs_in_with_his_password_only(store: Store) -> None:
    made = store.users.create(login="ольга", password="пароль 1", name="Ольга")
    assert store.users.verify("ольга", "пароль 1") == made
    assert store.users.verify("ольга", "пароль 2") is None
    assert store.users.verify("nobody", "пароль 1") is None
    assert made.can_log_in and made.role is Role.USER and made.id.version == 7


def test_a_login_is_the_same_however_its_letters_are_composed(store: Store) -> None:
    made = store.users.create(login="andre\u0301", password="x" * 8)
    assert store.users.by_login(" andr\u00e9") == made


def test_a_login_is_taken_once(store: Store) -> None:
    store.users.create(login="olga", password=None)
    with pytest.raises(Conflict) as caught:
        store.users.create(login="olga", password=None)
    assert caught.value.field == "login"


def test_a_user_without_a_password_cannot_log_in(store: Store) -> None:
    made = store.users.create(login="olga", password=None)
    assert not made.can_log_in
    assert store.users.verify("olga", "") is None


def test_an_unknown_login_costs_a_verification_too(
    store: Store, secrets: Secrets, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str | None] = []
    monkeypatch.setattr(secrets, "password_fits", lambda known, _: seen.append(known) or False)
    assert store.users.verify("nobody", "password") is None
    assert seen == [None]


def test_a_password_hash_is_renewed_when_its_parameters_have_changed(
    store: Store, store_url: str, tmp_path: Path
) -> None:
    store.users.create(login="olga", password="password")
    stronger = Secrets(tmp_path / "keys", hasher=PasswordHasher(time_cost=2, memory_cost=8, parallelism=1))
    later = Store(store_url, secrets=stronger)
    renewals: list[str] = []
    hash_password = stronger.hash_password
    stronger.hash_password = lambda password: renewals.append(password) or hash_password(password)  # type: ignore[method-assign]
    assert later.users.verify("olga", "password")
    assert later.users.verify("olga", "password")
    assert renewals == ["password"]
    later.close()


def test_a_new_password_ends_every_session_of_the_user(store: Store) -> None:
    user = store.users.create(login="olga", password="password")
    other = store.users.create(login="pavel", password="password")
    session, others = store.tokens.new_family(user.key), store.tokens.new_family(other.key)
    store.users.set_password(user.key, "another one")
    assert store.tokens.user_of_family(session.family_id) is None
    assert store.tokens.rotate(session.refresh_token) is None
    assert store.tokens.user_of_family(others.family_id) == other
    assert store.users.verify("olga", "another one") and not store.users.verify("olga", "password")


def test_the_first_start_makes_an_admin_and_tells_a_password_it_made_up(store: Store) -> None:
    store.users.create(login="sample", password=None, role=Role.ADMIN)
    password = store.users.ensure_admin(None, None)
    assert password is not None
    admin = store.users.verify("admin", password)
    assert admin is not None and admin.role is Role.ADMIN
    assert store.users.ensure_admin(None, None) is None
    assert store.users.ensure_admin("another", "password") is None
    assert store.users.by_login("another") is None


def test_the_first_start_takes_the_admin_it_is_told(store: Store) -> None:
    store.users.create(login="root", password=None)
    assert store.users.ensure_admin("root", "a password") is None
    admin = store.users.verify("root", "a password")
    assert admin is not None and admin.role is Role.ADMIN


def test_the_last_admin_stays_one(store: Store) -> None:
    store.users.ensure_admin("root", "a password")
    root = store.users.by_login("root")
    assert root is not None
    with pytest.raises(Conflict):
        store.users.update(root.id, role=Role.USER)
    second = store.users.create(login="second", password="password", role=Role.ADMIN)
    assert store.users.update(root.id, role=Role.USER, name="Root").name == "Root"
    assert store.users.by_key(second.key).role is Role.ADMIN


def test_users_are_found_and_listed(store: Store) -> None:
    made = [store.users.create(login=f"user{index}", password=None) for index in range(3)]
    assert store.users.by_id(made[1].id) == made[1]
    first, cursor = store.users.page(limit=2)
    rest, end = store.users.page(limit=2, after=cursor)
    assert first + rest == made and end is None
    with pytest.raises(NotFound):
        store.users.by_id(uuid4())
    with pytest.raises(NotFound):
        store.users.set_password(999, "password")


def test_a_refresh_token_is_used_once_and_replaced(store: Store) -> None:
    user = store.users.create(login="olga", password=None)
    session = store.tokens.new_family(user.key)
    rotated = store.tokens.rotate(session.refresh_token)
    assert rotated is not None
    assert rotated.user == user and rotated.family_id == session.family_id
    assert rotated.refresh_token != session.refresh_token
    again = store.tokens.rotate(rotated.refresh_token)
    assert again is not None and store.tokens.user_of_family(session.family_id) == user


def test_a_reused_refresh_token_revokes_its_family_and_no_other(store: Store) -> None:
    user = store.users.create(login="olga", password=None)
    session, other = store.tokens.new_family(user.key), store.tokens.new_family(user.key)
    rotated = store.tokens.rotate(session.refresh_token)
    assert rotated is not None
    assert store.tokens.rotate(session.refresh_token) is None
    assert store.tokens.rotate(rotated.refresh_token) is None
    assert store.tokens.user_of_family(session.family_id) is None
    assert store.tokens.user_of_family(other.family_id) == user


def test_of_two_uses_at_the_same_moment_one_wins_and_the_session_ends(store: Store) -> None:
    user = store.users.create(login="olga", password=None)
    for _ in range(10):
        session, together = store.tokens.new_family(user.key), Barrier(4)

        def use(token: str = session.refresh_token, together: Barrier = together) -> Rotated | None:
            together.wait(timeout=at_most(10))
            return store.tokens.rotate(token)

        with ThreadPoolExecutor(4) as pool:
            used = [done.result() for done in [pool.submit(use) for _ in range(4)]]
        won = [one for one in used if one is not None]
        assert len(won) == 1
        assert store.tokens.user_of_family(session.family_id) is None
        assert store.tokens.rotate(won[0].refresh_token) is None


def test_a_session_ends_thirty_days_after_its_last_refresh(store: Store, clock: StandingClock) -> None:
    user = store.users.create(login="olga", password=None)
    session = store.tokens.new_family(user.key)
    clock.move(days=29)
    rotated = store.tokens.rotate(session.refresh_token)
    assert rotated is not None
    clock.move(days=29)
    assert store.tokens.user_of_family(session.family_id) == user
    clock.move(days=1)
    assert store.tokens.user_of_family(session.family_id) is None
    assert store.tokens.rotate(rotated.refresh_token) is None
    store.tokens.new_family(user.key)
    assert store.tokens.revoke(rotated.refresh_token) is False, "it was cleared away"


def test_revoking_ends_one_session_or_all(store: Store) -> None:
    user = store.users.create(login="olga", password=None)
    first, second, third = (store.tokens.new_family(user.key) for _ in range(3))
    assert store.tokens.revoke(first.refresh_token)
    assert not store.tokens.revoke(first.refresh_token)
    assert not store.tokens.revoke("unknown")
    assert store.tokens.revoke_family(second.family_id)
    assert [store.tokens.user_of_family(one.family_id) for one in (first, second, third)] == [None, None, user]
    store.users.set_password(user.key, "hash")
    assert store.tokens.user_of_family(third.family_id) is None
    assert store.tokens.user_of_family(new_id()) is None


def test_neither_token_nor_password_is_in_the_database(store: Store, store_url: str) -> None:
    user = store.users.create(login="olga", password="open sesame")
    store.trunks.create(user.key, TrunkSettings(name="t", host="h", password="trunk secret"))
    token = store.tokens.new_family(user.key).refresh_token
    store.close()
    content = b"".join(
        path.read_bytes() for path in Path(store_url.removeprefix("sqlite:///")).parent.glob("db.sqlite3*")
    )
    assert b"olga" in content
    for secret in (b"open sesame", b"trunk secret", token.encode()):
        assert secret not in content
    assert "trunk secret" not in repr(store.trunks.by_keys([1])) and token not in repr(
        store.tokens.new_family(user.key)
    )


def test_an_idempotency_key_finds_what_its_first_request_made(store: Store, clock: StandingClock) -> None:
    user = store.users.create(login="olga", password=None)
    other = store.users.create(login="pavel", password=None)
    assert store.idempotency.look_up("k", user.key, "trunks", fingerprint="a") is None
    made = new_id()
    assert store.idempotency.remember("k", user.key, "trunks", made, fingerprint="a") == made
    assert store.idempotency.remember("k", user.key, "trunks", new_id(), fingerprint="a") == made
    assert store.idempotency.look_up("k", user.key, "trunks", fingerprint="a") == made
    assert store.idempotency.look_up("k", other.key, "trunks", fingerprint="a") is None
    assert store.idempotency.look_up("k", user.key, "sounds", fingerprint="a") is None
    with pytest.raises(Conflict):
        store.idempotency.look_up("k", user.key, "trunks", fingerprint="b")
    clock.now += timedelta(hours=24)
    assert store.idempotency.look_up("k", user.key, "trunks", fingerprint="a") is None


def test_the_audit_shows_who_did_what_newest_first(store: Store, clock: StandingClock) -> None:
    user = store.users.create(login="olga", password=None)
    store.audit.append(user.key, "trunk.create", object_kind="trunk", object_id=user.id, details={"name": "t"})
    clock.move(seconds=1)
    store.audit.append(None, "auth.refused", details={"login": "x"}, address="127.0.0.1")
    [newest], cursor = store.audit.page(limit=1)
    assert (newest.action, newest.login, newest.address, newest.at) == ("auth.refused", None, "127.0.0.1", clock.now)
    [oldest], end = store.audit.page(limit=1, after=cursor)
    assert (oldest.login, oldest.user_id, oldest.details, end) == ("olga", user.id, {"name": "t"}, None)


def test_a_fingerprint_is_the_same_for_the_same_content_and_says_nothing_without_the_key(tmp_path: Path) -> None:
    ours, again, other = (cheap_secrets(tmp_path / name) for name in ("a", "a", "b"))
    assert ours.fingerprint("x") == again.fingerprint("x") != ours.fingerprint("y")
    assert ours.fingerprint("x") != other.fingerprint("x")

"""Digits into a live call, as the API asks for them: who decides, what is refused, what is kept."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from autodialer.api import calls as call_digits
from autodialer.model import Command, DigitTime, DigitVia
from autodialer.store import Store
from tests.web.client import Client
from tests.web.conftest import StandingClock
from tests.web.dialing import DONE, answered, claim, record


@pytest.fixture
def call(anna: Client, objects: dict[str, Any], store: Store, clock: StandingClock) -> str:
    """A call under way; the path of its digits."""
    anna.post(f"/srv1/campaigns/{objects['campaign']['id']}/start")
    return f"/srv1/calls/{claim(store, clock.now)[0].call_id}/digits"


@contextmanager
def replying(store: Store, reply: str) -> Iterator[list[Command]]:
    """A dialer that says this to every command; those that it took."""
    store.live.heartbeat("test", 1)
    taken: list[Command] = []
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.01):
            for command in store.commands.take_new():
                taken.append(command)
                store.commands.reply(command.key, reply)

    dialer = threading.Thread(target=look)
    dialer.start()
    try:
        yield taken
    finally:
        over.set()
        dialer.join()


def test_digits_that_the_dialer_takes_are_202_and_wiped_from_the_commands(
    anna: Client, call: str, store: Store, admin: Client
) -> None:
    with replying(store, "") as taken:
        answer = anna.post(call, json={"digits": "12#A"})
    assert (answer.status, answer.json()["state"]) == (202, "dialing")
    assert [(command.kind, command.digits, str(command.call_id)) for command in taken] == [
        ("send_digits", "12#A", answer.json()["id"])
    ]
    assert store.commands.reply_to(taken[0].key) == ""
    entry = admin.get("/srv1/audit").json()["items"][0]
    assert (entry["action"], entry["details"]) == ("calls.digits", {"count": 4})


def test_what_the_dialer_refuses_is_409_in_its_words(anna: Client, call: str, store: Store) -> None:
    with replying(store, "The call is not answered, and only an answered one takes digits."):
        answer = anna.post(call, json={"digits": "1"})
    assert (answer.status, answer.json()["error"]) == (409, "conflict")
    assert answer.json()["message"].startswith("The call is not answered")


@pytest.mark.parametrize("digits", ["", "1x", "1 2", "a", "1" * 33, "١"])
def test_what_is_no_key_is_422_and_names_the_field(anna: Client, call: str, store: Store, digits: str) -> None:
    answer = anna.post(call, json={"digits": digits})
    assert (answer.status, answer.fields) == (422, ["digits"])
    assert store.commands.take_new() == []


def test_without_a_dialer_or_its_word_it_is_503(
    anna: Client, call: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert anna.post(call, json={"digits": "1"}).status == 503
    assert store.commands.take_new() == []
    monkeypatch.setattr(call_digits, "PATIENCE_S", 0.05)
    store.live.heartbeat("test", 1)
    assert anna.post(call, json={"digits": "1"}).status == 503


def test_a_finished_call_takes_no_digits_and_one_of_another_user_is_not_there(
    anna: Client, boris: Client, objects: dict[str, Any], store: Store, clock: StandingClock
) -> None:
    anna.post(f"/srv1/campaigns/{objects['campaign']['id']}/start")
    job = claim(store, clock.now)[0]
    path = f"/srv1/calls/{job.call_id}/digits"
    assert boris.post(path, json={"digits": "1"}).status == 404
    record(store, clock.now, job, answered(clock.now), DONE)
    assert anna.post(path, json={"digits": "1"}).status == 409


def test_a_call_shows_the_digits_that_the_callee_pressed_with_their_times(
    anna: Client, objects: dict[str, Any], store: Store, clock: StandingClock
) -> None:
    anna.post(f"/srv1/campaigns/{objects['campaign']['id']}/start")
    pressed, silent = claim(store, clock.now)[:2]
    path = f"/srv1/calls/{pressed.call_id}"
    assert anna.get(path).json()["digit_times"] is None
    times = (
        DigitTime(digit="1", at_s=2.34, via=DigitVia.RTP),
        DigitTime(digit="#", at_s=4.0, via=DigitVia.INFO),
    )
    record(store, clock.now, pressed, answered(clock.now, digits="1#", digit_times=times), DONE)
    record(store, clock.now, silent, answered(clock.now), DONE)
    call = anna.get(path).json()
    assert (call["digits"], call["digit_times"]) == (
        "1#",
        [{"digit": "1", "at_s": 2.34, "via": "rtp"}, {"digit": "#", "at_s": 4.0, "via": "info"}],
    )
    assert anna.get(f"/srv1/calls/{silent.call_id}").json()["digit_times"] == []

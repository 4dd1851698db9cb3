"""A sound renamed, and another recording in its place."""

import os
from typing import Any

import pytest

from autodialer.config import Settings
from autodialer.dialing.playable import PlayableSounds
from autodialer.housekeeping import REPLACED_KEPT_S, Housekeeping
from autodialer.store import Store
from tests.web.client import Client, wav
from tests.web.conftest import StandingClock


@pytest.fixture
def sound(objects: dict[str, Any]) -> str:
    return f"/srv1/sounds/{objects['sound']['id']}"


def replace(client: Client, sound: str, data: bytes, **fields: str) -> Any:
    return client.call("PUT", f"{sound}/audio", files={"file": ("new.wav", data)}, data=fields)


def test_a_sound_is_renamed(anna: Client, boris: Client, sound: str) -> None:
    assert anna.put(sound, json={"name": " Spring "}).json()["name"] == "Spring"
    assert anna.get(sound).json()["name"] == "Spring"
    assert anna.put(sound, json={}).json()["name"] == "Spring"
    assert anna.put(sound, json={"name": " "}).status == 400
    assert boris.put(sound, json={"name": "mine"}).status == 404


def test_another_recording_has_the_same_id_and_name(anna: Client, sound: str, objects: dict[str, Any]) -> None:
    before, heard = anna.get(sound).json(), anna.get(f"{sound}/audio").body
    answer = replace(anna, sound, wav(1.5))
    assert answer.status == 200, answer.body
    after = answer.json()
    assert after == anna.get(sound).json()
    assert (before["duration_s"], after["duration_s"]) == (0.5, 1.5)
    same = ("id", "name", "created_at")
    assert [before[name] for name in same] == [after[name] for name in same]
    assert len(anna.get(f"{sound}/audio").body) > 2 * len(heard)
    assert anna.get(f"{sound}/waveform").json()["duration_s"] == 1.5
    assert anna.get(f"/srv1/campaigns/{objects['campaign']['id']}").json()["sound_id"] == before["id"]


@pytest.mark.parametrize(
    ("data", "status"), [(b"", 422), (b"no sound", 415), (wav(0.1), 422), (wav(1.0, level=0), 422)]
)
def test_a_bad_file_changes_nothing(anna: Client, sound: str, settings: Settings, data: bytes, status: int) -> None:
    def standing() -> Any:
        return anna.get(sound).json(), anna.get(f"{sound}/audio").body, sorted(os.listdir(settings.sounds))

    before = standing()
    assert replace(anna, sound, data).status == status
    assert standing() == before
    assert not list((settings.data / "uploads").glob("*"))


def test_another_users_sound_is_not_there(boris: Client, sound: str, settings: Settings) -> None:
    before = sorted(os.listdir(settings.sounds))
    assert replace(boris, sound, wav(1.0)).status == 404
    assert sorted(os.listdir(settings.sounds)) == before


def test_the_dialer_takes_the_new_recording_at_its_next_look_and_the_old_files_stay_for_calls_under_way(
    anna: Client, sound: str, objects: dict[str, Any], store: Store, settings: Settings
) -> None:
    anna.post(f"/srv1/campaigns/{objects['campaign']['id']}/start")
    playable = PlayableSounds(store, settings.data)

    def look() -> Any:
        [campaign] = store.queue.running_campaigns()
        playable.learn({campaign.sound_key: campaign.sound_path})
        return playable[campaign.sound_key]

    old = look()
    assert look() is old
    replace(anna, sound, wav(1.5))
    new = look()
    assert (old.duration_s, new.duration_s) == (0.5, 1.5)
    for stem in (old.stem, new.stem):
        assert os.path.exists(stem + ".alaw") and os.path.exists(stem + ".ulaw")


def test_the_old_files_go_once_no_call_can_play_them(
    anna: Client, sound: str, store: Store, settings: Settings, clock: StandingClock
) -> None:
    first = set(os.listdir(settings.sounds))
    replace(anna, sound, wav(1.5))
    second = set(os.listdir(settings.sounds)) - first
    for name in os.listdir(settings.sounds):
        os.utime(settings.sounds / name, (clock.now.timestamp(),) * 2)
    housekeeping = Housekeeping(settings, store, clock)
    housekeeping.remove_replaced_sounds()
    assert set(os.listdir(settings.sounds)) == first | second
    clock.move(REPLACED_KEPT_S + 1)
    housekeeping.remove_replaced_sounds()
    assert set(os.listdir(settings.sounds)) == second

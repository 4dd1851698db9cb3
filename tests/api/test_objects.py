"""Trunks, sounds, callbases and users: made, read, changed, deleted, owned, and refused when they are wrong."""

import audioop  # type: ignore[import-not-found,unused-ignore]
import contextlib
import io
from pathlib import Path
from typing import Any
from uuid import uuid4

import openpyxl
import pytest

import main
from autodialer.api.trunks import NAMES_A_HOST
from autodialer.config import Settings
from autodialer.errors import HostUnresolved
from autodialer.model import Trunk, TrunkStatus
from autodialer.phone.resolver import Resolver
from autodialer.store import Store
from tests.web.client import CERTIFICATE, Client, wav
from tests.web.conftest import PASSWORD, StandingClock

TRUNK = {"name": "My provider", "host": "127.0.0.1"}


def files_below(folder: Path) -> list[str]:
    """What lies there."""
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


# -- trunks


def test_a_trunk_is_made_with_defaults_and_read_back(anna: Client) -> None:
    answer = anna.post("/srv1/trunks", json=TRUNK)
    trunk = answer.json()
    assert answer.status == 201
    assert trunk["number_format"] == "{e164}"
    assert (trunk["max_channels"], trunk["cps"], trunk["codecs"]) == (10, 1, ["PCMA", "PCMU"])
    assert trunk["caller_id_header"] == "from"
    assert trunk["registration"] == {"state": "off", "since": None, "error": None}
    assert trunk["breaker"] == {"state": "closed", "until": None, "cause": None}
    assert anna.get(f"/srv1/trunks/{trunk['id']}").json() == trunk
    assert anna.get("/srv1/trunks").json() == {"items": [trunk], "next": None}


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("encryption", ["preferred", "required"])
def test_encrypted_sound_without_tls_is_422_and_says_why(anna: Client, transport: str, encryption: str) -> None:
    fields = {**TRUNK, "transport": transport, "media_encryption": encryption}
    refused = anna.post("/srv1/trunks", json=fields)
    assert (refused.status, refused.fields) == (422, ["media_encryption"])
    assert "tls" in refused.json()["message"]
    made = anna.post("/srv1/trunks", json={**fields, "transport": "tls"}).json()
    assert made["media_encryption"] == encryption
    # Neither is it left without TLS later, nor does an unencrypted trunk get it.
    assert anna.put(f"/srv1/trunks/{made['id']}", json={"transport": transport}).fields == ["media_encryption"]
    both = {"transport": transport, "media_encryption": "none"}
    assert anna.put(f"/srv1/trunks/{made['id']}", json=both).json()["media_encryption"] == "none"
    again = anna.put(f"/srv1/trunks/{made['id']}", json={"media_encryption": encryption})
    assert (again.status, again.fields) == (422, ["media_encryption"])


def test_every_field_of_a_trunk_is_kept_but_the_password_is_never_shown(anna: Client, store: Store) -> None:
    fields = {
        **TRUNK,
        "port": 5080,
        "transport": "tls",
        "ca_file": CERTIFICATE,
        "outbound_proxy": "127.0.0.1:5070",
        "backup_host": "127.0.0.2:5070",
        "extra_headers": ["X-Account: 42", "Privacy: id"],
        "register": True,
        "stun_server": "127.0.0.1",
        "symmetric_rtp": False,
        "strict_source": False,
        "media_ports": "shared",
        "media_encryption": "required",
        "username": "user",
        "password": "s3cret",
        "auth_username": "auth",
        "domain": "sip.example",
        "caller_id": "+79160000000",
        "caller_id_header": "p_asserted_identity",
        "number_format": "8{national}",
        "max_channels": 30,
        "cps": 2.5,
        "codecs": ["PCMU"],
    }
    answer = anna.post("/srv1/trunks", json=fields)
    assert answer.status == 201
    assert "s3cret" not in answer.body.decode()
    assert {name: answer.json()[name] for name in fields if name != "password"} == {
        name: value for name, value in fields.items() if name != "password"
    }
    [trunk] = store.trunks.page(None)[0]
    assert trunk.password == "s3cret"


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["Via: x"], "written by the dialer itself"),
        (["X-Account"], "Name: value"),
        (["X-One: 1", "v: x"], "v is written"),
    ],
)
def test_a_header_that_may_not_be_set_is_refused_by_name(anna: Client, lines: list[str], said: str) -> None:
    answer = anna.post("/srv1/trunks", json={**TRUNK, "extra_headers": lines})
    assert (answer.status, answer.fields) == (422, ["extra_headers"])
    assert said in str(answer.json())


def test_a_trunk_has_ten_headers_of_its_own_at_most(anna: Client) -> None:
    lines = [f"X-{number}: 1" for number in range(11)]
    assert anna.post("/srv1/trunks", json={**TRUNK, "extra_headers": lines}).status == 400
    assert anna.post("/srv1/trunks", json={**TRUNK, "extra_headers": lines[:10]}).status == 201


def test_a_change_of_a_trunk_leaves_what_it_does_not_name(anna: Client, store: Store) -> None:
    trunk = anna.post("/srv1/trunks", json={**TRUNK, "password": "s3cret", "port": 5080}).json()
    changed = anna.put(f"/srv1/trunks/{trunk['id']}", json={"cps": 5, "port": None})
    assert changed.status == 200
    assert (changed.json()["cps"], changed.json()["port"], changed.json()["name"]) == (5, None, "My provider")
    assert store.trunks.page(None)[0][0].password == "s3cret"
    assert anna.put(f"/srv1/trunks/{trunk['id']}", json={}).status == 400


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("nothing.invalid", 422),
        ("::", 422),
        ("[fe80::1%eth0]", 422),
        ("ff02::1", 422),
        ("[::1]:5060", 422),
        ("0.0.0.0", 422),
        ("224.0.0.1", 422),
        ("sip:provider.example", 422),
        ("provider.example:5060", 422),
        ("1.2.3", 422),
        ("-", 422),
        ("a" * 64, 422),
        ("привет.рф", 422),
        ("", 400),
    ],
)
def test_a_host_that_cannot_be_called_is_refused_by_name(
    anna: Client, monkeypatch: pytest.MonkeyPatch, host: str, status: int
) -> None:
    def look_up(trunk: Trunk, _resolver: Resolver) -> None:
        if trunk.host != TRUNK["host"]:
            raise HostUnresolved(f"the name {trunk.host} does not exist")

    monkeypatch.setattr("autodialer.api.trunks.find_provider", look_up)
    answer = anna.post("/srv1/trunks", json={**TRUNK, "host": host})
    assert (answer.status, answer.fields) == (status, ["host"])
    trunk = anna.post("/srv1/trunks", json=TRUNK).json()
    assert anna.put(f"/srv1/trunks/{trunk['id']}", json={"host": host}).status == status
    assert [item["host"] for item in anna.get("/srv1/trunks").json()["items"]] == ["127.0.0.1"]


def test_a_number_format_that_makes_no_number_is_refused(anna: Client) -> None:
    answer = anna.post("/srv1/trunks", json={**TRUNK, "number_format": "{local}"})
    assert (answer.status, answer.fields) == (422, ["number_format"])


@pytest.mark.parametrize(
    "change",
    [
        {"transport": "udp"},
        {"domain": "b.example"},
        # Every setting that names a host, a future one too; without those that the login never goes to.
        *({name: "127.0.0.9"} for name in sorted(NAMES_A_HOST - {"port", "transport", "stun_server"})),
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_stored_password_is_not_led_elsewhere(anna: Client, store: Store, change: dict[str, Any]) -> None:
    tls = TRUNK | {"transport": "tls", "password": "s3cret", "domain": "a.example"}
    path = f"/srv1/trunks/{anna.post('/srv1/trunks', json=tls).json()['id']}"
    answer = anna.put(path, json=change)
    assert (answer.status, answer.fields) == (422, ["password"])
    assert anna.put(path, json={"name": "x", "port": 5070, **{name: tls.get(name) for name in change}}).status == 200
    assert anna.put(path, json=change | {"password": "new"}).status == 200
    assert [trunk.password for trunk in store.trunks.page(None)[0]] == ["new"]
    assert anna.put(path, json={"host": "127.0.0.8", "password": ""}).status == 200
    assert anna.put(path, json={"host": "127.0.0.7"}).status == 200


def test_a_trunk_shows_what_the_dialer_says_while_there_is_one(
    anna: Client, store: Store, clock: StandingClock
) -> None:
    trunk = anna.post("/srv1/trunks", json=TRUNK).json()
    key = store.trunks.page(None)[0][0].key
    resting = TrunkStatus(
        trunk_key=key, breaker_state="resting", breaker_until=clock.now, breaker_cause="It fell.", active_calls=3
    )
    store.live.write_trunks([resting])
    store.live.heartbeat("x", 1)
    shown = anna.get(f"/srv1/trunks/{trunk['id']}").json()
    assert shown["breaker"] == {"state": "resting", "until": "2026-03-01T12:00:00.000Z", "cause": "It fell."}
    assert shown["active_calls"] == 3
    clock.move(60)
    assert anna.log_in("anna", PASSWORD).status == 200
    assert anna.get(f"/srv1/trunks/{trunk['id']}").json()["active_calls"] == 0


def test_a_list_is_read_page_by_page(anna: Client) -> None:
    for index in range(5):
        anna.post("/srv1/trunks", json={**TRUNK, "name": f"trunk {index}"})
    names, after = [], ""
    while after is not None:
        page = anna.get("/srv1/trunks", params={"limit": 2, "after": after}).json()
        assert len(page["items"]) <= 2
        names += [item["name"] for item in page["items"]]
        after = page["next"]
    assert names == [f"trunk {index}" for index in range(5)]


# -- sounds


def padded_wav() -> bytes:
    """A second of sound between one and two of silence."""
    sound = wav(seconds=1)
    silence = bytes(16_000)
    data = silence + sound[44:] + silence * 2
    head = sound[:40] + len(data).to_bytes(4, "little")
    return head[:4] + (36 + len(data)).to_bytes(4, "little") + head[8:] + data


def test_a_sound_is_stored_as_it_came_and_as_it_is_heard(anna: Client, settings: Settings) -> None:
    original = wav(seconds=1, rate=16000)
    answer = anna.post("/srv1/sounds", files={"file": (r"C:\sounds\hello.wav", original)})
    sound = answer.json()
    assert answer.status == 201
    assert (sound["name"], sound["sample_rate"], sound["channels"]) == ("hello", 16000, 1)
    assert sound["duration_s"] == pytest.approx(1, abs=0.01)
    stem = settings.sounds / sound["id"]
    assert stem.with_suffix(".original").read_bytes() == original
    assert stem.with_suffix(".alaw").stat().st_size == stem.with_suffix(".ulaw").stat().st_size > 7900
    audio = anna.get(f"/srv1/sounds/{sound['id']}/audio")
    assert audio.headers["content-type"] == "audio/wav"
    assert audio.body == stem.with_suffix(".wav").read_bytes()
    assert files_below(settings.data / "uploads") == []
    part = anna.get(f"/srv1/sounds/{sound['id']}/audio", headers={"Range": "bytes=0-3"})
    assert (part.status, part.body) == (206, b"RIFF")


def test_a_sound_says_how_loud_it_is_heard_and_what_was_done_to_it(anna: Client) -> None:
    sound = anna.post("/srv1/sounds", files={"file": ("x.wav", wav(seconds=1, level=8000))}).json()
    assert sound["loudness_lufs"] == pytest.approx(-20, abs=0.1)
    assert sound["gain_db"] < -3
    assert sound["peak_dbfs"] < -15
    beep = anna.post("/srv1/sounds", files={"file": ("x.wav", wav(seconds=0.35, level=8000))}).json()
    assert (beep["loudness_lufs"], beep["duration_s"]) == (None, 0.35)
    assert beep["gain_db"] > 3
    assert anna.get("/srv1/sounds").json()["items"] == [sound, beep]


def test_a_sound_keeps_what_its_user_was_warned_of(anna: Client) -> None:
    good = anna.post("/srv1/sounds", files={"file": ("x.wav", wav(seconds=1))}).json()
    assert good["warnings"] == []
    sound = anna.post("/srv1/sounds", files={"file": ("x.wav", wav(seconds=1, level=40))}).json()
    (warning,) = sound["warnings"]
    assert warning["code"] == "quiet"
    assert warning["message"].startswith("The sound is ") and "record it again, nearer." in warning["message"]
    assert anna.get(f"/srv1/sounds/{sound['id']}").json() == sound
    assert anna.get("/srv1/sounds").json()["items"] == [good, sound]


def test_the_waveform_of_a_sound_is_that_of_what_is_heard(anna: Client, boris: Client) -> None:
    sound = anna.post("/srv1/sounds", files={"file": ("x.wav", padded_wav())}).json()
    waveform = anna.get(f"/srv1/sounds/{sound['id']}/waveform").json()
    assert waveform["duration_s"] == 4
    assert waveform["peak_s"] == 0.004 and len(waveform["peaks"]) == 1000
    quarters = [waveform["peaks"][start : start + 250] for start in (0, 250, 500, 750)]
    assert [max(quarter) > 0.1 for quarter in quarters] == [False, True, False, False]
    assert max(waveform["peaks"]) == pytest.approx(10 ** (sound["peak_dbfs"] / 20), rel=0.05)
    assert boris.get(f"/srv1/sounds/{sound['id']}/waveform").status == 404


def test_a_sound_is_read_back_as_the_callee_hears_it(anna: Client, settings: Settings) -> None:
    sound = anna.post("/srv1/sounds", files={"file": ("x.wav", wav(seconds=1))}).json()
    path, stem = f"/srv1/sounds/{sound['id']}/audio", settings.sounds / sound["id"]
    heard = anna.get(f"{path}?as=heard")
    assert (heard.status, heard.headers["content-type"]) == (200, "audio/wav")
    codes = stem.with_suffix(".alaw").read_bytes()
    assert heard.body[44:] == audioop.alaw2lin(codes, 2)
    assert heard.body[:44] == stem.with_suffix(".wav").read_bytes()[:44]
    assert anna.get(f"{path}?as=encoded").body == anna.get(path).body == stem.with_suffix(".wav").read_bytes()
    assert anna.get(f"{path}?as=whispered").status == 400
    for asked, status, body in (
        ("bytes=0-3", 206, heard.body[:4]),
        ("bytes=16000-", 206, heard.body[16000:]),
        ("bytes=-10", 206, heard.body[-10:]),
        ("bytes=99999-", 416, None),
    ):
        part = anna.get(f"{path}?as=heard", headers={"Range": asked})
        assert part.status == status
        assert body is None or part.body == body
    assert anna.get(f"{path}?as=heard", headers={"Range": "bytes=2-5"}).headers["content-range"] == "bytes 2-5/16044"


@pytest.mark.parametrize("path", ["audio", "audio?as=heard", "waveform"])
def test_a_sound_whose_files_are_gone_says_so(anna: Client, settings: Settings, path: str) -> None:
    sound = anna.post("/srv1/sounds", files={"file": ("x.wav", wav(seconds=1))}).json()
    for file in settings.sounds.glob(f"{sound['id']}.*"):
        file.unlink()
    answer = anna.get(f"/srv1/sounds/{sound['id']}/{path}")
    assert answer.status == 404
    assert "missing from the data folder; upload it again" in answer.json()["message"]


def test_sounds_are_as_loud_as_the_setting_says(settings: Settings, store: Store, clock: StandingClock) -> None:
    quiet = settings.model_copy(update={"sound_lufs": -31.0})
    with contextlib.closing(main.build_app(quiet, store, clock=clock, validate_responses=True)) as app:
        client = Client(app)
        client.log_in("anna", PASSWORD)
        sound = client.post("/srv1/sounds", files={"file": ("x.wav", wav(seconds=1))}).json()
    assert sound["loudness_lufs"] == pytest.approx(-31, abs=0.1)


@pytest.mark.parametrize(("given", "seconds"), [(None, 4), ("false", 4), ("true", 1.1)])
def test_silence_at_the_ends_is_trimmed_on_request(anna: Client, given: str | None, seconds: float) -> None:
    data = {} if given is None else {"trim": given}
    answer = anna.post("/srv1/sounds", files={"file": ("x.wav", padded_wav())}, data=data)
    assert answer.json()["duration_s"] == pytest.approx(seconds, abs=0.02)


def test_trim_takes_true_or_false(anna: Client) -> None:
    answer = anna.post("/srv1/sounds", files={"file": ("x.wav", wav())}, data={"trim": "perhaps"})
    assert (answer.status, answer.fields) == (400, ["trim"])


def test_a_repeated_upload_with_another_trim_is_another_request(anna: Client) -> None:
    key = {"Idempotency-Key": "one"}
    first = anna.post("/srv1/sounds", files={"file": ("x.wav", wav())}, headers=key)
    again = anna.post("/srv1/sounds", files={"file": ("x.wav", wav())}, data={"trim": "false"}, headers=key)
    other = anna.post("/srv1/sounds", files={"file": ("x.wav", wav())}, data={"trim": "true"}, headers=key)
    assert (again.status, again.json()["id"]) == (201, first.json()["id"])
    assert other.status in (409, 422)


def test_a_sound_from_before_loudness_was_measured_stays_as_it_is(anna: Client, store: Store) -> None:
    owner = store.users.by_login("anna")
    assert owner
    shape = {"duration_s": 1.0, "peak_dbfs": -3.0, "loudness_lufs": None, "sample_rate": 8000, "channels": 1}
    old = store.sounds.create(
        owner.key, name="old", path="sounds/old.wav", original_path="sounds/old.original", **shape
    )
    sound = anna.get(f"/srv1/sounds/{old.id}").json()
    assert (sound["loudness_lufs"], sound["gain_db"], sound["peak_dbfs"]) == (None, None, -3)


def test_a_sound_may_be_given_a_name(anna: Client) -> None:
    answer = anna.post("/srv1/sounds", files={"file": ("x.wav", wav())}, data={"name": " Привет "})
    assert answer.json()["name"] == "Привет"


def test_deleting_a_sound_removes_its_files(anna: Client, settings: Settings) -> None:
    sound = anna.post("/srv1/sounds", files={"file": ("x.wav", wav())}).json()
    assert anna.delete(f"/srv1/sounds/{sound['id']}").status == 204
    assert files_below(settings.sounds) == []
    assert anna.get(f"/srv1/sounds/{sound['id']}").status == 404
    assert anna.get(f"/srv1/sounds/{sound['id']}/audio").status == 404


@pytest.mark.parametrize(
    ("content", "status"),
    [(b"", 422), (b"no sound", 415), (wav()[:20], 415), (wav(level=0), 422), (wav(level=32767), 422)],
    ids=["empty", "text", "cut off", "silent", "clipped"],
)
def test_a_sound_that_is_none_is_refused_and_nothing_is_stored(
    anna: Client, settings: Settings, content: bytes, status: int
) -> None:
    answer = anna.post("/srv1/sounds", files={"file": ("x.wav", content)})
    assert (answer.status, answer.fields) == (status, ["file"])
    assert anna.get("/srv1/sounds").json()["items"] == []
    assert files_below(settings.sounds) + files_below(settings.data / "uploads") == []


def test_a_sound_whose_row_cannot_be_written_leaves_no_files(
    anna: Client, settings: Settings, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store.sounds, "create", lambda *_a, **_k: 1 / 0)
    assert anna.post("/srv1/sounds", files={"file": ("x.wav", wav())}).status == 500
    assert files_below(settings.sounds) + files_below(settings.data / "uploads") == []


# -- callbases


def upload(client: Client, content: bytes, name: str = "base.csv", **fields: str) -> Any:
    return client.post("/srv1/callbases", files={"file": (name, content)}, data={"region": "RU", **fields})


def test_a_callbase_is_imported_and_what_was_rejected_says_why(anna: Client, settings: Settings) -> None:
    text = "номер;имя;город\n89160000001;Анна;Тверь\n8 (916) 000-00-02;Борис;\n89160000001;Анна;\nabc;;\n"
    answer = upload(anna, text.encode("cp1251"), name="Клиенты.csv", timezone="Europe/Moscow")
    callbase = answer.json()
    assert answer.status == 201
    assert (callbase["name"], callbase["state"], callbase["region"]) == ("Клиенты", "ready", "RU")
    assert (callbase["rows"], callbase["imported"], callbase["duplicates"], callbase["rejected"]) == (4, 2, 1, 1)
    path = f"/srv1/callbases/{callbase['id']}"
    subscribers = anna.get(f"{path}/subscribers").json()["items"]
    assert [(item["number"], item["name"]) for item in subscribers] == [
        ("+79160000001", "Анна"),
        ("+79160000002", "Борис"),
    ]
    assert subscribers[0]["extra"]["город"] == "Тверь"
    [rejected] = anna.get(f"{path}/rejected").json()["items"]
    assert (rejected["row"], rejected["value"]) == (5, "abc")
    as_csv = anna.get(f"{path}/rejected", headers={"Accept": "text/csv"})
    assert as_csv.headers["content-type"].startswith("text/csv")
    assert as_csv.body.decode("utf-8-sig") == f"row,column,value,reason\r\n5,номер,abc,{rejected['reason']}\r\n"
    assert files_below(settings.data / "uploads") == []


def test_a_workbook_is_imported(anna: Client) -> None:
    book = openpyxl.Workbook()
    for row in (["phone", "name"], [79160000001, "Anna"], ["+7 916 000-00-02", "Boris"]):
        book.active.append(row)
    target = io.BytesIO()
    book.save(target)
    answer = upload(anna, target.getvalue(), name="base.xlsx")
    assert (answer.status, answer.json()["imported"]) == (201, 2)


@pytest.mark.parametrize(
    ("content", "name", "status"),
    [
        (b"PK\x03\x04 but no workbook", "base.xlsx", 415),
        (b"", "base.csv", 422),
        (b"+79160000001\n" + b"rubbish\n" * 999, "base.csv", 422),
        (bytes(range(256)) * 10, "base.csv", None),
    ],
    ids=["no workbook", "empty", "one good number of 1000", "binary"],
)
def test_a_callbase_that_is_none_is_refused_and_nothing_is_stored(
    anna: Client, settings: Settings, store: Store, content: bytes, name: str, status: int | None
) -> None:
    answer = upload(anna, content, name)
    assert answer.status == status or (status is None and answer.status in (415, 422))
    assert answer.fields[0] == "file"
    assert anna.get("/srv1/callbases").json()["items"] == []
    assert store.subscribers.page_of_all(None, limit=10)[0] == []
    assert files_below(settings.data / "uploads") == []


def test_a_wrong_region_or_timezone_is_named(anna: Client) -> None:
    assert upload(anna, b"+79160000001\n", region="XX").fields == ["region"]
    assert upload(anna, b"+79160000001\n", timezone="Moscow").fields == ["timezone"]
    missing = anna.post("/srv1/callbases", files={"file": ("x.csv", b"1")})
    assert (missing.status, missing.fields) == (400, ["region"])


def test_one_subscriber_can_be_added_once(anna: Client, objects: dict[str, Any]) -> None:
    path = f"/srv1/callbases/{objects['callbase']['id']}/subscribers"
    fields = {"number": "8 916 000 00 04", "name": "Д", "timezone": "Europe/Moscow", "extra": {"a": "b"}}
    added = anna.post(path, json=fields)
    assert added.status == 201
    assert added.json()["number"] == "+79160000004"
    assert added.json()["extra"] == {"a": "b"}
    again = anna.post(path, json=fields)
    assert (again.status, again.fields) == (409, ["number"])
    assert anna.post(path, json={"number": "12"}).fields == ["number"]
    assert anna.post(path, json={"number": "89160000005", "timezone": "X"}).fields == ["timezone"]
    assert anna.get(f"/srv1/callbases/{objects['callbase']['id']}").json()["imported"] == 4


def test_a_deleted_callbase_is_gone(anna: Client, objects: dict[str, Any]) -> None:
    path = f"/srv1/callbases/{objects['callbase']['id']}"
    assert anna.delete(path).status == 204
    assert anna.get(path).status == 404
    assert anna.get(f"{path}/subscribers").status == 404
    assert anna.get(f"{path}/rejected", headers={"Accept": "text/csv"}).status == 404


# -- uploads


@pytest.mark.parametrize("path", ["/srv1/sounds", "/srv1/callbases"])
def test_an_upload_without_a_file_is_named(anna: Client, path: str) -> None:
    fields = {"region": "RU", "name": "x"} if "callbases" in path else {"name": "x"}
    missing = anna.post(path, files={name: (None, text) for name, text in fields.items()})
    assert (missing.status, missing.fields) == (422, ["file"])
    as_text = anna.post(path, files={"file": (None, "text"), **{n: (None, t) for n, t in fields.items()}})
    assert (as_text.status, as_text.fields) == (400, ["file"])
    as_form = anna.post(path, data=fields)
    assert as_form.status == 415


def test_an_upload_that_breaks_off_leaves_nothing(anna: Client, settings: Settings) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    begun = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x.wav"\r\n\r\n' + wav()
    for data in (begun, b"", b"rubbish", begun + b"\r\n--b\r\n"):
        assert anna.post("/srv1/sounds", data=data, headers=headers).status == 400
    assert anna.post("/srv1/sounds", data=begun, headers={"Content-Type": "multipart/form-data"}).status == 400
    assert files_below(settings.data / "uploads") == []


def test_two_files_or_a_field_twice_are_refused(anna: Client) -> None:
    two = anna.post("/srv1/sounds", files=[("file", ("a.wav", wav())), ("file", ("b.wav", wav()))])
    assert (two.status, two.fields) == (400, ["file"])
    twice = anna.post("/srv1/sounds", files=[("name", (None, "a")), ("name", (None, "b")), ("file", ("b.wav", wav()))])
    assert (twice.status, twice.fields) == (400, ["name"])


def test_a_file_over_the_limit_is_refused_while_it_is_read(
    anna: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation = next(
        op
        for _m, _p, op in __import__("autodialer.web.contract", fromlist=["x"]).operations()
        if op["operationId"] == "create_sound"
    )
    monkeypatch.setitem(operation, "x-max-bytes", 1000)
    answer = anna.post("/srv1/sounds", files={"file": ("x.wav", wav())})
    assert (answer.status, answer.fields) == (413, ["file"])
    huge = anna.post("/srv1/sounds", files={"file": ("x.wav", b"0" * 200_000)})
    assert (huge.status, huge.fields) == (413, ["file"])
    assert files_below(settings.data / "uploads") == []


# -- users


def test_an_admin_makes_and_changes_users(admin: Client, client: Client) -> None:
    made = admin.post("/srv1/users", json={"login": "vera", "password": PASSWORD, "name": "Vera", "comment": "new"})
    assert made.status == 201
    assert (made.json()["role"], made.json()["can_log_in"]) == ("user", True)
    path = f"/srv1/users/{made.json()['id']}"
    assert admin.get(path).json() == made.json()
    assert client.log_in("vera", PASSWORD).status == 200
    changed = admin.put(path, json={"password": "four quiet paper boats", "comment": None, "name": "V"})
    assert (changed.json()["name"], changed.json()["comment"]) == ("V", None)
    assert client.get("/srv1/users/me").status == 401
    assert client.log_in("vera", "four quiet paper boats").status == 200
    assert [user["login"] for user in admin.get("/srv1/users").json()["items"]] == ["admin", "anna", "boris", "vera"]
    again = admin.post("/srv1/users", json={"login": "vera", "password": PASSWORD})
    assert (again.status, again.fields) == (409, ["login"])


def test_a_password_that_is_too_short_is_refused_and_not_repeated(admin: Client) -> None:
    answer = admin.post("/srv1/users", json={"login": "vera", "password": "hush"})
    assert (answer.status, answer.fields) == (400, ["password"])
    assert "hush" not in answer.body.decode()


def test_the_last_admin_stays_one(admin: Client) -> None:
    me = admin.get("/srv1/users/me").json()
    answer = admin.put(f"/srv1/users/{me['id']}", json={"role": "user"})
    assert (answer.status, answer.fields) == (409, ["role"])


def test_an_unknown_user_is_404(admin: Client) -> None:
    assert admin.get(f"/srv1/users/{uuid4()}").status == 404
    assert admin.put(f"/srv1/users/{uuid4()}", json={"name": "x"}).status == 404


def test_a_check_needs_a_dialer_and_a_trunk_of_ones_own(anna: Client, boris: Client) -> None:
    trunk = anna.post("/srv1/trunks", json=TRUNK).json()
    path = f"/srv1/trunks/{trunk['id']}/check"
    answer = anna.post(path)
    assert (answer.status, answer.error) == (503, "unavailable")
    assert "No dialer process is running" in answer.json()["message"]
    assert anna.post(path, json={"number": "12"}).fields == ["number"]
    assert boris.post(path).status == 404


def test_a_subscriber_has_a_second_number_and_a_bad_one_is_named(anna: Client) -> None:
    made = upload(anna, b"+79161234567").json()
    path = f"/srv1/callbases/{made['id']}/subscribers"
    added = anna.post(path, json={"number": "+79161234568", "second_number": "8 916 123-45-69"})
    assert added.json()["second_number"] == "+79161234569"
    refused = anna.post(path, json={"number": "+79161234570", "second_number": "112"})
    assert refused.status == 422
    assert refused.json()["details"][0]["field"] == "second_number"


def test_a_trunk_is_woken_by_the_dialer_and_the_audit_says_so(
    anna: Client, boris: Client, admin: Client, store: Store
) -> None:
    trunk = anna.post("/srv1/trunks", json=TRUNK).json()
    assert boris.post(f"/srv1/trunks/{trunk['id']}/wake").status == 404
    answer = anna.post(f"/srv1/trunks/{trunk['id']}/wake")
    assert (answer.status, answer.json()) == (202, trunk)
    [command] = store.commands.new()
    assert (command.kind, command.trunk_key) == ("wake_trunk", store.trunks.page(None)[0][0].key)
    assert admin.get("/srv1/audit").json()["items"][0]["action"] == "trunks.wake"


@pytest.mark.parametrize(("host", "stored"), [("::1", "::1"), ("[::1]", "::1"), ("2001:DB8:0::7", "2001:db8::7")])
@pytest.mark.parametrize(
    ("proxy", "kept"), [(None, None), ("[2001:DB8::9]:5070", "[2001:db8::9]:5070"), ("2001:db8::9", "[2001:db8::9]")]
)
def test_a_trunk_may_have_ipv6_addresses(
    anna: Client, host: str, stored: str, proxy: str | None, kept: str | None
) -> None:
    made = anna.post("/srv1/trunks", json={"name": "six", "host": host, "outbound_proxy": proxy})
    assert made.status == 201, made.json()
    assert (made.json()["host"], made.json()["outbound_proxy"]) == (stored, kept)

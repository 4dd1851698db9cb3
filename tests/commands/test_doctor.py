"""What the doctor says of a machine."""

import socket
from pathlib import Path

import pytest

import main
from autodialer.commands import doctor
from autodialer.commands.doctor import examine
from autodialer.config import Settings
from autodialer.media.shell import machine

pytestmark = pytest.mark.loopback


def said(settings: Settings, word: str) -> tuple[str, str]:
    (found,) = [(finding.grade, finding.sentence) for finding in examine(settings) if word in finding.sentence]
    return found


def test_it_prints_a_line_a_finding_and_says_whether_the_service_can_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DIALER_DATA", str(tmp_path))
    assert main.main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 8
    assert {line.split()[0] for line in lines} <= {"ok", "note"}


def test_a_full_disk_is_bad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = doctor.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _path: usage._replace(free=10_000_000))
    grade, sentence = said(Settings(data=tmp_path), str(tmp_path))
    assert grade == "bad"
    assert "10 MB left" in sentence


@pytest.mark.parametrize(("mode", "is_said"), [(0o777, "bad"), (0o702, "bad"), (0o770, "note")])
def test_a_data_folder_in_which_others_may_write_is_told(tmp_path: Path, mode: int, is_said: str) -> None:
    tmp_path.chmod(mode)
    grade, sentence = said(Settings(data=tmp_path), str(tmp_path))
    assert grade == is_said
    assert "chmod go-w" in sentence


def test_a_prototypes_file_that_was_kept_is_noted(tmp_path: Path) -> None:
    (tmp_path / "db-prototype.sqlite3").touch()
    grade, sentence = said(Settings(data=tmp_path), "db-prototype.sqlite3")
    assert grade == "note"
    assert "passwords in clear text" in sentence


def test_a_private_and_a_public_address_are_told_apart(tmp_path: Path) -> None:
    assert said(Settings(data=tmp_path, sip_address="127.0.0.1"), "127.0.0.1")[0] == "note"


def test_a_sip_port_in_use_is_noted(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        assert said(Settings(data=tmp_path, sip_address="127.0.0.1", sip_port=port), str(port))[0] == "note"


def test_the_ceiling_of_calls_is_that_of_the_ports_or_of_the_descriptors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "descriptor_limit", lambda: 1024)
    assert "492 calls" in said(Settings(data=tmp_path), "descriptors")[1]
    monkeypatch.setattr(doctor, "descriptor_limit", lambda: None)
    assert "100 calls" in said(Settings(data=tmp_path, rtp_ports=(20000, 20199)), "DIALER_RTP_PORTS")[1]


def test_without_real_time_scheduling_it_says_what_that_costs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "may_go_first", lambda: False)
    grade, sentence = said(Settings(data=tmp_path), "32 ms")
    assert grade == "note"
    assert "LimitRTPRIO" in sentence


def test_asking_whether_the_sound_may_go_first_leaves_the_thread_as_it_was() -> None:
    before = machine.os.sched_getscheduler(0)
    machine.may_go_first()
    assert machine.os.sched_getscheduler(0) == before

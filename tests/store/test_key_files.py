"""Key files: made once, and for the service's user alone."""

import logging
import os
import threading
from pathlib import Path

import pytest

from autodialer.errors import SettingsError
from autodialer.store import read_key_file
from tests.databases import cheap_secrets


def rights(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "a.key"
    assert read_key_file(path, lambda: b"first") == read_key_file(path, lambda: b"second") == b"first"
    assert (rights(path), rights(path.parent)) == (0o600, 0o700)
    assert list(path.parent.iterdir()) == [path]


def test_all_who_come_at_once_read_the_same_key(tmp_path: Path) -> None:
    path, start, read = tmp_path / "a.key", threading.Barrier(8), []

    def come(number: int) -> None:
        start.wait()
        read.append(read_key_file(path, lambda: bytes([number]) * 32))

    threads = [threading.Thread(target=come, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(read)) == 1
    assert len(read) == 8


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o666, 0o777])
def test_a_key_that_others_could_read_is_closed_to_them_and_it_is_said(
    tmp_path: Path, mode: int, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "keys" / "a.key"
    read_key_file(path, lambda: b"x")
    path.chmod(mode)
    path.parent.chmod(0o755)
    with caplog.at_level(logging.WARNING):
        assert read_key_file(path, lambda: b"y") == b"x"
    assert (rights(path) & 0o077, rights(path.parent)) == (0, 0o700)
    assert [str(path.parent) in caplog.text, str(path) in caplog.text] == [True, True]


def test_where_that_is_not_possible_the_service_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "secrets.key"
    cheap_secrets(tmp_path)
    path.chmod(0o644)

    def refuse(*_args: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "chmod", refuse)
    monkeypatch.setattr(Path, "chmod", refuse)
    with pytest.raises(SettingsError, match="chmod go="):
        cheap_secrets(tmp_path)

"""A missing program fails a test, and says what to install."""

import pytest

from tests.peers import requirements


def test_every_program_has_a_debian_package_and_its_absence_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requirements, "find_program", lambda name: None)
    assert requirements.missing_programs(["sipp", "tshark"]) == ["sipp", "tshark", "dumpcap"]
    text = requirements.explain_missing(["sipp", "baresip"])
    assert "sipp (Debian package sip-tester)" in text
    assert text.endswith("apt-get install --no-install-recommends baresip-core sip-tester")


def test_a_test_that_needs_a_missing_program_fails_and_is_not_skipped(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requirements, "find_program", lambda name: None)
    request.node.add_marker(pytest.mark.peer("sox"))
    with pytest.raises(pytest.fail.Exception, match="Debian package sox"):
        requirements.require_peers(request.node)

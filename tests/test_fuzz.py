"""What the fuzzer kept is harmless, and a short run of `make fuzz` finds nothing."""

import time
from pathlib import Path

import pytest

from tests.fuzz.__main__ import CORPUS, attack
from tests.fuzz.targets import SEEDS, TARGETS
from tests.timing import at_most

pytestmark = pytest.mark.process

KEPT_INPUTS = [
    (name, path)
    for name in TARGETS
    for folder in (CORPUS / name, *SEEDS.get(name, ()))
    for path in sorted(folder.iterdir())
    if path.is_file()
]
SECONDS = 2.5
"""A target; start and end take as long again."""


@pytest.mark.parametrize("name", TARGETS)
def test_what_was_found_before_is_taken_without_a_defect_and_in_no_time(name: str) -> None:
    inputs = [path for target, path in KEPT_INPUTS if target == name]
    assert len(inputs) >= 2
    for path in inputs:
        began = time.process_time()
        try:
            TARGETS[name](path.read_bytes())
        except Exception as exc:
            exc.add_note(str(path))
            raise
        assert time.process_time() - began < at_most(1.0), path


@pytest.mark.parametrize("name", TARGETS)
def test_a_short_attack_finds_nothing(name: str, tmp_path: Path) -> None:
    status, said = attack(name, seconds=SECONDS, seed=20261123, defects=tmp_path)
    assert status == 0, said[-4000:]
    assert "Done " in said
    assert list(tmp_path.iterdir()) == []

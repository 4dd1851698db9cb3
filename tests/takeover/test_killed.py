"""kill -9 at the steps of a takeover: the old file is never lost, and nothing is taken over twice."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.dialer.world import ROOT
from tests.timing import at_most

pytestmark = [pytest.mark.process, pytest.mark.timeout(400)]

STRIDE = 3


def test_a_takeover_killed_at_any_step_is_done_once_by_the_next_start_and_the_old_file_stays(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.takeover.killed", str(tmp_path), str(STRIDE)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=at_most(300),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    *lines, last = [json.loads(line) for line in done.stdout.splitlines()]
    old = last["source"]
    assert last["steps"] > 10
    assert {"os.link", "os.rename"} <= {line["step"] for line in lines}
    places = set()
    for line in lines:
        assert line["killed"], line["step"]
        first, then = line["first"], line["then"]
        places.add("ours" if first["place"] == "ours" else "old")
        assert first["place"] in ("ours", old)
        assert first["place"] == old or first["kept"] == [old]
        assert then["place"] == "ours"
        assert then["kept"] == [old]
        assert then["files"] == ["db-prototype.sqlite3", "db.sqlite3"], line["step"]
        assert then["users"] == ["admin", "anna"]
        assert then["callbases"] == [["prototype", "ready", 2]]
        assert then["subscribers"] == ["+79160000001", "89160000002"]
        assert then["can_log_in"]
    assert places == {"ours", "old"}

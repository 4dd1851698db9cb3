"""What the media process gets of the machine."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.media.processes import Media
from tests.peers.ports import LOCALHOST, free_ports, wait_until

pytestmark = [pytest.mark.loopback, pytest.mark.skipif(sys.platform != "linux", reason="scheduling classes of Linux")]

MAY_GO_FIRST = "import os; os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(2))"


def test_all_threads_go_before_other_processes_where_allowed_and_the_pacing_one_goes_first() -> None:
    allowed = subprocess.run([sys.executable, "-c", MAY_GO_FIRST], capture_output=True, check=False).returncode == 0
    with Media() as media:
        media.open_and_wait("a", LOCALHOST, free_ports(2, even=True)[0])
        tasks = [int(task.name) for task in Path(f"/proc/{media.pid}/task").iterdir()]
        assert len(tasks) == 3
        if not allowed:
            assert {os.sched_getscheduler(task) for task in tasks} == {os.SCHED_OTHER}
            return
        assert {os.sched_getscheduler(task) for task in tasks} == {os.SCHED_FIFO}
        priorities = {task: os.sched_getparam(task).sched_priority for task in tasks}
        assert priorities.pop(media.pid or 0) == 2
        assert set(priorities.values()) == {1}


def test_the_limit_of_descriptors_is_raised_to_the_hard_one() -> None:
    with Media() as media:
        wait_until(lambda: len(list(Path(f"/proc/{media.pid}/task").iterdir())) == 3, what="the threads")
        limits = Path(f"/proc/{media.pid}/limits").read_text().splitlines()
        soft, hard = next(line for line in limits if line.startswith("Max open files")).split()[3:5]
        assert soft == hard

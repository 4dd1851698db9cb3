"""The whole service as monitoring sees it, while its processes die: SIPp answers, prometheus_client's parser reads."""

import json
import os
import re
import signal
from pathlib import Path

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from tests.dialer.world import World
from tests.peers.by_number import Behaviour, by_number
from tests.peers.ports import free_ports, wait_until
from tests.peers.sipp import SippGateway
from tests.timing import at_most

pytestmark = [pytest.mark.peer("sipp"), pytest.mark.loopback, pytest.mark.timeout(150)]

NUMBERS = [f"700000{index:04d}0" for index in range(40)]


def metrics(url: str) -> dict[str, float]:
    """Sample (its labels by their values) -> figure."""
    text = requests.get(f"{url}/metrics", timeout=at_most(10)).text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {" ".join([each.name, *sorted(each.labels.values())]): each.value for each in samples}


def answers(url: str, status: int, **parts: str) -> bool:
    """Whether /readyz says so."""
    try:
        answer = requests.get(f"{url}/readyz", timeout=at_most(10))
    except requests.ConnectionError:
        return False
    return answer.status_code == status and parts.items() <= answer.json().items()


def send(signum: signal.Signals, pids: list[int], name: str) -> None:
    for pid in pids:
        if re.search(name, Path(f"/proc/{pid}/cmdline").read_bytes().decode()):
            os.kill(pid, signum)


def test_calls_are_counted_and_a_dead_process_is_told_and_comes_back(tmp_path: Path) -> None:
    world = World.make(tmp_path / "data", sound_s=0.5)
    port = str(free_ports(2)[0])
    with SippGateway(by_number({"2": Behaviour.BUSY}, ring_ms=50, max_call_s=60), calls=200, timeout_s=140) as gateway:
        campaign = world.campaign(gateway.address, NUMBERS, cps=40, max_channels=40)
        trunk = world.store.trunks.page(None)[0][0]
        service = world.service(DIALER_SIP_PORT=port, DIALER_LOG_FORMAT="json", DIALER_LOG="DEBUG")
        with service:
            url = f"http://{service.http}"
            wait_until(lambda: answers(url, 200, dialer="ok", disk="ok"), what="the service", timeout_s=60, poll_s=0.1)
            world.wait_finished(campaign, timeout_s=60)
            ended = f"dialer_calls_total {trunk.id} answered"
            wait_until(lambda: metrics(url).get(ended) == len(NUMBERS), what="the calls", timeout_s=20, poll_s=0.2)
            found = metrics(url)
            assert found["dialer_calls_started_total"] == found["dialer_sip_responses_total 200"] == len(NUMBERS)
            assert found["dialer_media_packets_total"] >= len(NUMBERS) * 20
            assert found["dialer_media_lateness_seconds_count"] > 0
            assert found["dialer_tick_seconds_count"] > 20
            assert found["dialer_active_calls"] == found["dialer_jobs_queued"] == 0
            # Stopped first: the supervisor may have the next one up before anybody could have noticed.
            send(signal.SIGSTOP, service.descendants(), r"dialer\.py")
            wait_until(lambda: answers(url, 503, dialer="not running"), what="503", timeout_s=20, poll_s=0.1)
            send(signal.SIGKILL, service.descendants(), r"dialer\.py")
            wait_until(lambda: answers(url, 200, dialer="ok"), what="the next dialer", timeout_s=40, poll_s=0.1)
            assert ended not in metrics(url), "counters begin again with their process"
            requests.get(f"{url}/srv1/campaigns", headers={"X-Request-ID": "asked-1"}, timeout=at_most(10))
    world.store.close()
    entries = [json.loads(line) for line in service.log.read_text().splitlines()]
    assert {entry["process"] for entry in entries} >= {"main", "dialer", "api"}
    assert [entry for entry in entries if entry.get("request") == "asked-1"]
    assert len({entry["call"] for entry in entries if " ended: " in entry["message"]}) == len(NUMBERS)

"""The README's ten lines, run as they stand against a whole service and SIPp as the provider."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dialer.world import ROOT
from tests.peers.by_number import by_number
from tests.peers.ports import free_port, free_ports, wait_until
from tests.peers.sipp import SippGateway
from tests.timing import at_most

pytestmark = [pytest.mark.loopback, pytest.mark.peer("sipp", "sox", "curl")]

PASSWORD = "correct horse"


def the_ten_lines() -> str:
    text = (ROOT / "README.md").read_text()
    found = re.search(r"## A first real campaign.*?```bash\n(.*?)```", text, re.DOTALL)
    assert found
    assert len(found[1].strip().splitlines()) == 10
    return found[1]


@pytest.fixture
def service(tmp_path: Path) -> Iterator[str]:
    """`python main.py` with a data folder and ports of its own; the address of the API."""
    http = f"127.0.0.1:{free_port()}"
    sip = free_ports(4)[0]
    environment = {
        **os.environ,
        "DIALER_DATA": str(tmp_path / "data"),
        "DIALER_HTTP": http,
        "DIALER_SIP_PORT": str(sip),
        "DIALER_RTP_PORTS": "36000-39999",
        "DIALER_DRAIN_S": "1",
        "DIALER_ADMIN_PASSWORD": PASSWORD,
    }
    with (tmp_path / "service.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "main.py"], cwd=ROOT, env=environment, stdout=log, stderr=log)

    def healthy() -> bool:
        assert process.poll() is None, (tmp_path / "service.log").read_text()
        try:
            with urllib.request.urlopen(f"http://{http}/healthz", timeout=at_most(1)) as answer:
                return bool(json.load(answer)["status"] == "ok")
        except OSError:
            return False

    try:
        wait_until(healthy, what="the service", timeout_s=30, poll_s=0.1)
        yield f"http://{http}"
        process.send_signal(signal.SIGTERM)
        assert process.wait(at_most(20)) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def run(script: str, folder: Path) -> str:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env={**os.environ, "PASSWORD": PASSWORD},
        capture_output=True,
        text=True,
        timeout=at_most(60),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_readmes_ten_lines_call_everybody_and_report(service: str, tmp_path: Path) -> None:
    subprocess.run(
        ["sox", str(ROOT / "autodialer/gateway/sample.flac"), "message.wav", "trim", "0", "1"], cwd=tmp_path, check=True
    )
    (tmp_path / "patients.csv").write_text(
        "имя;телефон\nАнна;8 916 000-00-00\nБорис;+79160000002\nВера;89160000003\nничей;112\n", encoding="cp1251"
    )
    with SippGateway(by_number(), calls=3, timeout_s=60) as gateway:
        script = (
            the_ten_lines()
            .replace("http://127.0.0.1:8080", service)
            .replace('"sip.provider.example", "port": 5060', f'"127.0.0.1", "port": {gateway.address[1]}')
            .replace('"cps": 1}', '"cps": 20}')
        )
        report = script.splitlines()[-1]
        calls = report.replace("python3 -m json.tool", "get calls")
        script += f'until [ "$({calls})" = 3 ]; do sleep 0.2; done; echo ---\n{report}\n'
        output = run(script, tmp_path)
        gateway.expect_success(timeout_s=20)
        assert sorted(gateway.invites_by_number) == ["79160000000", "79160000002", "79160000003"]
    assert output.startswith("running\n")
    assert json.loads(output.partition("---\n")[2])["dispositions"] == {"answered": 1, "busy": 1, "no_answer": 1}

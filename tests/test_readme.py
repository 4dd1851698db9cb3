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

import openpyxl
import pytest

from tests.dialer.world import ROOT
from tests.peers.by_number import by_number
from tests.peers.ports import free_port, free_ports, wait_until
from tests.peers.sipp import SippGateway
from tests.timing import at_most

pytestmark = [pytest.mark.loopback, pytest.mark.peer("sipp", "sox", "curl")]

PASSWORD = "correct horse"


READMES = {"README.md": "## A first real campaign", "README.ru.md": "## Первая настоящая кампания"}


def the_ten_lines(readme: str = "README.md") -> str:
    text = (ROOT / readme).read_text()
    found = re.search(rf"{READMES[readme]}.*?```bash\n(.*?)```", text, re.DOTALL)
    assert found
    assert len(found[1].strip().splitlines()) == 10
    return re.sub(r"^PASSWORD='[^']+'", f"PASSWORD='{PASSWORD}'", found[1])


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


def run_lines(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=at_most(60),
        check=False,
    )


def run(script: str, folder: Path) -> str:
    done = run_lines(script, folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_both_readmes_have_the_same_lines() -> None:
    assert the_ten_lines("README.ru.md") == the_ten_lines()


def test_the_readmes_ten_lines_call_everybody_watch_and_fetch_the_table(service: str, tmp_path: Path) -> None:
    subprocess.run(
        ["sox", str(ROOT / "autodialer/gateway/sample.flac"), "message.wav", "trim", "0", "1"], cwd=tmp_path, check=True
    )
    (tmp_path / "patients.csv").write_text(
        "имя;телефон\nАнна;8 916 000-00-00\nБорис;+79160000004\nВера;89160000005\nничей;112\n", encoding="cp1251"
    )
    with SippGateway(by_number(), calls=3, timeout_s=60) as gateway:
        script = (
            the_ten_lines()
            .replace("http://127.0.0.1:8080", service)
            .replace('"sip.provider.example", "port": 5060', f'"127.0.0.1", "port": {gateway.address[1]}')
            .replace('"cps": 1}', '"cps": 20}')
            .replace("sleep 5", "sleep 0.3")
        )
        output = run(script, tmp_path)
        gateway.expect_success(timeout_s=20)
        assert sorted(gateway.invites_by_number) == ["79160000000", "79160000004", "79160000005"]
    progress, _, report = output.partition("{\n")
    assert progress.startswith("running\nrunning {")
    assert "\nfinished {" in progress
    assert json.loads("{" + report)["dispositions"] == {"answered": 1, "rejected": 1, "invalid_number": 1}
    [sheet] = openpyxl.load_workbook(tmp_path / "people.xlsx").worksheets
    assert [row[0] for row in sheet.iter_rows(min_row=2, values_only=True)] == ["Анна", "Борис", "Вера"]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (("PASSWORD='", "PASSWORD='wrong "), "Invalid credentials"),
        (("message.wav", "nothing.wav"), "curl: (26)"),
        (('"host": "sip.provider.example"', '"host": "a..b"'), "host"),
        (("http://127.0.0.1:8080", f"http://127.0.0.1:{free_port()}"), "no answer"),
    ],
)
def test_an_error_in_the_ten_lines_is_told_in_a_sentence(
    service: str, tmp_path: Path, changed: tuple[str, str], told: str
) -> None:
    script = the_ten_lines().replace(*changed).replace("http://127.0.0.1:8080", service)
    script = script.replace("sip.provider.example", "127.0.0.1")
    done = run_lines(script, tmp_path)
    assert done.returncode != 0
    assert told in done.stderr
    assert "Traceback" not in done.stderr

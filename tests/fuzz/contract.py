"""schemathesis over the whole contract, as a user and as an admin: `python -m tests.fuzz.contract --seconds 600`.

It has an environment of its own, made on the first run in `.cache/`. The API runs with it in a namespace that has no
network but the loopback: hosts and URLs that it makes up lead nowhere.
"""

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import requests

from autodialer.model import Role
from tests.dialer.world import ROOT, World
from tests.peers.ports import free_port, wait_until
from tests.timing import at_most

HERE = Path(__file__).parent
REQUIREMENTS = HERE / "schemathesis-requirements.txt"
CACHE = ROOT / ".cache"
ROLES = (Role.USER, Role.ADMIN)
PASSWORD = "correct horse"
MOST_S = 480
"""Of one run: its access token is valid for ten minutes."""
SMALL = ("--phases", "examples,fuzzing", "--max-examples", "1", "--generation-deterministic")
"""Few requests, but of every operation."""
ALONE = ("unshare", "--map-root-user", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")


def environment() -> Path:
    """The folder of the environment's programs; it is made for what REQUIREMENTS says now."""
    asked = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:12]
    made, programs = CACHE / f"schemathesis-{asked}", CACHE / f"schemathesis-{asked}" / "bin"
    if not (made / "complete").exists():
        venv.create(made, with_pip=True, clear=True)
        install = ("pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(REQUIREMENTS))
        subprocess.run([programs / "python", "-m", *install], check=True)
        (made / "complete").touch()
    return programs


def attack(role: Role, *options: str, limit_s: float) -> tuple[int, str]:
    """Attack the API as a user of this role; the exit status (0: no break) and what schemathesis said."""
    command = [*ALONE, sys.executable, "-m", "tests.fuzz.contract", "--inside", role.value, str(environment())]
    done = subprocess.run(
        [*command, *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=at_most(limit_s),
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def _attack_here(role: Role, programs: Path, options: Sequence[str]) -> int:
    with tempfile.TemporaryDirectory(prefix="contract-") as folder, _api(Path(folder), role) as (url, token):
        command = [programs / "schemathesis", "--no-color", "--config-file", HERE / "schemathesis.toml", "run"]
        command += [ROOT / "swagger.yaml", "--url", f"{url}/srv1", "--header", f"Authorization: Bearer {token}"]
        hooks = {"SCHEMATHESIS_HOOKS": "contract_hooks", "PYTHONPATH": str(HERE)}
        # Its own folder: it keeps the cases that failed there.
        return subprocess.run(
            [*command, "--continue-on-failure", "--workers", "2", *options],
            cwd=folder,
            env={**os.environ, **hooks},
            check=False,
        ).returncode


@contextmanager
def _api(folder: Path, role: Role) -> Iterator[tuple[str, str]]:
    """The API on a small world: its address, and the access token of a user of the role."""
    world = World.make(folder / "data")
    world.campaign(("127.0.0.1", free_port()), [f"7000{number:07d}" for number in range(20)])
    world.store.users.create(login="fuzzer", password=PASSWORD, role=role)
    world.store.close()
    http = f"127.0.0.1:{free_port()}"
    settings = {"DIALER_DATA": str(world.settings.data), "DIALER_HTTP": http, "DIALER_LOG": "WARNING"}
    server = subprocess.Popen([sys.executable, "main.py", "serve"], cwd=ROOT, env={**os.environ, **settings})
    try:
        wait_until(lambda: _is_up(http), what="the API", timeout_s=60, poll_s=0.1)
        form = {"grant_type": "password", "username": "fuzzer", "password": PASSWORD}
        token = requests.post(f"http://{http}/srv1/auth/token", data=form, timeout=at_most(30)).json()["access_token"]
        yield f"http://{http}", token
        assert server.poll() is None, "the API has ended"
    finally:
        server.terminate()
        server.wait(at_most(30))


def _is_up(http: str) -> bool:
    try:
        return requests.get(f"http://{http}/healthz", timeout=at_most(1)).ok
    except requests.RequestException:
        return False


def main() -> int:
    """The command line; 1 when the contract was broken."""
    if sys.argv[1:2] == ["--inside"]:
        role, programs, *options = sys.argv[2:]
        return _attack_here(Role(role), Path(programs), options)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600, help="for both roles together")
    seconds = parser.parse_args().seconds / len(ROLES)
    broken = False
    for role in ROLES:
        left = seconds
        while left > 0:
            print(f"the contract, as {role}: {min(left, MOST_S):.0f} s ...", flush=True)
            span = max(1, round(min(left, MOST_S)))
            # It repeats its random part until the time is spent.
            status, said = attack(role, "--max-time", str(span), limit_s=span + 120)
            broken |= status != 0
            print(said if status else "\n".join(said.splitlines()[-12:]), flush=True)
            left -= MOST_S
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())

"""What a new user meets first: a program run by the wrong Python says how to run it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from autodialer import environment
from tests.timing import at_most

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = sorted(
    str(path.relative_to(ROOT))
    for path in [*ROOT.glob("*.py"), *(ROOT / "docs").glob("*.py")]
    if '__name__ == "__main__"' in path.read_text(encoding="utf-8")
)
PURE = {"docs/prose.py"}
"""Needs the standard library alone."""


def run_bare(*arguments: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run a program with a Python that has no packages."""
    return subprocess.run(
        [sys.executable, "-S", "-E", *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=at_most(30),
        check=False,
    )


def test_the_programs_are_those_that_people_start() -> None:
    assert {"main.py", "dialer.py", "api_client.py"} | PURE <= set(PROGRAMS)


@pytest.mark.process
@pytest.mark.parametrize("arguments", [[], ["doctor"], ["--help"]])
@pytest.mark.parametrize("program", sorted(set(PROGRAMS) - PURE))
def test_a_python_without_the_packages_is_told_how_to_run_the_program(program: str, arguments: list[str]) -> None:
    done = run_bare(program, *arguments)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert " ".join([".venv/bin/python", program, *arguments]) in done.stderr
    assert sys.executable in done.stderr


@pytest.mark.process
def test_elsewhere_the_way_to_the_environment_is_told(tmp_path: Path) -> None:
    done = run_bare(str(ROOT / "main.py"), "doctor", folder=tmp_path)
    told = done.stderr.splitlines()[-1].split()[0]
    assert (tmp_path / told).resolve() == (ROOT / ".venv/bin/python").resolve()


@pytest.mark.process
def test_the_client_alone_beside_the_contract_says_what_to_install(tmp_path: Path) -> None:
    for name in ("api_client.py", "swagger.yaml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    done = run_bare("api_client.py", "list-campaigns", folder=tmp_path)
    assert "pip install requests PyYAML rich" in done.stderr
    assert "Traceback" not in done.stderr


def test_nothing_is_missing_here_and_a_missing_package_is_named() -> None:
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    assert environment.missing_packages(text) == []
    other = "bottle==0.13.4\nno-such-package==1.0\nother-none==1; python_version >= '3.13'\n# no-such==1\n"
    assert environment.missing_packages(other) == ["no-such-package"]


WITHOUT_SETUPTOOLS = """
import sys
class Gone:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("setuptools", "pkg_resources", "distutils"):
            raise ModuleNotFoundError(name)
for name in [each for each in sys.modules if each.partition(".")[0] in ("setuptools", "pkg_resources", "distutils")]:
    del sys.modules[name]
sys.meta_path.insert(0, Gone())
import main, dialer, api_client, bottle_swagger, pyVoIP.VoIP, pyVoIP.SIP
from bravado_core.spec import Spec
from autodialer.web.contract import load_contract
Spec.from_dict(load_contract(), config={"validate_swagger_spec": True})
"""


@pytest.mark.process
def test_the_service_runs_without_setuptools() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", WITHOUT_SETUPTOOLS],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=at_most(60),
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "setuptools" not in (ROOT / "requirements.txt").read_text(encoding="utf-8")

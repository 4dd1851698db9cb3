"""Attack all targets in turn: `python -m tests.fuzz --seconds 600` (make fuzz)."""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.fuzz.targets import SEEDS, TARGETS, TESTS
from tests.timing import at_most

CORPUS = TESTS / "corpus"
WORDS = Path(__file__).with_name("sip.dict")
# The memory counts what the process that started it had at its peak, a worker of pytest perhaps.
LIMITS = ("-timeout=2", "-rss_limit_mb=4096", "-max_len=4096")
"""Two seconds and a gigabyte an input: more is a defect like an exception."""
LARGEST = 1024
"""Octets of an input that is kept."""


def attack(name: str, *, seconds: float, defects: Path, seed: int | None = None, keep: bool = False) -> tuple[int, str]:
    """Attack one target; exit status (0: no defect) and what atheris said.

    An input that made a defect is put into the folder `defects`; `keep` adds what reached new code to the corpus.
    """
    own = CORPUS / name
    with tempfile.TemporaryDirectory(prefix="fuzz-") as found:
        folders = [found, str(own), *map(str, SEEDS.get(name, ()))]
        options = [f"-max_total_time={max(1, round(seconds))}", f"-artifact_prefix={defects}/", f"-dict={WORDS}"]
        options += [f"-seed={seed}"] if seed is not None else []
        status, said = _run(name, *LIMITS, *options, *folders, limit_s=seconds + 60)
        if status == 0 and keep:
            _keep(name, found)
    return status, said


def _keep(name: str, found: str) -> None:
    """Copy those inputs that reach code which nothing in the corpus reaches yet."""
    for large in (path for path in Path(found).iterdir() if path.stat().st_size > LARGEST):
        large.unlink()
    known = [str(folder) for folder in SEEDS.get(name, ())]
    with tempfile.TemporaryDirectory(prefix="fuzz-") as merged:
        # What the seeds reach must not be kept again: they go first, and are then taken out.
        _run(name, *LIMITS, "-merge=1", "-use_counters=0", merged, *known, str(CORPUS / name), limit_s=120)
        before = {path.name for path in Path(merged).iterdir()}
        _run(name, *LIMITS, "-merge=1", "-use_counters=0", merged, found, limit_s=120)
        for path in Path(merged).iterdir():
            if path.name not in before:
                (CORPUS / name / path.name).write_bytes(path.read_bytes())


def _run(name: str, *options: str, limit_s: float) -> tuple[int, str]:
    command = [sys.executable, "-m", "tests.fuzz.attack", name, *options]
    done = subprocess.run(
        command,
        cwd=TESTS.parent,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=at_most(limit_s),
        check=False,
    )
    return done.returncode, done.stderr + done.stdout


def main() -> int:
    """The command line; 1 when a defect was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600, help="for all targets together")
    parser.add_argument("--only", choices=TARGETS, action="append", help="a target; may be given again")
    options = parser.parse_args()
    names = options.only or list(TARGETS)
    defects = 0
    for name in names:
        print(f"{name}: {options.seconds / len(names):.0f} s ...", flush=True)
        status, said = attack(name, seconds=options.seconds / len(names), defects=CORPUS / name, keep=True)
        print("\n".join(line for line in said.splitlines() if line.startswith("Done ")), flush=True)
        if status:
            defects += 1
            print(f"{said[-6000:]}\nA DEFECT in {name}: the input is kept in {CORPUS / name}", flush=True)
    print(f"{defects} of {len(names)} targets have a defect")
    return 1 if defects else 0


if __name__ == "__main__":
    sys.exit(main())

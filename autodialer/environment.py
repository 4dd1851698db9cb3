"""Imported first by every program: a Python without the packages is told how to run the program instead of a traceback.

Only the standard library may be imported here, and nothing that an old Python cannot read may be written.
"""

import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
REQUIREMENTS = os.path.join(ROOT, "requirements.txt")
LEAST_PYTHON = (3, 11)
SHOWN = 3
_REQUIRED = re.compile(r"^([A-Za-z0-9_.-]+)==[^;\s]+\s*$", re.MULTILINE)
"""A requirement of every Python: one with a condition behind a semicolon may rightly be missing."""
_INFO = (".dist-info", ".egg-info")
"""Endings of the folders that say what is installed."""


def missing_packages(requirements: str) -> "list[str]":
    """The packages of a requirements file that this Python does not have."""
    seen: set[str] = set()
    for folder in filter(os.path.isdir, sys.path):
        seen.update(_plain(name.split("-")[0]) for name in os.listdir(folder) if name.endswith(_INFO))
    not_seen = [name for name in _REQUIRED.findall(requirements) if _plain(name) not in seen]
    return [name for name in not_seen if not _is_installed(name)]


def _plain(name: str) -> str:
    return re.sub("[-_.]+", "-", name).lower()


def _is_installed(name: str) -> bool:
    # Sees zipped and linked packages too, but takes a quarter of a second to load: too long for every start.
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


def explain(missing: "list[str]") -> str:
    """How to run the program that was asked for."""
    python = os.path.join(ROOT, ".venv", "bin", "python")
    command = " ".join([os.path.relpath(python), *sys.argv])
    names = ", ".join(missing[:SHOWN]) + (f" and {len(missing) - SHOWN} more" if missing[SHOWN:] else "")
    first = "" if os.path.exists(python) else "`make setup` makes the project's environment. "
    lacks = f"{sys.executable} does not have the packages that this program needs ({names})."
    return f"{lacks}\n{first}Run it as\n    {command}\n"


def check() -> None:
    """End the program with a message unless this Python can run it."""
    if sys.version_info < LEAST_PYTHON:
        sys.stderr.write(f"Python 3.11 or newer is needed; this is {sys.version.split()[0]}.\n")
        sys.exit(2)
    if not os.path.exists(REQUIREMENTS):
        return
    with open(REQUIREMENTS, encoding="utf-8") as file:
        missing = missing_packages(file.read())
    if missing:
        sys.stderr.write(explain(missing))
        sys.exit(2)


check()

"""Which foreign programs the tests need, and the Debian packages they come in.

`python -m tests.peers.requirements` says what is missing; with `--install` apt-get installs it, which needs root.
"""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

DEBIAN_PACKAGES: dict[str, str] = {
    "sipp": "sip-tester",
    "kamailio": "kamailio",
    "kamailio-tls": "kamailio-tls-modules",
    "baresip": "baresip-core",
    "baresip-srtp": "baresip-core",
    "linphonec": "linphone-cli",
    "rtpengine": "rtpengine-daemon",
    "tshark": "tshark",
    "dumpcap": "wireshark-common",
    "sox": "sox",
    "ffmpeg": "ffmpeg",
    "espeak-ng": "espeak-ng",
    "nsd": "nsd",
    "timeout": "coreutils",
    "stdbuf": "coreutils",
    "chromium": "chromium",
    "curl": "curl",
    "ip": "iproute2",
    "nft": "nftables",
    "turnserver": "coturn",
    "strace": "strace",
    "systemd-analyze": "systemd",
    "mount": "mount",
    "zsh": "zsh",
    "node": "nodejs",
    "openssl": "openssl",
}
"""Program -> Debian package. baresip-core brings every baresip module used here (g711, aubridge, aufile, sndfile)."""

NEEDED_BESIDE: dict[str, tuple[str, ...]] = {"tshark": ("dumpcap",), "baresip": ("stdbuf",)}
"""A program that is of no use here without another."""

MODULES: dict[str, str] = {
    "kamailio-tls": "*/kamailio/modules/tls.so",
    "baresip-srtp": "baresip/modules/srtp.so",
}
"""Requirements that are files below /usr/lib, not programs, under the names that markers call them by."""

SYSTEM_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")
"""Looked through beside PATH: kamailio lies where an ordinary user's PATH does not look."""


def find_program(name: str) -> str | None:
    """The path of a program, or of a module, or None where it is not installed."""
    if name in MODULES:
        return next((str(path) for path in Path("/usr/lib").glob(MODULES[name])), None)
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return shutil.which(name, path=os.pathsep.join([*folders, *SYSTEM_FOLDERS]))


def missing_programs(names: Iterable[str]) -> list[str]:
    """Those of the programs, and of what they need beside them, that are not installed."""
    wanted = [needed for name in names for needed in (name, *NEEDED_BESIDE.get(name, ()))]
    return [name for name in dict.fromkeys(wanted) if find_program(name) is None]


def explain_missing(names: Sequence[str]) -> str:
    """What to tell a person whose machine lacks these programs."""
    packages = sorted({DEBIAN_PACKAGES.get(name, name) for name in names})
    programs = ", ".join(f"{name} (Debian package {DEBIAN_PACKAGES.get(name, 'unknown')})" for name in names)
    return f"missing: {programs}; install with: apt-get install --no-install-recommends {' '.join(packages)}"


def require_peers(item: pytest.Item) -> None:
    """Fail, never skip, a test whose `peer` marker names a program that is not installed."""
    names = [str(name) for marker in item.iter_markers("peer") for name in marker.args]
    if item.get_closest_marker("browser"):
        names.append("chromium")
    if item.get_closest_marker("netns"):
        names += ["ip", "nft"]
        if os.geteuid() != 0:
            pytest.fail("this test makes network namespaces, which needs root", pytrace=False)
    missing = missing_programs(names)
    if missing:
        pytest.fail(f"this test needs programs that are not installed; {explain_missing(missing)}", pytrace=False)


def install(names: Sequence[str]) -> int:
    """Install the packages of these programs by apt-get, leaving no service running; the exit status."""
    packages = sorted({DEBIAN_PACKAGES[name] for name in names})
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    print(f"Installing {' '.join(packages)} ...", flush=True)
    with _services_kept_down():
        for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *packages]):
            status = subprocess.run(["apt-get", *command], env=environment, check=False).returncode
            if status != 0:
                return status
    return 0


@contextmanager
def _services_kept_down() -> Iterator[None]:
    """Debian starts a package's service at installation unless /usr/sbin/policy-rc.d says 101 to it."""
    policy = Path("/usr/sbin/policy-rc.d")
    ours = not policy.exists()
    if ours:
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
    try:
        yield
    finally:
        if ours:
            policy.unlink(missing_ok=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; 0 where nothing is missing at the end."""
    parser = argparse.ArgumentParser(prog="python -m tests.peers.requirements", description=__doc__)
    parser.add_argument("--install", action="store_true", help="install what is missing (root, apt-get)")
    options = parser.parse_args(arguments)
    missing = missing_programs(DEBIAN_PACKAGES)
    if missing and options.install and os.geteuid() == 0 and find_program("apt-get"):
        status = install(missing)
        missing = missing_programs(DEBIAN_PACKAGES)
        if status != 0 and not missing:
            return status
    if missing:
        print(f"The tests need programs that are not installed; {explain_missing(missing)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

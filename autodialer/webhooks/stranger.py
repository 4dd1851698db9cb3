"""The process that sends a notice through the apprise library: python -m autodialer.webhooks.stranger.

The address of a notice comes from a user of the API, and apprise knows over a hundred services: some take a host, some
the path of a key file, some speak to the desktop or the system's log. What all of that may touch is decided here, below
the library: Python itself asks our hook before it connects, opens a file or starts a program (PEP 578).
"""

import ipaddress
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CHECK_S = 20.0
SEND_S = 45.0
_ADDRESSES = frozenset({"socket.connect", "socket.sendto", "socket.bind", "socket.sendmsg"})
_NEVER = frozenset(
    {
        "subprocess.Popen",
        "os.system",
        "os.exec",
        "os.posix_spawn",
        "os.fork",
        "os.forkpty",
        "pty.spawn",
        "ctypes.dlopen",
    }
)
_CHANGES = frozenset({"os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "shutil.rmtree"})
NOT_OURS = frozenset({"syslog", "dbus", "kde", "qt", "glib", "gnome", "macosx", "windows"})
"""Services of this machine's desktop and log."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """What the process is told."""

    url: str = field(repr=False)
    """Where to, in apprise's words."""
    title: str = ""
    """Empty with `body`: only look at the URL."""
    body: str = ""
    networks: tuple[str, ...] = ()
    """Permitted beside the open internet."""


@dataclass(frozen=True, kw_only=True)
class Told:
    """What the process says."""

    shown: str | None
    """The service and its host, without secrets; None: there is no such service."""
    error: str | None
    """Why it did not go out, or would not be taken; None: it did."""


def apart(task: Task) -> Told:
    """Have a process of its own do it, without the environment: proxies and secrets in it are ours."""
    environment = {"PYTHONPATH": str(ROOT), "PATH": os.defpath, "LANG": "C.UTF-8"}
    if "SSL_CERT_FILE" in os.environ:
        environment["SSL_CERT_FILE"] = os.environ["SSL_CERT_FILE"]
    command = [sys.executable, "-m", "autodialer.webhooks.stranger"]
    limit_s = SEND_S if task.body else CHECK_S
    try:
        done = subprocess.run(
            command,
            input=json.dumps(vars(task)).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            timeout=limit_s,
            check=False,
        )
        said = json.loads(done.stdout.splitlines()[-1])
        return Told(shown=said["shown"], error=said["error"])
    except subprocess.TimeoutExpired:
        return Told(shown=None, error=f"the service did not answer within {limit_s:.0f} s")
    except (IndexError, ValueError, KeyError):
        return Told(shown=None, error="the message could not be sent; the address may be wrong")


# -- in the process


class _Guard:
    """The hook, and what it has refused."""

    def __init__(self, networks: Sequence[Any]) -> None:
        self._networks = networks
        self.refused: str | None = None
        self._readable = tuple(
            os.path.realpath(path) for path in {sys.prefix, sys.base_prefix, str(ROOT / "autodialer"), "/etc/ssl"}
        )

    def install(self) -> None:
        """From now on; there is no way back."""
        sys.addaudithook(self._judge)

    def _judge(self, event: str, args: tuple[Any, ...]) -> None:
        if event in _ADDRESSES:
            self._judge_address(args[1])
        elif event in _NEVER or event in _CHANGES:
            self._refuse(f"it would use this machine ({event})")
        elif event == "open" and not isinstance(args[0], int):
            path = os.path.realpath(os.fsdecode(args[0]))
            known = path in ("/dev/null", "/etc/mime.types", "/etc/localtime", "/etc/resolv.conf", "/etc/hosts")
            if not known and not any(path.startswith(root + os.sep) for root in self._readable):
                self._refuse("it names a file, and files of this machine are not taken")

    def _judge_address(self, address: Any) -> None:
        from autodialer.errors import AddressRefused
        from autodialer.webhooks.addresses import check_address

        if address is None:
            return
        try:
            host = ipaddress.ip_address(address[0]) if isinstance(address, tuple) else None
        except ValueError:
            host = None
        if host is None:
            # A name here would be looked up a second time, and the answer judged by nobody.
            self._refuse("it would use this machine (a socket)")
            return
        try:
            check_address(host, self._networks, str(host))
        except AddressRefused as exc:
            self._refuse(str(exc))

    def _refuse(self, why: str) -> None:
        self.refused = self.refused or why
        raise PermissionError(why)


def _hosts_of(service: Any) -> list[str]:
    """What of it names a host that the user gave."""
    names = [getattr(service, "smtp_host", None)]
    if any("{host}" in template for template in service.templates or ()):
        names.insert(0, getattr(service, "host", None))
    return [name for name in names if isinstance(name, str) and name]


def run(task: Task) -> Told:
    """Send it, or look at it."""
    import apprise  # type: ignore[import-untyped,unused-ignore]

    from autodialer.errors import AddressRefused, HostUnresolved
    from autodialer.webhooks.addresses import resolve

    networks = [ipaddress.ip_network(network) for network in task.networks]
    scheme = task.url.partition("://")[0].lower()
    asset = apprise.AppriseAsset(app_id="dialer", app_desc="dialer", app_url="", async_mode=False)
    service = None if scheme in NOT_OURS else apprise.Apprise.instantiate(task.url, asset=asset)
    if service is None:
        return Told(shown=None, error="there is no such service, or the address lacks a part of it")
    hosts = _hosts_of(service)
    shown = " ".join([str(service.service_name), *hosts[-1:]])
    for host in hosts:
        try:
            resolve(host, networks, timeout_s=5.0)
        except AddressRefused as exc:
            return Told(shown=shown, error=str(exc))
        except HostUnresolved:
            pass  # of an e-mail address the domain need not be a host
    if not task.body:
        return Told(shown=shown, error=None)
    guard = _Guard(networks)
    guard.install()
    sender = apprise.Apprise(asset=asset)
    sender.add(service)
    is_sent = sender.notify(title=task.title, body=task.body, body_format=apprise.NotifyFormat.TEXT)
    if is_sent:
        return Told(shown=shown, error=None)
    return Told(shown=shown, error=guard.refused or f"{shown} did not take the message; check the address and login")


def main() -> int:
    """One task from standard input; what came of it goes to standard output."""
    asked = json.loads(sys.stdin.read())
    asked["networks"] = tuple(asked["networks"])
    sys.stdout.write("\n" + json.dumps(vars(run(Task(**asked)))) + "\n")
    sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())

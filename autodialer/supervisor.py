"""Keeps the service's processes alive: starts them, restarts what dies, passes a drain on, leaves no orphan."""

import gc
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO

from autodialer.clock import Clock
from autodialer.errors import AlreadyRunning, SettingsError
from autodialer.logs import start_logging

logger = logging.getLogger("autodialer.supervisor")

EXIT_CONFIG = 2
"""A child's exit status at its first start that another would not mend: wrong settings, a second dialer.

Once it has run, the settings are known to be right: then it is started again, and the other children live on.
"""
HANDOVER_S = 5.0
"""How long lock and port of a service that is just dying are waited for: its children end by themselves within 2 s."""
SUPERVISED = "DIALER_SUPERVISED"
"""Set for children: their standard input is the parent's pipe."""
FIRST_BACKOFF_S = 0.5
LONGEST_BACKOFF_S = 30.0
HEALTHY_S = 60.0
"""A child that lived so long starts again without back-off."""
RESTORING = "restoring"
"""A file in the data folder while a backup is put in place: the database that is there may be half of two."""
POLL_S = 0.1
GRACE_S = 5.0
"""Beyond the drain, before what still lives is killed."""
RARELY = 50
"""Every so many collections of middle-aged objects the garbage collector looks at old ones too; Python's own is 10."""


@dataclass(kw_only=True)
class Child:
    """One process of the service. Its standard input is a pipe of ours: when we die, it sees the end of it."""

    name: str
    argv: Sequence[str]
    process: subprocess.Popen[bytes] | None = None
    starts: int = 0
    started_at: float = 0.0
    backoff_s: float = 0.0
    restart_at: float = field(default=0.0)

    def start(self, now: float) -> None:
        """Run it, in a session of its own so that a terminal's Ctrl-C reaches the supervisor only."""
        environment = {**os.environ, SUPERVISED: "1"}
        self.process = subprocess.Popen(self.argv, stdin=subprocess.PIPE, env=environment, start_new_session=True)
        self.started_at = now
        self.starts += 1
        logger.info("%s started, pid %s", self.name, self.process.pid)

    def plan_restart(self, now: float) -> None:
        """After a death: when to start again."""
        healthy = now - self.started_at >= HEALTHY_S
        self.backoff_s = (
            FIRST_BACKOFF_S if healthy or not self.backoff_s else min(2 * self.backoff_s, LONGEST_BACKOFF_S)
        )
        self.restart_at = now + self.backoff_s

    def exit_status(self) -> int | None:
        """None while it runs."""
        return self.process.poll() if self.process else None

    def is_running(self) -> bool:
        """Whether it was started and has not ended."""
        return self.process is not None and self.process.poll() is None

    def stop(self, drain: signal.Signals = signal.SIGTERM) -> None:
        """Ask it to end."""
        if self.process and self.is_running():
            self.process.send_signal(drain)

    def close(self) -> None:
        """Make it end if it still runs."""
        if not self.process:
            return
        if self.process.poll() is None:
            logger.warning("%s did not end in time and is killed", self.name)
            self.process.kill()
        self.process.wait()
        if self.process.stdin:
            self.process.stdin.close()


class Supervisor:
    """Runs the children until a signal asks for the end; they end in order: the dialer first, then the API."""

    def __init__(self, children: Sequence[Child], *, drain_s: float, clock: Clock | None = None) -> None:
        self._children = list(children)
        self._drain_s = drain_s
        self._clock = clock or Clock()
        # Plain numbers, which the loops below look at: an event has a lock that is not re-entrant, and a handler that
        # interrupts the thread which holds it would wait for ever.
        self._signals = 0
        self._signals_obeyed = 0

    def run(self) -> int:
        """Block until the service has ended; its exit status."""
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, self._on_signal)
        for child in self._children:
            child.start(self._clock.monotonic())
        status = 0
        while not self._signals and not status:
            time.sleep(POLL_S)
            status = self._look_after()
        self._shut_down()
        return status

    def _look_after(self) -> int:
        now = self._clock.monotonic()
        for child in self._children:
            if child.process is None:
                if now >= child.restart_at:
                    child.start(now)
                continue
            status = child.exit_status()
            if status is None:
                continue
            if status == EXIT_CONFIG and child.starts == 1:
                return status
            child.plan_restart(now)
            logger.error("%s ended with status %s, starts again in %.1f s", child.name, status, child.backoff_s)
            child.close()
            child.process = None
        return 0

    def _on_signal(self, _signum: int, _frame: FrameType | None) -> None:
        self._signals += 1

    def _shut_down(self) -> None:
        self._signals_obeyed = 1
        for child in self._children:
            child.stop()
            deadline = self._clock.monotonic() + self._drain_s + GRACE_S
            while child.is_running() and self._clock.monotonic() < deadline:
                self._pass_on_signals()
                time.sleep(POLL_S)
            child.close()

    def _pass_on_signals(self) -> None:
        """Each further signal tells all children: to them a second one means to hang up at once."""
        while self._signals_obeyed < self._signals:
            self._signals_obeyed += 1
            for child in self._children:
                child.stop()


def python(*arguments: str) -> list[str]:
    """The command line of a child that runs this Python."""
    return [sys.executable, *arguments]


def run_service(root: Path, *, drain_s: float, log_level: str, log_format: str) -> int:
    """Become the supervisor of the programs in `root`; the exit status.

    Where the system can, a small process replaces this one: the process that prepared the start has loaded the whole
    service (100 MB) and would keep it for nothing.
    """
    arguments = [str(root), str(drain_s), log_level, log_format]
    if os.name == "posix":
        path = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
        os.execve(sys.executable, python("-m", "autodialer.supervisor", *arguments), {**os.environ, "PYTHONPATH": path})
    return main(arguments)


def main(arguments: Sequence[str]) -> int:
    """Supervise: the folder of the programs, the drain time in seconds, the log's level and format."""
    root, drain_s, log_level, log_format = arguments
    start_logging(log_level, "main", log_format)
    children = [
        Child(name="dialer", argv=python(os.path.join(root, "dialer.py"))),
        Child(name="api", argv=python(os.path.join(root, "main.py"), "serve")),
        Child(name="webhooks", argv=python("-m", "autodialer.commands.deliveries")),
    ]
    return Supervisor(children, drain_s=float(drain_s)).run()


def pause_rarely_for_garbage() -> None:
    """A look at all objects stops every thread for over 100 ms once thousands of calls are remembered.

    So the modules, which are there to stay, are no longer looked at, and what calls left behind is looked at seldom.
    """
    gc.collect()
    gc.freeze()
    young, middle_aged, _ = gc.get_threshold()
    gc.set_threshold(young, middle_aged, RARELY)


def watch_parent(on_gone: Callable[[], None]) -> None:
    """Call `on_gone` from a thread when the parent's pipe closes. Does nothing in a process that has no supervisor."""
    if os.environ.get(SUPERVISED) != "1":
        return

    def read_to_end() -> None:
        while os.read(0, 4096):
            pass
        on_gone()

    threading.Thread(target=read_to_end, name="parent watch", daemon=True).start()


class DataFolderLock:
    """One program of a kind a data folder: an exclusive lock on a file, given up by the system when the process ends.

    `program` is `dialer` or `API`.
    """

    def __init__(self, folder: Path, program: str = "dialer", *, for_restore: bool = False) -> None:
        """`for_restore` takes the lock of a folder whose restore was cut short, which is refused to a service."""
        self._program = program
        self._marker = None if for_restore else folder / RESTORING
        self._path = folder / f"{program.lower()}.lock"
        self._file: IO[bytes] | None = None

    def acquire(self, patience_s: float = 0.0) -> None:
        """Take it. Raises AlreadyRunning when another process still holds it after so long or a restore was cut short.

        Raises SettingsError for a folder that cannot be written.
        """
        deadline = time.monotonic() + patience_s
        try:
            self._file = self._path.open("ab")
        except OSError as exc:
            folder = self._path.parent.resolve()
            raise SettingsError(why_unwritable(folder) or f"{self._path} cannot be written: {exc.strerror}.") from exc
        while True:
            try:
                _lock(self._file)
                break
            except OSError as exc:
                if time.monotonic() >= deadline:
                    self._file.close()
                    message = f"Another {self._program} already works on {self._path.parent}; stop it first."
                    raise AlreadyRunning(message) from exc
            time.sleep(POLL_S)
        if self._marker is not None and self._marker.exists():
            self.release()
            raise AlreadyRunning(
                f"A restore of {self._path.parent} was cut short: run `python main.py restore FILE --force` again."
            )

    @contextmanager
    def held(self, patience_s: float = 0.0) -> Iterator[None]:
        """The lock, for as long as the block runs. Raises AlreadyRunning as `acquire`."""
        self.acquire(patience_s)
        try:
            yield
        finally:
            self.release()

    def release(self) -> None:
        """Give the lock up."""
        if self._file:
            self._file.close()
            self._file = None


def why_unwritable(folder: Path) -> str | None:
    """Why nothing can be kept in the data folder, or in the database in it, with the way out; None: it can."""
    database = folder / "db.sqlite3"
    for path in (folder, *([database] if database.exists() else [])):
        if not os.access(path, os.W_OK):
            return f"{path} {_remedy(path)}"
    return None


def _remedy(path: Path) -> str:
    # Root may write everywhere, but not on a medium that is mounted to be read only.
    if hasattr(os, "statvfs") and os.statvfs(path).f_flag & os.ST_RDONLY:
        return (
            "is on a file system that is mounted read-only, so that nothing can be kept: mount it for writing (the log "
            "of the kernel says whether a fault of the disk made it so), or set DIALER_DATA to another folder."
        )
    owner, mode = path.stat().st_uid, path.stat().st_mode & 0o777
    who = (
        f"it belongs to user {owner} with mode {mode:04o}, and this is user {os.getuid()}" if os.name == "posix" else ""
    )
    return f"cannot be written ({who}): run this as the user of the service, give it to this user, or set DIALER_DATA."


def _lock(file: IO[bytes]) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""A foreign program run by a test: bounded in time, its output in a file, ended by its id with its children gone."""

import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

from tests.peers.ports import wait_until
from tests.peers.requirements import explain_missing, find_program
from tests.timing import at_most


class PeerFailed(RuntimeError):
    """A foreign program did not start, or ended when it should run; the message carries its output."""


class Process:
    """One program in a process group of its own, under `timeout` so that it cannot long outlive a killed test run.

    `namespace` names the network namespace it runs in (tests.peers.namespaces); None is the test's own.
    """

    def __init__(
        self,
        program: str,
        arguments: Sequence[str],
        *,
        output: Path,
        limit_s: float,
        cwd: Path,
        namespace: str | None = None,
    ) -> None:
        path = find_program(program)
        if path is None:
            raise PeerFailed(explain_missing([program]))
        self.program = program
        self.output_file = output
        where = [find_program("ip") or "ip", "netns", "exec", namespace] if namespace else []
        command = [
            find_program("timeout") or "timeout",
            "--kill-after=2",
            f"{at_most(limit_s):g}",
            *where,
            path,
            *arguments,
        ]
        with output.open("wb") as stream:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env=_environment({"HOME": str(cwd)}),
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The id of the process group."""
        return self._process.pid

    @property
    def exit_status(self) -> int | None:
        """The exit status, or None while it runs."""
        return self._process.poll()

    @property
    def output(self) -> str:
        """What the program has written to standard output and error so far."""
        return self.output_file.read_text(errors="replace")

    def wait_ready(self, condition: Callable[[], bool], *, what: str, timeout_s: float = 10.0) -> None:
        """Wait for a condition that says the program is ready; PeerFailed if it ends or stays silent instead."""

        def ready_or_dead() -> bool:
            return condition() or self.exit_status is not None

        try:
            wait_until(ready_or_dead, what=f"{self.program}: {what}", timeout_s=timeout_s)
        except TimeoutError as exc:
            self.stop()
            raise PeerFailed(f"{exc}\n{self.output[-4000:]}") from exc
        if not condition():
            raise PeerFailed(f"{self.program} ended with status {self.exit_status}:\n{self.output[-4000:]}")

    def wait(self, timeout_s: float) -> int:
        """The exit status once the program has ended by itself; TimeoutError after `timeout_s`."""
        try:
            return self._process.wait(at_most(timeout_s))
        except subprocess.TimeoutExpired as exc:
            raise TimeoutError(f"{self.program} still runs after {timeout_s} s:\n{self.output[-4000:]}") from exc

    def stop(self, *, first: signal.Signals = signal.SIGTERM, patience_s: float = 3.0) -> int:
        """End the program and all of its children; the exit status. Does nothing to a program that has ended."""
        for number in (first, signal.SIGKILL):
            if self._group_is_gone():
                break
            self._signal_group(number)
            try:
                wait_until(self._group_is_gone, what="the end", timeout_s=patience_s)
            except TimeoutError:
                continue
        return self._process.wait(patience_s)

    def _group_is_gone(self) -> bool:
        self._process.poll()
        try:
            os.killpg(self._process.pid, 0)
        except ProcessLookupError:
            return True
        return False

    def _signal_group(self, number: signal.Signals) -> None:
        try:
            os.killpg(self._process.pid, number)
        except ProcessLookupError:
            return

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _environment(extra: Mapping[str, str]) -> dict[str, str]:
    """A plain environment: the peers' logs are read by machines, so no colours and no translations."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "TERM": "dumb", **extra}

"""A small disk of a test's own, in a mount namespace that nobody else sees and that goes with the test (root)."""

import ctypes
import os
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.peers.requirements import find_program
from tests.timing import at_most

_CLONE_NEWNS = 0x00020000


def on_small_disk(folder: Path, megabytes: int, body: Callable[[], None]) -> None:
    """Run `body` with a file system of that size at `folder`, which only it and the processes it starts see."""

    def run() -> None:
        # Of this thread alone: the namespace ends with it and with what it started.
        if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNS) != 0:
            raise OSError(ctypes.get_errno(), "unshare: this test makes a mount namespace, which needs root")
        folder.mkdir(parents=True, exist_ok=True)
        _mount("--make-rprivate", "/")
        _mount("-t", "tmpfs", "-o", f"size={megabytes}m", "none", str(folder))
        body()

    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="small disk") as threads:
        threads.submit(run).result()


def fill(file: Path) -> None:
    """Write until the disk is full, to the last octet."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT)
    try:
        size = 65536
        while size:
            try:
                os.write(descriptor, bytes(size))
            except OSError:
                size //= 2
    finally:
        os.close(descriptor)


def _mount(*arguments: str) -> None:
    subprocess.run([find_program("mount") or "mount", *arguments], check=True, capture_output=True, timeout=at_most(10))

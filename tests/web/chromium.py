"""Headless Chromium, driven over its debugging pipe: a page, scripts in it, typed text, a screenshot."""

import base64
import fcntl
import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.timing import at_most

WAIT_S = 30.0
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


class Page:
    """One tab. Speaks the Chrome DevTools Protocol: JSON objects that end with a zero byte."""

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self._to, self._from = to_browser, from_browser
        self._buffer = b""
        self._number = 0
        self._session: str | None = None
        target = self._command("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._command("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def open(self, url: str) -> None:
        """Go there."""
        self._command("Page.navigate", url=url)

    def before_each_page(self, script: str) -> None:
        """Run a script in every page from now on, before the page's own."""
        self._command("Page.enable")
        self._command("Page.addScriptToEvaluateOnNewDocument", source=script)

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression."""
        answer = self._command("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait_for(self, script: str) -> Any:
        """The value of an expression once it is true."""
        deadline = time.monotonic() + at_most(WAIT_S)
        while not (value := self.run(script)):
            assert time.monotonic() < deadline, f"still not: {script}"
            time.sleep(0.05)
        return value

    def click(self, selector: str) -> None:
        """Click the first element of a CSS selector, once it is there."""
        found = f"document.querySelector({json.dumps(selector)})"
        self.wait_for(f"!!{found}")
        self.run(f"{found}.click()")

    def type(self, selector: str, text: str) -> None:
        """Type into a field, as a keyboard would."""
        found = f"document.querySelector({json.dumps(selector)})"
        self.wait_for(f"!!{found}")
        self.run(f"{found}.focus()")
        self._command("Input.insertText", text=text)
        self.wait_for(f"{found}.value === {json.dumps(text)}")

    def keys(self, text: str) -> None:
        """Type into what has the focus."""
        self._command("Input.insertText", text=text)

    def press(self, key: str) -> None:
        """Press Enter or Tab where the focus is."""
        code, typed = {"Enter": (13, "\r"), "Tab": (9, "")}[key]
        about: dict[str, Any] = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        self._command("Input.dispatchKeyEvent", type="keyDown", **about, **({"text": typed} if typed else {}))
        self._command("Input.dispatchKeyEvent", type="keyUp", **about)

    def screenshot(self, path: Path) -> None:
        """PNG of what is seen."""
        path.write_bytes(base64.b64decode(self._command("Page.captureScreenshot")["data"]))

    def _command(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            part = os.read(self._from, 1 << 16)
            assert part, "Chromium ended"
            self._buffer += part
        text, _, self._buffer = self._buffer.partition(b"\0")
        value: dict[str, Any] = json.loads(text)
        return value


@contextmanager
def chromium(profile: Path) -> Iterator[Page]:
    """A browser with a profile of its own; it ends with all it started."""
    program = next((found for name in PROGRAMS if (found := shutil.which(name))), None)
    assert program, "Chromium is missing; run make setup-dev"
    arguments = [
        program,
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--window-size=1300,1400",
        f"--user-data-dir={profile}",
        "--remote-debugging-pipe",
    ]
    in_read, in_write = os.pipe()
    out_read, out_write = os.pipe()
    # Chromium reads 3 and writes 4; high numbers first, so that neither is overwritten on the way.
    child_read, child_write = (fcntl.fcntl(number, fcntl.F_DUPFD, 100) for number in (in_read, out_write))
    null = os.open(os.devnull, os.O_RDWR)
    actions = [
        (os.POSIX_SPAWN_DUP2, null, 0),
        (os.POSIX_SPAWN_DUP2, null, 1),
        (os.POSIX_SPAWN_DUP2, null, 2),
        (os.POSIX_SPAWN_DUP2, child_read, 3),
        (os.POSIX_SPAWN_DUP2, child_write, 4),
    ]
    pid = os.posix_spawn(program, arguments, os.environ, file_actions=actions, setpgroup=0)
    for number in (in_read, out_write, child_read, child_write, null):
        os.close(number)
    try:
        yield Page(in_write, out_read)
    finally:
        os.killpg(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(in_write)
        os.close(out_read)

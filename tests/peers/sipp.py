"""SIPp as the provider's gateway: started on a port of its own, its logs read back as values, ended by its own id."""

import contextlib
import csv
import re
import signal
import socket
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Self

from tests.peers.namespaces import within
from tests.peers.ports import LOCALHOST, free_port, free_ports, is_bound, wait_until
from tests.peers.process import Process
from tests.peers.scenario import Scenario
from tests.timing import at_most

SUCCESS = 0
"""SIPp's exit status when every call went as the scenario says."""


@dataclass(frozen=True, kw_only=True)
class LoggedRequest:
    """A request of a scenario's <log> action."""

    method: str
    call_id: str
    number: str
    """The user part of the Request-URI, as it stood on the wire."""
    uri: str


@dataclass(frozen=True, kw_only=True)
class TracedMessage:
    """A message of SIPp's -trace_msg."""

    sent: bool
    """True: SIPp sent it; False: SIPp received it."""
    text: str

    @property
    def start_line(self) -> str:
        """The request or status line."""
        return self.text.splitlines()[0] if self.text else ""

    def header(self, name: str) -> str | None:
        """The first header of this name."""
        found = re.search(rf"^{re.escape(name)}\s*:[ \t]*(.*)$", self.text, re.IGNORECASE | re.MULTILINE)
        return found.group(1).strip() if found else None


class _Sipp:
    """What a gateway and a caller have in common: one SIPp process with its files in a folder."""

    def __init__(
        self, scenario: Scenario, *, folder: Path | None, host: str, timeout_s: int, namespace: str | None = None
    ) -> None:
        self.scenario = scenario
        self.namespace = namespace
        self.timeout_s = timeout_s
        self._made = None if folder else tempfile.TemporaryDirectory(prefix="sipp-")
        base = folder or Path(self._made.name if self._made else ".")
        self.address = (host, free_port(host, namespace=namespace))
        self.folder = base / f"sipp-{scenario.name}-{self.address[1]}"
        self.process: Process | None = None

    def _file(self, name: str) -> Path:
        return self.folder / name

    def _launch(self, arguments: Sequence[str], *, keys: Mapping[str, str]) -> None:
        self.folder.mkdir(parents=True)
        self._file("scenario.xml").write_text(self.scenario.xml, encoding="latin-1")
        host, port = self.address
        common = [
            *(
                "-sf",
                "scenario.xml",
                "-i",
                host,
                "-p",
                str(port),
                "-bind_local",
                "-mi",
                host,
                "-nostdin",
                "-skip_rlimit",
            ),
            *("-timeout", f"{round(at_most(self.timeout_s))}s", "-timeout_error", "-fd", "1", "-buff_size", "1048576"),
            *("-trace_msg", "-message_file", "messages.log", "-trace_err", "-error_file", "errors.log"),
            *("-trace_stat", "-stf", "stat.csv", "-trace_logs", "-log_file", "requests.log"),
        ]
        common += [] if self.scenario.retransmits else ["-nr"]
        for name, value in keys.items():
            common += ["-key", name, value]
        output = self._file("output.log")
        self.process = Process(
            "sipp",
            [*common, *arguments],
            output=output,
            limit_s=self.timeout_s + 10,
            cwd=self.folder,
            namespace=self.namespace,
        )

    @property
    def _running(self) -> Process:
        if self.process is None:
            raise RuntimeError("enter the context first")
        return self.process

    @property
    def exit_status(self) -> int | None:
        """None while SIPp runs; 0 where every call went as the scenario says; anything else is a failure."""
        return self._running.exit_status

    def wait(self, timeout_s: float | None = None) -> int:
        """The exit status once all calls are done; TimeoutError if that takes longer than `timeout_s`."""
        return self._running.wait(timeout_s=self.timeout_s + 5 if timeout_s is None else timeout_s)

    def expect_success(self, timeout_s: float | None = None) -> None:
        """Wait for the end; AssertionError with SIPp's own complaint unless every call went as the scenario says."""
        status = self.wait(timeout_s=timeout_s)
        assert status == SUCCESS, f"SIPp ended with status {status}:\n{self.complaint}"

    @property
    def complaint(self) -> str:
        """What SIPp says went wrong, for people."""
        return f"{self.errors[-4000:]}\n{self._read('output.log')[-2000:]}"

    @property
    def errors(self) -> str:
        """The text of -trace_err, less the timeouts that a scenario means: empty where nothing unexpected came."""
        stamp = r"\d{4}-\d\d-\d\d\t[\d:.]+\t[\d.]+: "
        meant = rf"{stamp}Call-Id: \S+, receive timeout on message \S+, jumping to label \d+?(?=\d{{4}}-|\s|$)\s*"
        text = re.sub(meant, "", self._read("errors.log"))
        return text.removeprefix("The following events occurred:").strip()

    @property
    def requests(self) -> list[LoggedRequest]:
        """Every request the scenario logged, in order; a re-sent one that SIPp recognised stands here once."""
        pattern = re.compile(r"request=(\S+) call-id=(\S+) number=(\S*) uri=(\S*)")
        found = (pattern.search(line) for line in self._read("requests.log").splitlines())
        return [
            LoggedRequest(method=hit[1], call_id=hit[2], number=hit[3], uri=hit[4]) for hit in found if hit is not None
        ]

    @property
    def digests_verified(self) -> int:
        """How many digest responses SIPp found right (`asks_password`)."""
        return self._read("requests.log").count("digest=verified")

    def count(self, method: str) -> int:
        """How many requests of this method the scenario has logged so far."""
        return sum(request.method == method for request in self.requests)

    @property
    def invites_by_number(self) -> Counter[str]:
        """How often each number was dialled: logged INVITEs, each Call-ID once a number."""
        return Counter(number for number, _ in {(r.number, r.call_id) for r in self.requests if r.method == "INVITE"})

    @property
    def invited_at(self) -> dict[str, float]:
        """Number -> the UNIX time at which SIPp took its first INVITE."""
        log = self._read("messages.log").replace("\r\n", "\n")
        found: dict[str, float] = {}
        for hit in re.finditer(
            r"^-{20,} ([\d: .\-]+)\n.* message received .*:\n\nINVITE sips?:([^@;]+)@", log, re.MULTILINE
        ):
            found.setdefault(hit[2], datetime.fromisoformat(hit[1]).timestamp())
        return found

    def came_at(self, method: str) -> dict[str, float]:
        """Call-ID -> the UNIX time at which SIPp took the first request of this method, by its trace of messages."""
        log = self._read("messages.log").replace("\r\n", "\n")
        found: dict[str, float] = {}
        stamp, first = r"^-{20,} ([\d: .\-]+)\n.* message received .*:\n\n", rf"{method} .*\n"
        for hit in re.finditer(stamp + first + r"(?:.+\n)*?Call-ID: (.+)\n", log, re.MULTILINE):
            found.setdefault(hit[2], datetime.fromisoformat(hit[1]).timestamp())
        return found

    def wait_for(self, method: str, *, count: int = 1, timeout_s: float = 10.0) -> None:
        """Return once the scenario has logged so many requests of this method."""
        wait_until(
            lambda: self.count(method) >= count, what=f"{count} {method} at SIPp", timeout_s=timeout_s, poll_s=0.02
        )

    @property
    def messages(self) -> list[TracedMessage]:
        """Every message of -trace_msg, re-sent ones included."""
        pattern = re.compile(
            r"^(?:UDP|TCP|TLS) message (sent|received) (?:\(\d+ bytes\)|\[\d+\] bytes ?):\n\n", re.MULTILINE
        )
        text = self._read("messages.log").replace("\r\n", "\n")
        parts = pattern.split(re.sub(r"^-{20,} [\d: .\-]+$", "", text, flags=re.MULTILINE))
        return [
            TracedMessage(sent=way == "sent", text=body.strip("\n"))
            for way, body in zip(parts[1::2], parts[2::2], strict=True)
        ]

    @property
    def statistics(self) -> dict[str, str]:
        """The last line of -trace_stat, by SIPp's own column names such as `SuccessfulCall(C)`."""
        rows = list(csv.DictReader(self._read("stat.csv").splitlines(), delimiter=";"))
        return {name: value for name, value in rows[-1].items() if name and value is not None} if rows else {}

    @property
    def calls(self) -> tuple[int, int]:
        """Successful and failed calls."""
        figures = self.statistics
        return int(figures.get("SuccessfulCall(C)", 0)), int(figures.get("FailedCall(C)", 0))

    def _read(self, name: str) -> str:
        path = self._file(name)
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def stop(self) -> None:
        """End SIPp at once if it still runs."""
        if self.process is not None:
            self.process.stop(first=signal.SIGTERM)

    def __exit__(self, *_: object) -> None:
        self.stop()
        if self._made is not None:
            self._made.cleanup()


class SippGateway(_Sipp):
    """SIPp as a gateway at `address`; a context manager. It ends by itself after `calls` calls, or with failure after
    `timeout_s`.

    Its answers offer media at `media`: by default a bound port that takes everything in and sends nothing, with
    `rtp_echo` SIPp itself, which sends every packet back.
    """

    def __init__(
        self,
        scenario: Scenario,
        *,
        calls: int = 1,
        folder: Path | None = None,
        host: str = LOCALHOST,
        media: tuple[str, int] | None = None,
        rtp_echo: bool = False,
        timeout_s: int = 60,
        service: str = "gateway",
        extra: Sequence[str] = (),
        namespace: str | None = None,
    ) -> None:
        super().__init__(scenario, folder=folder, host=host, timeout_s=timeout_s, namespace=namespace)
        self.max_calls = calls
        self.rtp_echo = rtp_echo
        self.media = media or (host, free_ports(4, host=host, even=True, namespace=namespace)[0])
        self._own_sink = media is None and not rtp_echo
        self._service = service
        self._extra = list(extra)
        self._sink = contextlib.ExitStack()

    def __enter__(self) -> Self:
        if self._own_sink:
            with within(self.namespace):
                family = socket.AF_INET6 if ":" in self.media[0] else socket.AF_INET
                sink = self._sink.enter_context(socket.socket(family, socket.SOCK_DGRAM))
            sink.bind(self.media)
        arguments = ["-m", str(self.max_calls), "-s", self._service, "-deadcall_wait", "5000", *self._extra]
        arguments += ["-rtp_echo", "-mp", str(self.media[1])] if self.rtp_echo else []
        try:
            self._launch(arguments, keys={"sink_host": self.media[0], "sink_port": str(self.media[1])})
            self._running.wait_ready(
                lambda: any(is_bound(*self.address, tcp=tcp, namespace=self.namespace) for tcp in (False, True)),
                what="its port to open",
            )
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        self._sink.close()


class SippCaller(_Sipp):
    """SIPp as a caller, to try gateways and proxies without our own code; a context manager."""

    def __init__(
        self,
        scenario: Scenario,
        target: tuple[str, int],
        *,
        numbers: Sequence[str],
        rate: int = 10,
        username: str = "user",
        password: str = "password",
        folder: Path | None = None,
        host: str = LOCALHOST,
        timeout_s: int = 60,
        extra: Sequence[str] = (),
    ) -> None:
        super().__init__(scenario, folder=folder, host=host, timeout_s=timeout_s)
        self._extra = list(extra)
        self._target = target
        self._numbers = list(numbers)
        self._rate = rate
        self._login = (username, password)
        self.media = (host, free_ports(4, host=host, even=True)[0])

    def __enter__(self) -> Self:
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        numbers = self.folder.parent / f"{self.folder.name}.csv"
        numbers.write_text("SEQUENTIAL\n" + "".join(f"{number};\n" for number in self._numbers))
        username, password = self._login
        arguments = [
            *(f"{self._target[0]}:{self._target[1]}", "-m", str(len(self._numbers)), "-r", str(self._rate)),
            *("-inf", str(numbers.resolve()), "-au", username, "-ap", password, "-mp", str(self.media[1])),
            *self._extra,
        ]
        self._launch(arguments, keys={"sink_host": self.media[0], "sink_port": str(self.media[1])})
        return self

#!/usr/bin/env python3
"""Console client and tester of the API. Without arguments it shows a menu.

    python api_client.py login admin                    asks for the password, keeps the session in a file of mode 0600
    python api_client.py dial hello.wav patients.csv    shows what it took of the table, calls, watches and reports
    python api_client.py campaign start monday --watch  starts a campaign and shows how it goes
    python api_client.py campaign report monday         how it went
    python api_client.py check                          tries every operation that only reads a list
    python api_client.py list-campaigns                 one command for each operation of swagger.yaml, as these two
    python api_client.py create-trunk --name Provider --host sip.provider.example --username 100

Where a command takes an id, it also takes the object's name. The address of the service is --url or DIALER_URL; a
token or an API key in DIALER_TOKEN is used instead of the kept session.
Exit status: 0 done, 1 refused by the service, 2 wrong usage, 3 the service cannot be reached, 4 not logged in,
130 interrupted.
"""

import argparse
import getpass
import json
import os
import re
import shlex
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID

# The file works beside swagger.yaml alone, so that it says by itself how to run it where packages are missing.
try:
    import requests
    import yaml
    from rich.cells import cell_len
    from rich.console import Console, Group
    from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
    from rich.table import Table
except ModuleNotFoundError as exc:
    command = " ".join([".venv/bin/python", *sys.argv])
    sys.exit(
        f"{sys.executable} does not have the package {exc.name}. In the project's folder run it as\n    {command}\n"
        f"Elsewhere: {sys.executable} -m pip install requests PyYAML rich"
    )

try:
    import fcntl
except ModuleNotFoundError:  # Windows: two clients at once may both renew, and one of them has to log in again
    fcntl = None  # type: ignore[assignment]

DEFAULT_URL = "http://127.0.0.1:8080"
CONTRACT_FILE = Path(__file__).resolve().with_name("swagger.yaml")
NAMES = {"issue_token": "login", "revoke_token": "logout", "log_in": "prototype-login"}
"""Commands that are not named after their operation."""
PERSONAL = ("campaign", "dial", "call", "check", "completion", "menu")
"""Commands that are more than one operation."""
TIMEOUT_S = 600
POLL_S = 1.0
QUIET_POLL_S = 10.0
"""Between two lines of progress where the output is no terminal."""
SECRET = ("password", "new_password", "code")
MARK = "value:"
"""Before the names of an operation's parameters among the options, so that a webhook's `url` is not the service's."""


class ClientError(Exception):
    """The service refused. What the user is told before the client ends with `status`."""

    status = 1
    answer: Mapping[str, Any] | None = None
    """What the service said, for programs."""


class Misused(ClientError):
    """The command line, a file or an answer of the user's is at fault."""

    status = 2


class Unreachable(ClientError):
    """No service answers there, or another one."""

    status = 3


class NotLoggedIn(ClientError):
    """There is no session, or it has ended."""

    status = 4


class CodeWanted(ClientError):
    """The password was right, and the code of the second factor is to come."""

    def __init__(self, message: str, mfa_token: str) -> None:
        super().__init__(message)
        self.mfa_token = mfa_token


# -- the contract


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One operation of swagger.yaml."""

    id: str
    method: str
    path: str
    summary: str
    is_open: bool
    """No token is needed."""
    form_type: str | None
    """Content type of its form; None: JSON."""
    parameters: Sequence[dict[str, Any]] = field(repr=False)
    """Path, query, header and form parameters as in the contract; the fields of a JSON body with `in: body`."""

    @property
    def command(self) -> str:
        """Its name on the command line."""
        return NAMES.get(self.id, self.id.replace("_", "-"))

    @property
    def file(self) -> str | None:
        """Name of the file that it answers; None: it answers values."""
        if self.method != "GET":
            return None
        last = self.path.rpartition("/")[2]
        return {"audio": "sound.wav"}.get(last, last if "." in last else None)


def load_operations(contract_file: Path = CONTRACT_FILE) -> list[Operation]:
    """Every operation in the order of the contract. Raises Misused without the file."""
    try:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as quick, where PyYAML was built with it
        contract = yaml.load(contract_file.read_text(encoding="utf-8"), loader)
        paths = contract["paths"].items()
    except (OSError, yaml.YAMLError, TypeError, KeyError) as exc:
        raise Misused(f"{contract_file} cannot be read; put the service's swagger.yaml beside {__file__}.") from exc
    methods = ("get", "post", "put", "delete")
    return [_operation(contract, path, item, method) for path, item in paths for method in methods if method in item]


def _operation(contract: dict[str, Any], path: str, item: dict[str, Any], method: str) -> Operation:
    spec = item[method]
    parameters = [_resolve(contract, one) for one in [*item.get("parameters", []), *spec.get("parameters", [])]]
    flat: list[dict[str, Any]] = []
    for parameter in parameters:
        flat += _body_fields(contract, parameter) if parameter["in"] == "body" else [parameter]
    return Operation(
        id=spec["operationId"],
        method=method.upper(),
        path=contract["basePath"] + path,
        summary=spec["summary"],
        is_open=spec.get("security") == [],
        form_type=spec["consumes"][0] if "consumes" in spec else None,
        parameters=flat,
    )


def _body_fields(contract: dict[str, Any], parameter: dict[str, Any]) -> Iterator[dict[str, Any]]:
    schema = _resolve(contract, parameter["schema"])
    for name, value in schema.get("properties", {}).items():
        value = _resolve(contract, value)
        yield {**value, "name": name, "in": "body", "required": name in schema.get("required", [])}


def _resolve(contract: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in value:
        resolved: Any = contract
        for part in value["$ref"].removeprefix("#/").split("/"):
            resolved = resolved[part]
        value = resolved
    return value


# -- the session


class Session:
    """Address and tokens, kept between runs in a file that only its owner reads."""

    def __init__(self, url: str | None, path: Path) -> None:
        self._path = path
        kept = self._read()
        self.url: str = (url or os.environ.get("DIALER_URL") or kept.get("url") or DEFAULT_URL).rstrip("/")
        self.access_token: str | None = os.environ.get("DIALER_TOKEN")
        self.refresh_token: str | None = None
        self._is_given = self.access_token is not None
        self.load()

    def load(self) -> None:
        """Take what another run of the client has kept meanwhile; a token from the environment stays."""
        kept = self._read()
        if not self._is_given and kept.get("url") == self.url:
            self.access_token, self.refresh_token = kept.get("access_token"), kept.get("refresh_token")

    def keep(self, tokens: dict[str, Any]) -> None:
        """Remember new tokens. The file is replaced whole: a client that is killed here loses no session."""
        self.access_token, self.refresh_token = tokens["access_token"], tokens.get("refresh_token")
        names = ("url", "access_token", "refresh_token")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor, temporary = tempfile.mkstemp(dir=self._path.parent)  # mode 0600
            with os.fdopen(descriptor, "w") as file:
                json.dump({name: getattr(self, name) for name in names}, file)
            Path(temporary).replace(self._path)
        except OSError as exc:
            message = f"The session cannot be kept in {self._path}: {exc.strerror}. DIALER_SESSION names another file."
            raise Misused(message) from exc

    def forget(self) -> None:
        """Remove the file."""
        self._path.unlink(missing_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One client at a time renews: a refresh token that is used twice ends the session (RFC 9700 section 4.14)."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._path.with_suffix(".lock").open("w") as file:
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _read(self) -> dict[str, Any]:
        try:
            kept = json.loads(self._path.read_text())
        except (OSError, ValueError):
            return {}
        return kept if isinstance(kept, dict) else {}


def session_file() -> Path:
    """DIALER_SESSION, or a file in the user's configuration folder."""
    default = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "autodialer" / "session.json"
    return Path(os.environ.get("DIALER_SESSION") or default)


class ApiClient:
    """Calls operations; renews the access token when it has run out."""

    def __init__(self, session: Session, operations: Sequence[Operation]) -> None:
        self.session = session
        self.operations = {operation.id: operation for operation in operations}

    def read(self, operation_id: str, **values: Any) -> dict[str, Any]:
        """The JSON that one operation answers. Raises ClientError."""
        answer = self.call(self.operations[operation_id], values)
        return _json_of(answer) if answer.content else {}

    def items(self, operation_id: str, *, most: int = 1000, **values: Any) -> list[dict[str, Any]]:
        """The items of a list, over its pages. Raises ClientError."""
        found: list[dict[str, Any]] = []
        after: dict[str, Any] = {}
        while len(found) < most:
            page = self.read(operation_id, **values, **after)
            found += page["items"]
            if page["next"] is None:
                break
            after = {"after": page["next"]}
        return found

    def call(self, operation: Operation, values: dict[str, Any], *, accept: str | None = None) -> requests.Response:
        """Call one operation with the values of its parameters. Raises ClientError with what the service says."""
        answer = self._send(operation, values, accept)
        if answer.status_code == 401 and not operation.is_open and self._renew():
            answer = self._send(operation, values, accept)
        if answer.status_code >= 400:
            raise self._error_of(answer, operation)
        return answer

    def _send(self, operation: Operation, values: dict[str, Any], accept: str | None) -> requests.Response:
        path, headers = operation.path, {"Accept": accept or "*/*"}
        content: dict[str, Any] = {"stream": operation.file is not None}
        body: dict[str, Any] = {}
        for parameter in operation.parameters:
            name, value = parameter["name"], values.get(parameter["name"])
            if name not in values:
                continue
            if parameter["in"] == "path":
                path = path.replace(f"{{{name}}}", quote(str(value), safe=""))
            elif parameter["in"] == "query":
                content.setdefault("params", {})[name] = _in_query(value)
            elif parameter["in"] == "header":
                headers[name] = str(value)
            elif parameter.get("type") == "file":
                content["files"] = {name: (Path(str(value)).name, _read(str(value)))}
            else:
                body[name] = value
        if body or (operation.method in ("POST", "PUT") and operation.form_type is None):
            content["data" if operation.form_type else "json"] = body
        if self.session.access_token and not operation.is_open:
            headers["Authorization"] = f"Bearer {self.session.access_token}"
        return self._request(operation.method, path, headers=headers, **content)

    def _request(self, method: str, path: str, **content: Any) -> requests.Response:
        url = self.session.url
        try:
            # No redirect: the service has none, and a token goes to nobody else.
            return requests.request(method, url + path, timeout=TIMEOUT_S, allow_redirects=False, **content)
        except (requests.RequestException, UnicodeError) as exc:
            raise Unreachable(
                f"{url} does not answer: {type(exc).__name__}. Is the service up? Start it there with make run, or"
                " give its address with --url or DIALER_URL."
            ) from exc

    def _renew(self) -> bool:
        if not self.session.refresh_token:
            return False
        refused = self.session.access_token
        with self.session.locked():
            self.session.load()
            if self.session.access_token != refused:
                return True  # another client has renewed it meanwhile
            form = {"grant_type": "refresh_token", "refresh_token": self.session.refresh_token}
            answer = self._request("POST", "/srv1/auth/token", data=form)
            if answer.ok:
                self.session.keep(_json_of(answer))
        return answer.ok

    def _error_of(self, answer: requests.Response, operation: Operation) -> ClientError:
        error: ClientError = Unreachable(
            f"{self.session.url} answers {answer.status_code} {answer.reason}, but not as the dialer's API does; check"
            " the address (--url or DIALER_URL)."
        )
        with suppress(ValueError, KeyError, TypeError, AttributeError):
            value = answer.json()
            # RFC 6749 section 5.2 has other names for the same.
            message = value.get("message") or value.get("error_description") or value["error"]
            more = [each["message"] for each in value.get("details", []) if each.get("message")][1:]
            text = "\n  ".join([f"{answer.status_code} {value['error']}: {message}", *more])
            if answer.status_code == 401 and not operation.is_open:
                given = "DIALER_TOKEN is not taken" if "DIALER_TOKEN" in os.environ else "Not logged in"
                error = NotLoggedIn(f"{text}\n{given} at {self.session.url}. Log in with: {_own('login LOGIN')}")
            elif "mfa_token" in value:
                error = CodeWanted(text, value["mfa_token"])
            else:
                error = ClientError(text)
            error.answer = value
        return error


def _in_query(value: Any) -> Any:
    if isinstance(value, list):
        return ",".join(value)
    return str(value).lower() if isinstance(value, bool) else value


def _json_of(answer: requests.Response) -> dict[str, Any]:
    try:
        value = answer.json()
    except ValueError as exc:
        raise Unreachable(f"{answer.url} does not answer as the dialer's API does; check the address.") from exc
    if not isinstance(value, dict):
        raise Unreachable(f"{answer.url} does not answer as the dialer's API does; check the address.")
    return value


def _read(name: str) -> bytes:
    try:
        return Path(name).read_bytes()
    except OSError as exc:
        raise Misused(f"{name} cannot be read: {exc.strerror}") from exc


def _own(arguments: str) -> str:
    return f"python {Path(sys.argv[0]).name or 'api_client.py'} {arguments}"


# -- objects by their names


def lists_of_names(operations: Sequence[Operation]) -> dict[str, str]:
    """Parameter of a path, such as trunk_id -> the operation that lists the objects it may mean."""
    lists = {
        each.path: each
        for each in operations
        if each.method == "GET" and not any(parameter.get("required") for parameter in each.parameters)
    }
    found = {}
    for operation in operations:
        collection, _, last = operation.path.rpartition("/")
        if last.startswith("{") and last.endswith("_id}") and collection in lists:
            found[last.strip("{}")] = lists[collection].id
    return found


class ObjectNames:
    """Finds the id of an object that the user has named."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client
        self._lists = lists_of_names(list(client.operations.values()))

    def replace(self, values: dict[str, Any]) -> dict[str, Any]:
        """The same values with ids for names. Raises Misused for a name that nothing has, or more than one object."""
        for name, value in values.items():
            of = next((each for each in self._lists if name in (each, f"{each}s") or name.endswith(f"_{each}")), None)
            if of is None or value is None:
                continue
            values[name] = [self.find(of, each) for each in value] if isinstance(value, list) else self.find(of, value)
        return values

    def find(self, parameter: str, text: str) -> str:
        """The id itself, or that of the one object with this name."""
        if _is_id(text):
            return text
        kind = parameter.removesuffix("_id")
        same = self._with_name(parameter, text)
        if len(same) == 1:
            return str(same[0]["id"])
        if same:
            lines = [f"  {each['id']}  {_what(each)}" for each in same]
            raise Misused("\n".join([f"More than one {kind} is called {text!r}. Give the id instead:", *lines]))
        there = [_name(each) for each in self._client.items(self._lists[parameter], most=100) if _name(each)]
        known = (
            f"There are: {', '.join(there[:20])}{', ...' if len(there) > 20 else ''}."
            if there
            else "There is no such object yet."
        )
        raise Misused(f"No {kind} is called {text!r}. {known}")

    def _with_name(self, parameter: str, text: str) -> list[dict[str, Any]]:
        operation = self._client.operations[self._lists[parameter]]
        takes = {each["name"] for each in operation.parameters}
        narrowed: dict[str, Any] = {"q": text} if "q" in takes else {}
        # What is archived is found as well, but never stands in the way of what is not.
        for more in [{}, {"archived": True}] if "archived" in takes else [{}]:
            found = self._client.items(operation.id, **narrowed, **more)
            same = [each for each in found if _name(each).casefold() == text.casefold()]
            if same:
                exact = [each for each in same if _name(each) == text]
                return exact or same
        return []


def _is_id(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


def _name(item: Mapping[str, Any]) -> str:
    return str(item.get("login") or item.get("name") or "")


def _what(item: Mapping[str, Any]) -> str:
    told = [f"{name} {_text(item[name])}" for name in ("state", "host", "created_at") if item.get(name)]
    return ", ".join(told)


# -- tables that fit the terminal


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of a list."""

    title: str
    text: Callable[[Mapping[str, Any]], str]
    least: int = 0
    """Cells that it may be cut down to; 0: it is never cut."""


def _of(name: str, *, title: str | None = None, least: int = 0) -> Column:
    return Column(title=title or name, text=lambda item: _text(item.get(name)), least=least)


def _counted(item: Mapping[str, Any]) -> str:
    counts = item.get("counts") or {}
    return (
        f"{counts.get('total', 0) - counts.get('pending', 0) - counts.get('in_progress', 0)}/{counts.get('total', 0)}"
    )


_ID = _of("id")
VIEWS: Mapping[str, tuple[Sequence[Column], Sequence[str]]] = {
    # operation: its columns as they stand, and their titles the most important first
    "list_campaigns": (
        [
            _of("name", least=12),
            _of("state"),
            Column(title="done", text=_counted),
            Column(title="reached", text=lambda item: _text((item.get("counts") or {}).get("reached"))),
            _of("active_calls", title="calls now"),
            _of("created_at", title="created"),
            _ID,
        ],
        ("name", "state", "done", "reached", "id", "calls now", "created"),
    ),
    "list_calls": (
        [
            _of("number"),
            _of("name", least=10),
            Column(title="outcome", text=lambda item: _text(item.get("disposition") or item.get("state"))),
            _of("ended_at", title="when"),
            _of("billsec_s", title="talk s"),
            _of("cause"),
            _ID,
        ],
        ("number", "name", "outcome", "when", "id", "talk s", "cause"),
    ),
}
FIRST_COLUMNS = ("name", "login", "number", "state", "host", "imported", "duration_s", "disposition", "events", "id")
"""What people look for in any other list, the most important first."""


def list_table(operation_id: str, page: Mapping[str, Any], width: int) -> Group:
    """The items of a page in as many columns as the terminal has room for, counted in cells."""
    items = page["items"]
    columns, order = VIEWS.get(operation_id) or _any_view(items)
    shown = _fitting([next(each for each in columns if each.title == title) for title in order], items, width)
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    for column in columns:
        if column.title in shown:
            table.add_column(column.title, width=shown[column.title], no_wrap=True, overflow="ellipsis")
    for item in items:
        table.add_row(*(column.text(item) for column in columns if column.title in shown))
    left_out = [column.title for column in columns if column.title not in shown]
    notes = [f"more: --after {page['next']}"] if page.get("next") else []
    notes += [f"no room for: {', '.join(left_out)} (wider terminal, or --json)"] if left_out else []
    notes += [] if items else ["nothing here yet"]
    return Group(table, *notes)


def _any_view(items: Sequence[Mapping[str, Any]]) -> tuple[Sequence[Column], Sequence[str]]:
    names = [name for name, value in (items or [{}])[0].items() if not isinstance(value, dict | list)]
    # What is empty throughout and others' ids say little; an object's own id is there to be copied and stays whole.
    told = [name for name in names if any(item.get(name) is not None for item in items) and not name.endswith("_id")]
    order = list(dict.fromkeys([*(name for name in FIRST_COLUMNS if name in told), *told]))[:9]
    columns = [_of(name, least=0 if name == "id" or name.endswith("_at") else 16) for name in order if name != "id"]
    return [*columns, *([_ID] if "id" in order else [])], order


def _fitting(columns: Sequence[Column], items: Sequence[Mapping[str, Any]], width: int) -> dict[str, int]:
    """Title -> cells of the columns that fit, given in order of importance; what is left over widens the cut ones."""
    gap = 2
    wanted = {
        each.title: max([cell_len(each.title), *(cell_len(each.text(item)) for item in items)]) for each in columns
    }
    taken: dict[str, int] = {}
    for column in columns:
        least = min(column.least or wanted[column.title], wanted[column.title])
        if sum(taken.values()) + gap * len(taken) + least <= width or not taken:
            taken[column.title] = least
    left = width - sum(taken.values()) - gap * (len(taken) - 1)
    for title in taken:
        more = max(0, min(left, wanted[title] - taken[title]))
        taken[title] += more
        left -= more
    return taken


def object_table(value: Mapping[str, Any]) -> Table:
    """The fields of an object, a line each; those within a field stand below it."""
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False, pad_edge=False)
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    for name, item in _flat(value):
        table.add_row(name, item)
    return table


def _flat(value: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    for name, item in value.items():
        if isinstance(item, dict) and item and len(before) < 20:
            yield from _flat(item, f"{before}{name}.")
        else:
            yield before + name, _text(item)


def _text(value: Any) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list) and all(isinstance(each, str | int | float) for each in value):
        return ", ".join(map(str, value)) or "-"
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    if re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", text):
        return f"{datetime.fromisoformat(text).astimezone():%m-%d %H:%M}"
    # What a file or a peer has put into a text must not steer the terminal.
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", " ", text)


OUTCOMES = {
    "answered": "picked up",
    "machine": "an answering machine",
    "busy": "the line was busy",
    "no_answer": "rang and nobody answered",
    "rejected": "the callee declined",
    "invalid_number": "no such number",
    "congestion": "the provider was overloaded",
    "failed": "could not be called; the call says why",
    "cancelled": "we ended it before an answer",
    "interrupted": "cut off with the dialer; the phone may have rung",
}
"""Disposition -> what it means."""


def report_table(report: Mapping[str, Any]) -> Group:
    """How a campaign went."""
    calls = report["calls"] or 1
    table = Table("outcome", "calls", "share", "what it means", box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for name, count in sorted(report["dispositions"].items(), key=lambda each: -each[1]):
        table.add_row(name, str(count), f"{count / calls:.0%}", OUTCOMES.get(name, ""))
    counts = report["counts"]
    return Group(table, f"{report['calls']} calls to {counts['total']} subscribers: {_in_words(counts)}")


def _in_words(counts: Mapping[str, Any]) -> str:
    words = {"reached": "reached", "exhausted": "not reached", "excluded": "not called", "pending": "still to call"}
    return ", ".join(f"{counts[name]} {word}" for name, word in words.items() if counts.get(name))


# -- commands for a person


@dataclass(frozen=True, kw_only=True)
class Terminal:
    """What commands say, and what they ask."""

    console: Console
    """For people: the standard output, or with --json the standard error."""
    is_json: bool
    agreed: bool = False
    """--yes: nothing is asked."""

    def answer(self, value: Any, shown: Any) -> None:
        """What a command is for: JSON for programs, `shown` for people."""
        if self.is_json:
            sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
        else:
            self.console.print(shown)

    def hint(self, text: str, command: str) -> None:
        """What to run next, in a line that can be copied."""
        self.console.print(f"{text}: {_own(command)}", soft_wrap=True)

    def ask(self, question: str, option: str) -> str:
        """A line of the user's. Raises Misused where nobody answers; `option` says how to do without."""
        if self.agreed:
            raise Misused(f"{question}: nothing is asked with --yes; give {option}.")
        try:
            # An own prompt: input() would write it to the standard output, where --json has its answer.
            self.console.print(f"{question}: ", end="")
            return input().strip()
        except EOFError as exc:
            raise Misused(f"{question}: nobody answers here; give {option}.") from exc

    def agree(self, question: str) -> None:
        """Go on only if the user says yes. Raises Misused."""
        if not self.agreed and self.ask(f"{question} [y/N]", "--yes").lower() not in ("y", "yes", "д", "да"):
            raise Misused("Nothing was started.")

    def choose(self, question: str, items: Sequence[Mapping[str, Any]], option: str) -> Mapping[str, Any]:
        """One of some objects, by its number. Raises Misused."""
        if len(items) == 1:
            return items[0]
        for number, item in enumerate(items, 1):
            self.console.print(f"{number:3}  {_name(item)}  {_what(item)}")
        text = self.ask(f"{question} (1 to {len(items)})", option)
        if not text.isdecimal() or not 1 <= int(text) <= len(items):
            raise Misused(f"{text!r} is not a number from 1 to {len(items)}.")
        return items[int(text) - 1]


class Person:
    """The commands that are more than one operation."""

    def __init__(self, client: ApiClient, terminal: Terminal) -> None:
        self._client = client
        self._terminal = terminal
        self._names = ObjectNames(client)

    def campaign(self, options: argparse.Namespace) -> None:
        """`campaign DEED NAME`."""
        campaign_id = self._names.find("campaign_id", options.name)
        if options.deed == "report":
            self._report(campaign_id)
            return
        if options.deed == "why":
            why = self._client.read("read_why", campaign_id=campaign_id)
            lines = [reason["message"] + _until(reason) for reason in why["reasons"]]
            self._terminal.answer(
                why, "\n".join(lines or ["It dials." if why["dialing"] else "Nothing is left to do."])
            )
            return
        if options.deed != "watch":
            more = {"hangup": True} if getattr(options, "hangup", False) else {}
            moved = self._client.read(f"{options.deed}_campaign", campaign_id=campaign_id, **more)
            if not getattr(options, "watch", False):
                self._terminal.answer(moved, f"{moved['name']} is {moved['state']}; {_in_words(moved['counts'])}")
                return
        self._watch(campaign_id)
        self._report(campaign_id)

    def dial(self, options: argparse.Namespace) -> None:
        """`dial SOUND TABLE`: from two files to the report."""
        trunk = self._trunk(options.trunk)
        is_file = Path(options.table).is_file()
        region = options.region or (self._region() if is_file else None)
        if is_file:
            self._preview(options, str(region))
        else:
            callbase = self._client.read("read_callbase", callbase_id=self._named("callbase_id", options.table))
        sound_id = None if Path(options.sound).is_file() else self._named("sound_id", options.sound)
        what = options.table if is_file else f"{callbase['name']} ({callbase['imported']} subscribers)"
        self._terminal.agree(f"Play {options.sound} to everybody in {what} over trunk {trunk['name']}?")
        if sound_id is None:
            sound_id = self._client.read("create_sound", file=options.sound, name=Path(options.sound).stem)["id"]
        if is_file:
            callbase = self._import(options, str(region))
        limits = {name: getattr(options, name) for name in ("cps", "max_channels") if getattr(options, name)}
        name = options.name or f"{Path(options.table).stem} {datetime.now().astimezone():%Y-%m-%d %H:%M}"
        made = self._client.read(
            "create_campaign",
            name=name,
            trunk_ids=[trunk["id"]],
            sound_id=sound_id,
            callbase_id=callbase["id"],
            **limits,
        )
        self._client.read("start_campaign", campaign_id=made["id"])
        self._terminal.console.print(f"started {name!r}, {made['id']}")
        self._watch(made["id"])
        self._report(made["id"])

    def call(self, options: argparse.Namespace) -> None:
        """`call NUMBER`: one call, until it has ended."""
        trunk = self._trunk(options.trunk)
        sounds = self._client.items("list_sounds", most=100)
        if options.sound:
            sound_id = self._named("sound_id", options.sound)
        elif not sounds:
            raise ClientError(f"There is no sound yet. Upload one: {_own('create-sound --file FILE')}")
        else:
            sound_id = self._terminal.choose("Which sound", sounds, "--sound")["id"]
        asked = {"raw": True} if options.raw else {}
        made = self._client.read(
            "create_sample_call", trunk_id=trunk["id"], sound_id=sound_id, number=options.number, **asked
        )
        said, call = "", self._client.read("read_call", call_id=made["id"])
        while call["disposition"] is None:
            if said != call["state"]:
                said = call["state"]
                self._terminal.console.print(said)
            time.sleep(POLL_S / 2)
            call = self._client.read("read_call", call_id=made["id"])
        told = f"{call['disposition']}: {OUTCOMES.get(call['disposition'], '')}"
        heard = f", {call['played_s']:.0f} s heard" if call["played_s"] else ""
        self._terminal.answer(call, told + heard + (f". {call['message']}" if call["message"] else ""))

    def check(self, _options: argparse.Namespace) -> None:
        """Try every operation that only reads and needs no object."""
        table = Table("command", "result", "ms", box=None, padding=(0, 2, 0, 0), pad_edge=False)
        results, failed = [], 0
        for operation in self._client.operations.values():
            needs = any(parameter.get("required") for parameter in operation.parameters)
            if operation.method != "GET" or "{" in operation.path or needs:
                continue
            began = time.monotonic()
            try:
                result = f"{self._client.call(operation, {}).status_code}"
            except (Unreachable, NotLoggedIn):
                raise
            except ClientError as exc:
                result = str(exc)
                failed += not result.startswith("403")
            ms = round((time.monotonic() - began) * 1000)
            results.append({"command": operation.command, "result": result, "ms": ms})
            table.add_row(operation.command, result, str(ms))
        self._terminal.answer(results, table)
        if failed:
            raise ClientError(f"{failed} operations failed")

    def _named(self, parameter: str, text: str) -> str:
        try:
            return self._names.find(parameter, text)
        except Misused as exc:
            raise Misused(f"{text} is no file here. {exc}") from exc

    def _trunk(self, name: str | None) -> Mapping[str, Any]:
        if name:
            return self._client.read("read_trunk", trunk_id=self._names.find("trunk_id", name))
        trunks = self._client.items("list_trunks", most=100)
        if not trunks:
            wanted = "create-trunk --name NAME --host HOST --username LOGIN --password PASSWORD"
            raise ClientError(f"There is no trunk yet. Enter your provider's: {_own(wanted)}")
        return self._terminal.choose("Which trunk", trunks, "--trunk")

    def _region(self) -> str:
        return self._terminal.ask("Country of numbers written without one (a code such as RU)", "--region")

    def _preview(self, options: argparse.Namespace, region: str) -> None:
        """Shows what is taken of a table. Raises Misused where it cannot be told which column to call."""
        shown = self._client.read("preview_callbase", file=options.table, region=region, **_said_of_table(options))
        table = Table("column", "header", "taken for", "first values", box=None, padding=(0, 2, 0, 0), pad_edge=False)
        for each in shown["found"]:
            values = ", ".join(_text(value) for value in each["values"][:2])
            table.add_row(each["column"], _text(each["header"]), each["taken_for"] or "(kept as it is)", values)
        self._terminal.console.print(f"{options.table}: {shown['kind']}, {shown['rows']} rows, region {region}")
        self._terminal.console.print(table)
        if shown["problem"]:
            columns = """--columns '{"number": "A", "name": "B"}'"""
            raise Misused(f"{shown['problem']}\nSay which: {columns}; --sheet and --header-row choose where.")
        numbers = [str(each.get("number") or each.get("e164") or "") for each in shown["numbers"]]
        self._terminal.console.print(f"the first numbers: {', '.join(filter(None, numbers))}")

    def _import(self, options: argparse.Namespace, region: str) -> dict[str, Any]:
        """Uploads a table, and waits until it is read."""
        name = Path(options.table).stem
        made = self._client.read(
            "create_callbase", file=options.table, name=name, region=region, **_said_of_table(options)
        )
        while made["state"] == "importing":
            time.sleep(POLL_S)
            made = self._client.read("read_callbase", callbase_id=made["id"])
            self._terminal.console.print(f"{made['rows_done']} rows read")
        if made["state"] == "failed":
            raise ClientError(f"The import failed: {made['error']}")
        counts = ", ".join(f"{made[each]} {each}" for each in ("imported", "duplicates", "rejected", "doubtful"))
        self._terminal.console.print(f"{made['rows']} rows: {counts}")
        if made["rejected"]:
            self._terminal.hint("why rejected", f"list-rejected {made['id']}")
        if not made["imported"]:
            raise ClientError("There is nobody to call in the table.")
        return made

    def _report(self, campaign_id: str) -> None:
        report = self._client.read("read_report", campaign_id=campaign_id)
        self._terminal.answer(report, report_table(report))
        left = report["counts"]["total"] - report["counts"]["reached"]
        if left and report["state"] in ("finished", "stopped") and "export_not_reached_xlsx" in self._client.operations:
            command = f"export-not-reached-xlsx {shlex.quote(report['name'])}"
            self._terminal.hint(f"to call by hand, {left} not reached", command)

    def _watch(self, campaign_id: str) -> None:
        """Shows how a campaign goes, until it has ended or is paused."""
        name = ""
        columns = (BarColumn(bar_width=20), TextColumn("{task.description}"), TimeElapsedColumn())
        try:
            with Progress(*columns, console=self._terminal.console, transient=True) as progress:
                task = progress.add_task("", total=None)
                quiet = not self._terminal.console.is_terminal
                said, at = "", float("-inf")
                while True:
                    campaign = self._client.read("read_campaign", campaign_id=campaign_id)
                    name = campaign["name"]
                    line, why = _line_of(campaign), self._why(campaign)
                    _draw(progress, task, campaign, line if not why else f"{line}\n{why}")
                    is_due = time.monotonic() - at >= QUIET_POLL_S or why != said or campaign["state"] != "running"
                    if quiet and is_due:
                        self._terminal.console.print(f"{line}{f'. {why}' if why else ''}", soft_wrap=True)
                        said, at = why, time.monotonic()
                    if campaign["state"] != "running":
                        break
                    time.sleep(POLL_S)
        except KeyboardInterrupt:
            # The campaign does not depend on the client; the user is told, lest it is thought to have stopped.
            self._terminal.hint(
                "The campaign goes on. Watch it again", f"campaign watch {shlex.quote(name or campaign_id)}"
            )
            raise
        self._terminal.console.print(f"{name} is {campaign['state']}")
        if campaign["state"] == "paused":
            self._terminal.hint("go on", f"campaign resume {shlex.quote(name)} --watch")

    def _why(self, campaign: Mapping[str, Any]) -> str:
        """Why nothing is dialled just now, in a sentence."""
        if campaign["state"] == "running" and campaign["active_calls"]:
            return ""
        why = self._client.read("read_why", campaign_id=campaign["id"])
        return "" if why["dialing"] or not why["reasons"] else why["reasons"][0]["message"] + _until(why["reasons"][0])


def _said_of_table(options: argparse.Namespace) -> dict[str, Any]:
    return {each: getattr(options, each) for each in ("columns", "sheet", "header_row") if getattr(options, each)}


def _until(reason: Mapping[str, Any]) -> str:
    return f" (until {_text(reason['until'])})" if reason.get("until") else ""


def _draw(progress: Progress, task: TaskID, campaign: Mapping[str, Any], line: str) -> None:
    counts = campaign["counts"]
    done = counts["total"] - counts["pending"] - counts["in_progress"]
    progress.update(task, total=counts["total"] or None, completed=done, description=line)


def _line_of(campaign: Mapping[str, Any]) -> str:
    left = campaign["eta_s"]
    eta = f", about {left / 60:.0f} min left" if left else ""
    return (
        f"{_counted(campaign)} done, {campaign['active_calls']} calls now, {campaign['counts']['reached']} reached{eta}"
    )


# -- the menu


def menu(terminal: Terminal, run_line: Callable[[Sequence[str]], int]) -> int:
    """What the prototype's tester offered, and what else most people want, by numbers; until the user leaves."""
    ask = partial(terminal.ask, option="a command, see --help")
    items: Sequence[tuple[str, Callable[[], Sequence[str]]]] = (
        ("log in", lambda: ["login", ask("Login")]),
        ("add a user", lambda: ["create-user", "--login", ask("Login of the new user"), "--name", ask("Name")]),
        ("show the subscribers of a callbase", lambda: ["list-subscribers", ask("Name of the callbase")]),
        ("make a sample call", lambda: ["call", ask("Number")]),
        ("call everybody in a table", lambda: ["dial", ask("Sound (a file)"), ask("Table (CSV or XLSX)")]),
        ("show the campaigns", lambda: ["list-campaigns"]),
        ("start a campaign and watch it", lambda: ["campaign", "start", ask("Name of the campaign"), "--watch"]),
        ("show a report", lambda: ["campaign", "report", ask("Name of the campaign")]),
        ("check what the service answers", lambda: ["check"]),
        ("log out", lambda: ["logout"]),
    )
    while True:
        terminal.console.print()
        for number, (text, _) in enumerate(items, 1):
            terminal.console.print(f"{number:3}  {text}")
        terminal.console.print("  0  leave")
        try:
            chosen = ask("What next")
            if chosen in ("0", "q", "exit", "quit"):
                return 0
            if not chosen.isdecimal() or not 1 <= int(chosen) <= len(items):
                terminal.console.print(f"{chosen!r} is not a number from 0 to {len(items)}.")
                continue
            run_line(items[int(chosen) - 1][1]())
        except Misused:  # the input has ended
            return 0


# -- the command line


def build_parser(operations: Sequence[Operation]) -> argparse.ArgumentParser:
    """A command for each operation, an option for each of its parameters; and the commands for a person."""
    parser = argparse.ArgumentParser(
        prog="api_client.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    shared = _common(default=argparse.SUPPRESS)
    _add_common(parser, default=None)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    _add_personal(commands, shared)
    for operation in operations:
        command = commands.add_parser(
            operation.command, help=operation.summary, description=operation.summary, parents=[shared]
        )
        command.set_defaults(operation=operation)
        if operation.id == "issue_token":
            command.add_argument("username", help="your login; the password is asked for, or --password")
            command.add_argument("--password")
            command.add_argument("--otp", metavar="CODE", help="of your second factor; without it you are asked")
        elif operation.id != "revoke_token":
            for parameter in operation.parameters:
                _add_option(command, parameter)
        if operation.file:
            command.add_argument("--output", metavar="FILE", default=operation.file, help=f"default {operation.file}")
        if operation.id in ("list_rejected", "list_dnc_rejected"):
            command.add_argument("--csv", action="store_true", help="the whole list as CSV")
    return parser


def _common(*, default: Any) -> argparse.ArgumentParser:
    """The options that stand before or after the command; where they are not given after it, those before it count."""
    shared = argparse.ArgumentParser(add_help=False)
    _add_common(shared, default=default)
    return shared


def _add_common(parser: argparse.ArgumentParser, *, default: Any) -> None:
    # After the command --url may be a parameter of the operation: a webhook's.
    names = ["--service"] if default is argparse.SUPPRESS else ["--service", "--url"]
    parser.add_argument(
        *names,
        dest="service",
        metavar="URL",
        default=default,
        help=f"address of the service (or DIALER_URL; default: the one logged in at, else {DEFAULT_URL})",
    )
    parser.add_argument(
        "--json", dest="is_json", action="store_true", default=default or False, help="print JSON instead of a table"
    )


def _add_personal(commands: Any, shared: argparse.ArgumentParser) -> None:
    add = partial(commands.add_parser, parents=[shared])
    campaign = commands.add_parser("campaign", help="start, watch, pause, resume or stop a campaign; why; report")
    deeds = campaign.add_subparsers(dest="deed", metavar="DEED", required=True)
    for deed, text in {
        "start": "start a campaign",
        "watch": "show how a campaign goes until it has ended",
        "pause": "no new calls; those under way go on",
        "resume": "go on after a pause",
        "stop": "end a campaign for good",
        "why": "why it does not dial, or not faster",
        "report": "how it went",
    }.items():
        one = deeds.add_parser(deed, help=text, description=text, parents=[shared])
        one.add_argument("name", help="its name or id")
        if deed in ("start", "resume"):
            one.add_argument("--watch", action="store_true", help="show how it goes, then the report")
        if deed == "stop":
            one.add_argument("--hangup", action="store_true", help="end the calls under way at once")
    dial = add("dial", help="call everybody in a table: preview, start, watch, report")
    dial.add_argument("sound", help="a recording, or the name of an uploaded sound")
    dial.add_argument("table", help="CSV, TXT, XLSX, XLS or ODS, or the name of an uploaded callbase")
    dial.add_argument("--trunk", help="name or id (default: the only one, else asked)")
    dial.add_argument("--region", help="country of numbers written without one, such as RU (default: asked)")
    dial.add_argument("--columns", metavar="JSON", help='such as {"number": "Phone", "name": "B"} (default: found)')
    dial.add_argument("--sheet", help="of a workbook (default: the one with phone numbers)")
    dial.add_argument("--header-row", type=int, metavar="INTEGER", help="row of the header (default: found)")
    dial.add_argument("--name", help="of the campaign (default: the table's, with the time)")
    dial.add_argument("--cps", type=float, metavar="NUMBER", help="most new calls a second (default: the trunk's)")
    dial.add_argument("--max-channels", type=int, metavar="INTEGER", help="most calls at once (default: the trunk's)")
    dial.add_argument("--yes", action="store_true", help="ask nothing")
    call = add("call", help="one call to one number, until it has ended")
    call.add_argument("number")
    call.add_argument("--trunk", help="name or id (default: the only one, else asked)")
    call.add_argument("--sound", help="name or id (default: the only one, else asked)")
    call.add_argument("--raw", action="store_true", help="dial the number as it is written")
    add("check", help="try every operation that only reads, and say what answers")
    completion = add("completion", help="print the completion script of a shell")
    completion.description = (
        'eval "$(python api_client.py completion bash)" completes ./api_client.py; with --for dialer, what is run as '
        "dialer (an alias, say). Needs the package shtab."
    )
    completion.add_argument("shell", choices=("bash", "zsh"))
    completion.add_argument(
        "--for", dest="program", metavar="NAME", default="api_client.py", help="default %(default)s"
    )
    add("menu", help="a numbered menu; also without any command")


def _add_option(command: argparse.ArgumentParser, parameter: dict[str, Any]) -> None:
    name, kind = parameter["name"], parameter.get("type", "object")
    help_text = str(parameter.get("description", "")).strip()
    if "enum" in parameter:
        help_text = f"{'|'.join(map(str, parameter['enum']))} {help_text}"
    if "default" in parameter:
        help_text = f"{help_text} (default {json.dumps(parameter['default'], ensure_ascii=False)})"
    help_text = help_text.strip().replace("%", "%%")
    if parameter["in"] == "path":
        by_name = "id or name" if name.endswith("_id") and not help_text else None
        command.add_argument(MARK + name, metavar=name, help=help_text or by_name)
        return
    required = bool(parameter.get("required")) and name not in SECRET
    option = f"--{name.replace('_', '-').lower()}"
    metavar = {"array": "A,B", "object": "JSON", "file": "FILE"}.get(kind, kind.upper())
    command.add_argument(option, dest=MARK + name, metavar=metavar, required=required, help=help_text or None)


def read_values(operation: Operation, options: argparse.Namespace) -> dict[str, Any]:
    """The values of the parameters that were given, in their types; required passwords are asked for."""
    values = {}
    for parameter in operation.parameters:
        name = parameter["name"]
        text = getattr(options, MARK + name, None)
        if text is None and name in SECRET and parameter.get("required"):
            text = _ask_secret(name)
        if text is not None:
            values[name] = _typed(parameter, text)
    return values


def _ask_secret(name: str, option: str | None = None) -> str:
    try:
        return getpass.getpass(f"{name.replace('_', ' ')}: ")
    except EOFError as exc:
        raise Misused(f"Nobody answers here; give --{(option or name).replace('_', '-')}.") from exc


def _typed(parameter: dict[str, Any], text: str) -> Any:
    kind = parameter.get("type", "object")
    if text == "null" and parameter.get("x-nullable"):
        return None
    try:
        if kind == "integer":
            return int(text)
        if kind == "number":
            return float(text)
        if kind == "boolean":
            return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}[text.lower()]
        if kind == "array":
            return [part.strip() for part in text.split(",") if part.strip()]
        if kind == "object":
            return json.loads(text)
    except (ValueError, KeyError) as exc:
        raise Misused(f"--{parameter['name'].replace('_', '-')} takes {kind}, not {text!r}") from exc
    return text


def run(options: argparse.Namespace, client: ApiClient, terminal: Terminal) -> None:
    """Do one command and print what came of it."""
    if options.command in PERSONAL:
        getattr(Person(client, terminal), options.command)(options)
        return
    operation: Operation = options.operation
    if operation.id == "issue_token":
        client.session.keep(_log_in(operation, options, client))
        terminal.answer({"url": client.session.url, "login": options.username}, f"logged in at {client.session.url}")
    elif operation.id == "revoke_token":
        token = client.session.refresh_token or client.session.access_token
        if token:
            client.call(operation, {"token": token})
        client.session.forget()
        terminal.answer({}, "logged out")
    else:
        accept = "text/csv" if getattr(options, "csv", False) else None
        values = ObjectNames(client).replace(read_values(operation, options))
        _show(client.call(operation, values, accept=accept), options, terminal)


def _log_in(operation: Operation, options: argparse.Namespace, client: ApiClient) -> dict[str, Any]:
    """The tokens for a password, and for a code where the user has a second factor."""
    password = options.password or _ask_secret("password")
    form = {"grant_type": "password", "username": options.username, "password": password}
    try:
        return _json_of(client.call(operation, form))
    except CodeWanted as wanted:
        code = options.otp or _ask_secret("code of your authenticator, or a recovery code", option="otp")
        form = {"grant_type": "urn:autodialer:mfa", "mfa_token": wanted.mfa_token, "otp": code}
        return _json_of(client.call(operation, form))


def _show(answer: requests.Response, options: argparse.Namespace, terminal: Terminal) -> None:
    kind = answer.headers.get("Content-Type", "")
    if options.operation.file:
        size = _save(answer, Path(options.output))
        terminal.answer({"file": options.output, "bytes": size}, f"{size} bytes in {options.output}")
    elif kind.startswith("text/") and not kind.startswith("text/html"):
        text = answer.text.removeprefix("\ufeff")  # a mark for spreadsheets, not for terminals
        if terminal.is_json and not getattr(options, "csv", False):
            terminal.answer({"text": text}, text)
        else:
            sys.stdout.write(text)
    elif not answer.content:
        terminal.answer({}, "done")
    else:
        value = _json_of(answer)
        width = terminal.console.width
        shown = list_table(options.operation.id, value, width) if "items" in value else object_table(value)
        terminal.answer(value, shown)


def _save(answer: requests.Response, path: Path) -> int:
    """Writes the body to a file; what was there before is replaced only by a whole one."""
    partial_file = path.with_name(f"{path.name}.part")
    try:
        with partial_file.open("wb") as file:
            file.writelines(answer.iter_content(1 << 16))
        partial_file.replace(path)
    except requests.RequestException as exc:
        partial_file.unlink(missing_ok=True)
        raise Unreachable(f"The service broke off while it sent {path}; ask again.") from exc
    except OSError as exc:
        partial_file.unlink(missing_ok=True)
        raise Misused(f"{path} cannot be written: {exc.strerror}") from exc
    return path.stat().st_size


def print_completion(parser: argparse.ArgumentParser, shell: str, program: str) -> None:
    """The script of a shell. Raises Misused without shtab."""
    try:
        import shtab
    except ModuleNotFoundError as exc:
        raise Misused(f"Completion needs the package shtab: {sys.executable} -m pip install shtab") from exc
    parser.prog = program
    sys.stdout.write(shtab.complete(parser, shell=shell))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; the exit status."""
    try:
        operations = load_operations()
    except ClientError as exc:
        sys.stderr.write(f"{exc}\n")
        return exc.status
    parser = build_parser(operations)
    options = parser.parse_args(arguments)
    console = Console(soft_wrap=False, highlight=False, markup=False, emoji=False, stderr=options.is_json)
    terminal = Terminal(console=console, is_json=options.is_json, agreed=getattr(options, "yes", False))
    if options.command in (None, "menu"):
        before = ["--service", options.service] if options.service else []
        return menu(terminal, lambda line: _run_again([*before, *line]))
    try:
        if options.command == "completion":
            print_completion(parser, options.shell, options.program)
        else:
            run(options, ApiClient(Session(options.service, session_file()), operations), terminal)
    except ClientError as exc:
        if options.is_json:
            sys.stderr.write(json.dumps({"message": str(exc), "answer": exc.answer}, ensure_ascii=False) + "\n")
        else:
            sys.stderr.write(f"{exc}\n")
        return exc.status
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _run_again(line: Sequence[str]) -> int:
    try:
        return main(line)
    except SystemExit as exc:  # argparse has said what is wrong
        return 2 if exc.code else 0


if __name__ == "__main__":
    sys.exit(main())

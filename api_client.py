"""Console client and tester of the API: one command an operation, made from swagger.yaml, so that it knows all of them.

    python api_client.py login admin                    asks for the password, keeps the session in a file of mode 0600
    python api_client.py create-trunk --name Provider --host sip.provider.example --username 100 --password ...
    python api_client.py create-sound --file hello.wav
    python api_client.py list-campaigns
    python api_client.py check                          tries every operation that only reads a list

The address of the service is --url or DIALER_URL; a token in DIALER_TOKEN is used instead of the kept session.
"""

import argparse
import getpass
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

# The file works beside swagger.yaml alone, so that it says by itself how to run it where packages are missing.
try:
    import requests
    import yaml
    from rich.console import Console
    from rich.table import Table
except ModuleNotFoundError as exc:
    command = " ".join([".venv/bin/python", *sys.argv])
    sys.exit(
        f"{sys.executable} does not have the package {exc.name}. In the project's folder run it as\n    {command}\n"
        f"Elsewhere: {sys.executable} -m pip install requests PyYAML rich"
    )

DEFAULT_URL = "http://127.0.0.1:8080"
CONTRACT_FILE = Path(__file__).resolve().with_name("swagger.yaml")
NAMES = {"issue_token": "login", "revoke_token": "logout", "log_in": "prototype-login"}
"""Commands that are not named after their operation."""
CHECK = "check"
TIMEOUT_S = 600
SECRET = ("password", "new_password", "code")
MOST_COLUMNS = 6
FIRST_COLUMNS = ("name", "number", "disposition", "cause", "billsec_s", "played_s")
"""What people look for in a list."""


class ClientError(Exception):
    """What the user is told before the client ends with status 1."""


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
    """Every operation in the order of the contract."""
    contract = yaml.safe_load(contract_file.read_text(encoding="utf-8"))
    paths, methods = contract["paths"].items(), ("get", "post", "put", "delete")
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
        kept = json.loads(path.read_text()) if path.exists() else {}
        self.url: str = (url or os.environ.get("DIALER_URL") or kept.get("url") or DEFAULT_URL).rstrip("/")
        same = kept.get("url") == self.url
        self.access_token: str | None = os.environ.get("DIALER_TOKEN") or (kept.get("access_token") if same else None)
        self.refresh_token: str | None = None
        if same and "DIALER_TOKEN" not in os.environ:
            self.refresh_token = kept.get("refresh_token")

    def keep(self, tokens: dict[str, Any]) -> None:
        """Remember new tokens."""
        self.access_token, self.refresh_token = tokens["access_token"], tokens["refresh_token"]
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.chmod(self._path, 0o600)
        with os.fdopen(descriptor, "w") as file:
            names = ("url", "access_token", "refresh_token")
            json.dump({name: getattr(self, name) for name in names}, file)

    def forget(self) -> None:
        """Remove the file."""
        self._path.unlink(missing_ok=True)


def session_file() -> Path:
    """DIALER_SESSION, or a file in the user's configuration folder."""
    default = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "autodialer" / "session.json"
    return Path(os.environ.get("DIALER_SESSION") or default)


class ApiClient:
    """Calls operations; renews the access token when it has run out."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def call(self, operation: Operation, values: dict[str, Any], *, accept: str | None = None) -> requests.Response:
        """Call one operation with the values of its parameters. Raises ClientError with what the service says."""
        answer = self._send(operation, values, accept)
        if answer.status_code == 401 and not operation.is_open and self._renew():
            answer = self._send(operation, values, accept)
        if answer.status_code >= 400:
            raise _refusal(answer)
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
                content.setdefault("params", {})[name] = ",".join(value) if isinstance(value, list) else value
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
        try:
            url = self.session.url + path
            return requests.request(operation.method, url, headers=headers, timeout=TIMEOUT_S, **content)
        except requests.RequestException as exc:
            raise ClientError(f"{self.session.url} does not answer: {type(exc).__name__}. Is the service up?") from exc

    def _renew(self) -> bool:
        if not self.session.refresh_token:
            return False
        form = {"grant_type": "refresh_token", "refresh_token": self.session.refresh_token}
        answer = requests.post(f"{self.session.url}/srv1/auth/token", data=form, timeout=TIMEOUT_S)
        if answer.ok:
            self.session.keep(answer.json())
        return answer.ok


def _read(name: str) -> bytes:
    try:
        return Path(name).read_bytes()
    except OSError as exc:
        raise ClientError(f"{name} cannot be read: {exc.strerror}") from exc


def _refusal(answer: requests.Response) -> ClientError:
    try:
        return CodeWanted(_explain(answer), answer.json()["mfa_token"])
    except (ValueError, KeyError, TypeError):
        return ClientError(_explain(answer))


def _explain(answer: requests.Response) -> str:
    try:
        value = answer.json()
        text = f"{answer.status_code} {value['error']}: {value['message']}"
    except (ValueError, KeyError):
        return f"{answer.status_code} {answer.reason}"
    more = [detail["message"] for detail in value["details"] if detail.get("message")][1:]
    return "\n  ".join([text, *more])


# -- the command line


def build_parser(operations: Sequence[Operation]) -> argparse.ArgumentParser:
    """A command for each operation, an option for each of its parameters."""
    parser = argparse.ArgumentParser(
        prog="api_client.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--url", help=f"address of the service (or DIALER_URL; default {DEFAULT_URL})")
    parser.add_argument("--json", action="store_true", help="print the JSON of the answer instead of a table")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for operation in operations:
        command = commands.add_parser(operation.command, help=operation.summary, description=operation.summary)
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
    commands.add_parser(CHECK, help="try every operation that only reads, and say what answers")
    return parser


def _add_option(command: argparse.ArgumentParser, parameter: dict[str, Any]) -> None:
    name, kind = parameter["name"], parameter.get("type", "object")
    help_text = str(parameter.get("description", "")).replace("%", "%%").strip()
    if "enum" in parameter:
        help_text = f"{'|'.join(map(str, parameter['enum']))} {help_text}"
    if parameter["in"] == "path":
        command.add_argument(name, help=help_text or None)
        return
    required = bool(parameter.get("required")) and name not in SECRET
    option = f"--{name.replace('_', '-').lower()}"
    metavar = {"array": "A,B", "object": "JSON", "file": "FILE"}.get(kind, kind.upper())
    command.add_argument(option, dest=name, metavar=metavar, required=required, help=help_text or None)


def read_values(operation: Operation, options: argparse.Namespace) -> dict[str, Any]:
    """The values of the parameters that were given, in their types; required passwords are asked for."""
    values = {}
    for parameter in operation.parameters:
        name = parameter["name"]
        text = getattr(options, name, None)
        if text is None and name in SECRET and parameter.get("required"):
            text = getpass.getpass(f"{name.replace('_', ' ')}: ")
        if text is not None:
            values[name] = _typed(parameter, text)
    return values


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
        raise ClientError(f"--{parameter['name'].replace('_', '-')} takes {kind}, not {text!r}") from exc
    return text


def run(options: argparse.Namespace, client: ApiClient, console: Console, operations: Sequence[Operation]) -> None:
    """Do one command and print what came of it."""
    if options.command == CHECK:
        _check(client, console, operations)
        return
    operation: Operation = options.operation
    if operation.id == "issue_token":
        client.session.keep(_log_in(operation, options, client))
        console.print(f"logged in at {client.session.url}")
    elif operation.id == "revoke_token":
        client.call(operation, {"token": client.session.refresh_token or client.session.access_token or "none"})
        client.session.forget()
        console.print("logged out")
    else:
        accept = "text/csv" if getattr(options, "csv", False) else None
        _show(client.call(operation, read_values(operation, options), accept=accept), options, console)


def _log_in(operation: Operation, options: argparse.Namespace, client: ApiClient) -> dict[str, Any]:
    """The tokens for a password, and for a code where the user has a second factor."""
    password = options.password or getpass.getpass("password: ")
    form = {"grant_type": "password", "username": options.username, "password": password}
    try:
        tokens: dict[str, Any] = client.call(operation, form).json()
    except CodeWanted as wanted:
        code = options.otp or getpass.getpass("code of your authenticator, or a recovery code: ")
        form = {"grant_type": "urn:autodialer:mfa", "mfa_token": wanted.mfa_token, "otp": code}
        tokens = client.call(operation, form).json()
    return tokens


def _show(answer: requests.Response, options: argparse.Namespace, console: Console) -> None:
    kind = answer.headers.get("Content-Type", "")
    if options.operation.file:
        with Path(options.output).open("wb") as file:
            file.writelines(answer.iter_content(1 << 16))
        console.print(f"{Path(options.output).stat().st_size} bytes in {options.output}")
    elif kind.startswith("text/"):
        sys.stdout.write(answer.text.removeprefix("\ufeff"))  # a mark for spreadsheets, not for terminals
    elif not answer.content:
        console.print("done")
    elif options.json:
        sys.stdout.write(json.dumps(answer.json(), indent=2, ensure_ascii=False) + "\n")
    else:
        value = answer.json()
        console.print(_list_table(value) if "items" in value else _object_table(value))


def _list_table(page: dict[str, Any]) -> Table:
    caption = f"more: --after {page['next']}" if page["next"] else None
    table = Table(caption=caption)
    items = page["items"]
    simple = [name for name, value in (items or [{}])[0].items() if not isinstance(value, dict | list)]
    # What is empty throughout and others' ids say little; an object's own id is there to be copied and stays whole.
    told = {name for name in simple if any(item[name] is not None for item in items) and not name.endswith("_id")}
    columns = [name for name in ("id", *FIRST_COLUMNS, *simple) if name in told]
    columns = list(dict.fromkeys(columns))
    for name in columns[:MOST_COLUMNS]:
        table.add_column(name, overflow="fold", no_wrap=name == "id", min_width=36 if name == "id" else None)
    for item in page["items"]:
        table.add_row(*(_text(item[name]) for name in columns[:MOST_COLUMNS]))
    return table


def _object_table(value: dict[str, Any]) -> Table:
    table = Table(show_header=False)
    for name, item in value.items():
        table.add_row(name, _text(item))
    return table


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def _check(client: ApiClient, console: Console, operations: Sequence[Operation]) -> None:
    table = Table("command", "result", "ms")
    failed = 0
    for operation in operations:
        if operation.method != "GET" or "{" in operation.path:
            continue
        began = time.monotonic()
        try:
            result = f"{client.call(operation, {}).status_code}"
        except ClientError as exc:
            result = str(exc)
            failed += not result.startswith("403")
        table.add_row(operation.command, result, f"{(time.monotonic() - began) * 1000:.0f}")
    console.print(table)
    if failed:
        raise ClientError(f"{failed} operations failed")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; the exit status."""
    operations = load_operations()
    options = build_parser(operations).parse_args(arguments)
    console = Console(soft_wrap=False, highlight=False, markup=False)
    try:
        run(options, ApiClient(Session(options.url, session_file())), console, operations)
    except ClientError as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

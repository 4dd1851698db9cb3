"""A client that calls the WSGI application directly: no sockets, no threads, no waiting."""

import io
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import requests

from autodialer.web.app import App

CERTIFICATE = (Path(__file__).parent / "certificate.pem").read_text()
"""It names nobody, and is valid for a hundred years."""


@dataclass
class Answer:
    """What the application answered."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The JSON value of the body."""
        assert self.headers["content-type"].startswith("application/json"), self.headers
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """The error code of an answer in the API's one form."""
        value = self.json()
        assert {"error", "message", "details"} <= value.keys()
        return value["error"]

    @property
    def fields(self) -> list[str]:
        """The fields at fault."""
        return [detail.get("field") for detail in self.json()["details"]]


class Client:
    """Speaks to one application as one user."""

    def __init__(self, app: App, token: str | None = None) -> None:
        self.app = app
        self.token = token

    def call(self, method: str, path: str, *, headers: dict[str, str] | None = None, **content: Any) -> Answer:
        """One request; `content` is what requests.Request takes: json, data, files, params."""
        prepared = requests.Request(method, "http://dialer.test" + path, headers=headers or {}, **content).prepare()
        if self.token and "Authorization" not in prepared.headers:
            prepared.headers["Authorization"] = f"Bearer {self.token}"
        return self.send(prepared)

    def send(self, prepared: requests.PreparedRequest) -> Answer:
        """Through WSGI as PEP 3333 has it."""
        url = urlsplit(prepared.url or "")
        body = prepared.body or b""
        body = body.encode() if isinstance(body, str) else body
        environ: dict[str, Any] = {
            "REQUEST_METHOD": prepared.method,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote(url.path, "latin-1"),
            "QUERY_STRING": url.query,
            "SERVER_NAME": "dialer.test",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "192.0.2.1",
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": False,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        for name, value in prepared.headers.items():
            value = value.decode("latin-1") if isinstance(value, bytes) else value
            key = name.upper().replace("-", "_")
            if key == "CONTENT_TYPE":
                environ[key] = value
            elif key != "CONTENT_LENGTH":
                environ[f"HTTP_{key}"] = value
        started: list[Any] = []
        chunks = self.app(environ, lambda status, headers, exc_info=None: started.append((status, headers)))
        data = b"".join(chunks)
        if hasattr(chunks, "close"):
            chunks.close()
        status, given = started[-1]
        return Answer(status=int(status.split()[0]), headers={k.lower(): v for k, v in given}, body=data)

    def get(self, path: str, **content: Any) -> Answer:
        """GET."""
        return self.call("GET", path, **content)

    def post(self, path: str, **content: Any) -> Answer:
        """POST."""
        return self.call("POST", path, **content)

    def put(self, path: str, **content: Any) -> Answer:
        """PUT."""
        return self.call("PUT", path, **content)

    def delete(self, path: str, **content: Any) -> Answer:
        """DELETE."""
        return self.call("DELETE", path, **content)

    def log_in(self, login: str, password: str) -> Answer:
        """The password grant; the access token is used from then on."""
        form = {"grant_type": "password", "username": login, "password": password}
        answer = self.post("/srv1/auth/token", data=form)
        if answer.status == 200:
            self.token = answer.json()["access_token"]
        return answer


def wav(seconds: float = 0.5, rate: int = 8000, level: int = 8000) -> bytes:
    """A short square wave as a WAV file."""
    import wave

    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        period = b"".join((level if index < 10 else -level).to_bytes(2, "little", signed=True) for index in range(20))
        file.writeframes(period * int(seconds * rate / 20))
    return target.getvalue()

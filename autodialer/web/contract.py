"""swagger.yaml at work: the loaded contract, and the plugin that holds requests and responses to it."""

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

import bottle
import yaml
from bottle import request, response
from bottle_swagger import BottleIncomingRequest, SwaggerPlugin
from bravado_core.exception import SwaggerValidationError
from bravado_core.formatter import SwaggerFormat
from bravado_core.param import unmarshal_param
from jsonschema import ValidationError

from autodialer.errors import UnsupportedContent, UserError
from autodialer.web.body import check_texts, parse_form, parse_json, parse_query, read_body
from autodialer.web.uploads import receive_upload

CONTRACT_FILE = Path(__file__).resolve().parent.parent.parent / "swagger.yaml"
BASE_PATH = "/srv1"
MOST_BYTES = 1_000_000
"""Of a request body where the operation's `x-max-bytes` says nothing else."""
METHODS = ("get", "post", "put", "delete")
MULTIPART = "multipart/form-data"
JSON = "application/json"


def _check_uuid(text: str) -> None:
    try:
        UUID(text)
    except (ValueError, AttributeError, TypeError) as exc:
        raise SwaggerValidationError("not an id") from exc


UUID_FORMAT = SwaggerFormat(format="uuid", to_python=UUID, to_wire=str, validate=_check_uuid, description="an id")


class BrokenContract(Exception):
    """Our own answer is not what swagger.yaml promises."""


@cache
def load_contract() -> dict[str, Any]:
    """swagger.yaml as it stands. Do not change it."""
    loaded: dict[str, Any] = yaml.safe_load(CONTRACT_FILE.read_text(encoding="utf-8"))
    return loaded


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Method in capitals, path below the base path, and operation object of every operation."""
    for path, item in load_contract()["paths"].items():
        for method in METHODS:
            if method in item:
                yield method.upper(), path, item[method]


class ContractPlugin(SwaggerPlugin):  # type: ignore[misc]
    """bottle-swagger-2, with bodies read as this API needs them.

    It reads urlencoded forms as UTF-8 and streams uploads to the disk; HEAD is validated as GET; answers that are not
    JSON are not judged as if they were; the status that the route sets is validated.
    """

    def __init__(self, *, uploads_folder: Path, validate_responses: bool) -> None:
        super().__init__(
            load_contract(),
            validate_swagger_spec=False,  # a test does, and it takes longer than all the rest of the start
            serve_swagger_ui=True,
            swagger_ui_suburl="../api/doc/",
            swagger_schema_suburl="../swagger.json",
            validate_responses=validate_responses,
            use_bravado_models=False,
            include_missing_properties=False,
            ignore_security_definitions=True,
            user_defined_formats=[UUID_FORMAT],
            invalid_request_handler=_raise,
            invalid_response_handler=_raise_broken_contract,
            exception_handler=_raise,
        )
        self._uploads_folder = uploads_folder

    def _swagger_op(self, route: bottle.Route) -> Any:
        if request.method == "HEAD":
            path = route.rule.replace("<", "{").replace(">", "}")
            return self.swagger.get_op_for_request("GET", path)
        return super()._swagger_op(route)

    def _validate_request(self, swagger_op: Any, ignore_security_definitions: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002
        incoming = _IncomingRequest(request, swagger_op.op_spec, self._uploads_folder)
        return {param.name: _value_of(param, incoming) for param in swagger_op.params.values()}

    def _validate_response(self, swagger_op: Any, result: Any) -> None:
        if (response.content_type or JSON).startswith(JSON) and not isinstance(result, str | bytes):
            super()._validate_response(swagger_op, result)


def _raise(error: Exception) -> None:
    raise error


def _raise_broken_contract(error: Exception) -> None:
    raise BrokenContract(str(error)) from error


def _value_of(param: Any, incoming: "_IncomingRequest") -> Any:
    try:
        return unmarshal_param(param, incoming)
    except ValidationError as exc:
        if param.location != "body" and exc.relative_path:
            # One of several values between commas: it is called by its place there, which no client knows.
            exc.relative_path.clear()
            exc.relative_path.append(param.name)
        raise


class _IncomingRequest(BottleIncomingRequest):  # type: ignore[misc]
    """A request as bravado-core reads it. The body is read once, by its type, within the operation's limit."""

    def __init__(self, bottle_request: Any, op_spec: dict[str, Any], uploads_folder: Path) -> None:
        super().__init__(bottle_request)
        self._most_bytes = op_spec.get("x-max-bytes", MOST_BYTES)
        self._consumes = op_spec.get("consumes", [JSON])[0]
        self._uploads_folder = uploads_folder
        self._fields: dict[str, str] | None = None
        self._file: Any = None

    @property
    def headers(self) -> dict[str, str]:
        return _Headers(self.request.environ)

    @property
    def query(self) -> dict[str, str]:
        return parse_query(request.query_string)

    def json(self) -> Any:
        data = read_body(self._most_bytes)
        if not data.strip():
            return None
        _check_type(JSON)
        value = parse_json(data)
        if value is None:  # bravado-core would take it for a body that was left out
            raise UserError("The body takes an object, not null.")
        return value

    @property
    def form(self) -> dict[str, str]:
        if self._fields is None:
            self._read_form()
        return self._fields or {}

    @property
    def files(self) -> dict[str, Any]:
        if self._fields is None:
            self._read_form()
        return {"file": self._file} if self._file else {}

    def _read_form(self) -> None:
        _check_type(self._consumes)
        if self._consumes == MULTIPART:
            upload = receive_upload(request.environ, self._uploads_folder, most_bytes=self._most_bytes)
            request.upload = upload
            check_texts(upload.fields.items())
            self._fields, self._file = upload.fields, upload if upload.has_file else None
        else:
            request.pairs = parse_form(read_body(self._most_bytes))
            self._fields = dict(request.pairs)


class _Headers(dict[str, str]):
    """The headers of a WSGI environment. Bottle's own raises for bytes that are not UTF-8."""

    def __init__(self, environ: Mapping[str, Any]) -> None:
        super().__init__({name: text for name, text in environ.items() if name.startswith(("HTTP_", "CONTENT_"))})

    def get(self, name: str, default: Any = None) -> Any:
        key = name.upper().replace("-", "_")
        return super().get(key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}", default)


def _check_type(wanted: str) -> None:
    given = (request.content_type or "").split(";")[0].strip().lower()
    if given != wanted:
        raise UnsupportedContent(f"Send it as Content-Type: {wanted}; it is {given or 'not said'}.")

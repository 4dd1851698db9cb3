"""Calls."""

from uuid import UUID

from autodialer.api.operations import CallOperations, Json
from autodialer.web import routing as http
from autodialer.web.routing import Routes, authenticated

routes = Routes()


@routes.get("/srv1/calls/<call_id>")
@authenticated
def read_call(api: CallOperations, call_id: UUID) -> Json:
    return api.read_call(http.caller(), call_id)


@routes.get("/srv1/calls/<call_id>/trace")
@authenticated
def read_call_trace(api: CallOperations, call_id: UUID) -> str:
    return http.text(api.read_call_trace(http.caller(), call_id))


@routes.post("/srv1/calls/<call_id>/hangup")
@authenticated
def hang_up_call(api: CallOperations, call_id: UUID) -> Json:
    return http.with_status(202, api.hang_up_call(http.caller(), call_id))


@routes.post("/srv1/calls/<call_id>/digits")
@authenticated
def send_call_digits(api: CallOperations, call_id: UUID) -> Json:
    return http.with_status(202, api.send_call_digits(http.caller(), call_id, http.body()))


@routes.post("/srv1/call/sample")
@authenticated
def create_sample_call(api: CallOperations) -> Json:
    return http.with_status(202, api.create_sample_call(http.caller(), http.body(), http.once()))

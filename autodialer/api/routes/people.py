"""What the people who are called may ask for: not to be called (DNC), and to be forgotten."""

from typing import Any
from uuid import UUID

from autodialer.api.operations import Json, PeopleOperations
from autodialer.web import routing as http
from autodialer.web.routing import Routes, authenticated

routes = Routes()


@routes.post("/srv1/subscribers/<subscriber_id>/erase")
@authenticated
def erase_subscriber(api: PeopleOperations, subscriber_id: UUID) -> Json:
    asked = {"all_callbases": True, "dnc": False} | http.body()
    return api.erase_subscriber(http.caller(), subscriber_id, **asked)


@routes.get("/srv1/dnc")
@authenticated
def list_dnc(api: PeopleOperations) -> Json:
    return api.list_dnc(http.caller(), http.parameter("scope"), **http.page())


# Before the paths with a number, which these would be taken for.
@routes.post("/srv1/dnc/import")
@authenticated
def import_dnc(api: PeopleOperations) -> Json:
    made = api.import_dnc(http.caller(), http.upload(), http.parameters("region", "scope"), http.once())
    return http.with_status(202 if made["state"] == "importing" else 201, made)


@routes.get("/srv1/dnc/imports")
@authenticated
def list_dnc_imports(api: PeopleOperations) -> Json:
    return api.list_dnc_imports(http.caller(), **http.page())


@routes.get("/srv1/dnc/imports/<import_id>")
@authenticated
def read_dnc_import(api: PeopleOperations, import_id: UUID) -> Json:
    return api.read_dnc_import(http.caller(), import_id)


@routes.delete("/srv1/dnc/imports/<import_id>")
@authenticated
def delete_dnc_import(api: PeopleOperations, import_id: UUID) -> None:
    api.delete_dnc_import(http.caller(), import_id)
    http.no_content()


@routes.get("/srv1/dnc/imports/<import_id>/rejected")
@authenticated
def list_dnc_rejected(api: PeopleOperations, import_id: UUID) -> Any:
    if http.wants_csv():
        return http.csv(
            ("row", "value", "reason"), lambda page: api.list_dnc_rejected(http.caller(), import_id, **page)
        )
    return api.list_dnc_rejected(http.caller(), import_id, **http.page())


@routes.get("/srv1/dnc/<number>")
@authenticated
def read_dnc_entry(api: PeopleOperations, number: str) -> Json:
    return api.read_dnc_entry(http.caller(), number)


@routes.put("/srv1/dnc/<number>")
@authenticated
def put_dnc_entry(api: PeopleOperations, number: str) -> Json:
    return api.put_dnc_entry(http.caller(), number, http.body())


@routes.delete("/srv1/dnc/<number>")
@authenticated
def delete_dnc_entry(api: PeopleOperations, number: str) -> None:
    api.delete_dnc_entry(http.caller(), number)
    http.no_content()

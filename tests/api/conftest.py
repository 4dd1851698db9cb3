"""The application of tests/web, asked by subject."""

from tests.web.conftest import (  # noqa: F401 -- fixtures
    _sounds_are_imported_here,
    _tables_are_imported_here,
    _the_contract_is_parsed_once,
    _the_world_outside_is_here,
    admin,
    anna,
    app,
    boris,
    client,
    clock,
    log_in,
    objects,
    store,
    unbraked,
)

"""The application of tests/web, asked by subject."""

from tests.web.conftest import (  # noqa: F401 -- fixtures
    _sounds_are_imported_here,
    _tables_are_imported_here,
    admin,
    anna,
    app,
    boris,
    client,
    clock,
    empty_database,
    log_in,
    objects,
    store,
)

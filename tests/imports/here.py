"""The import process without a process: one takes a second to start, and only what is about it need have one."""

from pathlib import Path
from typing import Any, Self

import pytest

from autodialer.imports import imports as imports_module
from autodialer.imports.apart import Looked
from autodialer.imports.columns import Wanted
from autodialer.imports.preview import preview
from autodialer.imports.process import ImportJob, destination
from autodialer.imports.reading import inspect
from autodialer.imports.running import import_rows
from autodialer.store import Store
from tests.databases import cheap_secrets


class LookHere:
    """What `LookApart` is to a request."""

    def __init__(self, job: ImportJob) -> None:
        self._job = job

    def looked(self) -> Looked:
        self._plan = inspect(Path(self._job.file), self._job.region, Wanted(**self._job.wanted))
        return Looked(taken=self._plan.taken(), rows=self._plan.rows)

    def import_into(self, key: int) -> None:
        store = Store(self._job.url, secrets=cheap_secrets(Path(self._job.keys)))
        try:
            import_rows(destination(store, self._job.into, key), self._plan)
        finally:
            store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        pass


def preview_here(job: ImportJob) -> dict[str, Any]:
    """What `preview_apart` is to a request."""
    return preview(Path(job.file), job.region, Wanted(**job.wanted))


def import_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small imports and previews take no process while the test runs."""
    monkeypatch.setattr(imports_module, "LookApart", LookHere)
    monkeypatch.setattr(imports_module, "preview_apart", preview_here)

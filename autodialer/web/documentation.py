"""Swagger UI at /api/doc/: swagger-ui-dist from npm as it was published, and a page and a script of our own around it.

It is vendored, and not the copy inside bottle-swagger-2, which is years old and starts itself by a script within the
page: that needs 'unsafe-inline', and then any text of a user's that ever gets into a page would run as well.
"""

import json
from pathlib import Path

import bottle

FOLDER = Path(__file__).resolve().parent / "swagger_ui"
DOCUMENTATION = "/api/doc/"
OURS = ("page.css", "start.js")
PAGE = "index.html"
PAGE_POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
"""For every page. React sets style attributes by script, which the policy allows; nothing inline is needed."""


def vendored_files() -> frozenset[str]:
    """What of the published package is here, by its manifest."""
    return frozenset(json.loads((FOLDER / "manifest.json").read_text(encoding="utf-8"))["files"])


def add_documentation(app: bottle.Bottle) -> None:
    """Give the page and its files to Bottle; other files of the folder are not served."""
    served = vendored_files() | set(OURS)

    def one_file(name: str) -> bottle.HTTPResponse:
        if name not in served:
            raise bottle.HTTPError(404)
        return _file(name)

    app.get(DOCUMENTATION.rstrip("/"), callback=lambda: bottle.HTTPResponse("", 308, {"Location": DOCUMENTATION}))
    app.get(DOCUMENTATION, callback=lambda: _file(PAGE))
    app.get(f"{DOCUMENTATION}<name>", callback=one_file)


def _file(name: str) -> bottle.HTTPResponse:
    # Asked for again each time, and answered with 304: after an upgrade no browser mixes old files with new ones.
    return bottle.static_file(name, root=str(FOLDER), headers={"Cache-Control": "no-cache"})

"""The routes that main.py puts together, a module for each part of the API."""

from autodialer.api.routes import calls, campaigns, exports, people
from autodialer.web.routing import Routes

ALL: tuple[Routes, ...] = (campaigns.routes, exports.routes, calls.routes, people.routes)
"""In the order of the contract."""

__all__ = ["ALL"]

"""The routes that main.py puts together, a module for each part of the API."""

from autodialer.api.routes import calls, campaigns
from autodialer.web.routing import Routes

ALL: tuple[Routes, ...] = (campaigns.routes, calls.routes)
"""In the order of the contract."""

__all__ = ["ALL"]

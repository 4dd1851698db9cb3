"""The operations of the API that api_srv.py puts together, a class for each part of it."""

from autodialer.api.operations.base import Json, Operations
from autodialer.api.operations.calls import CallOperations
from autodialer.api.operations.campaigns import CampaignOperations
from autodialer.api.operations.exports import ExportOperations
from autodialer.api.operations.people import PeopleOperations

__all__ = ["CallOperations", "CampaignOperations", "ExportOperations", "Json", "Operations", "PeopleOperations"]

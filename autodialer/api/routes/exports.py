"""Whole tables of a campaign to download."""

from uuid import UUID

from autodialer.api.operations import ExportOperations
from autodialer.web import routing as http
from autodialer.web.routing import Routes, authenticated
from autodialer.web.tables import Download

routes = Routes()


@routes.get("/srv1/campaigns/<campaign_id>/calls.csv")
@authenticated
def export_calls_csv(api: ExportOperations, campaign_id: UUID) -> Download:
    return http.download(api.export_calls_csv(http.caller(), campaign_id))


@routes.get("/srv1/campaigns/<campaign_id>/calls.xlsx")
@authenticated
def export_calls_xlsx(api: ExportOperations, campaign_id: UUID) -> Download:
    return http.download(api.export_calls_xlsx(http.caller(), campaign_id))


@routes.get("/srv1/campaigns/<campaign_id>/subscribers.csv")
@authenticated
def export_subscribers_csv(api: ExportOperations, campaign_id: UUID) -> Download:
    return http.download(api.export_subscribers_csv(http.caller(), campaign_id))


@routes.get("/srv1/campaigns/<campaign_id>/subscribers.xlsx")
@authenticated
def export_subscribers_xlsx(api: ExportOperations, campaign_id: UUID) -> Download:
    return http.download(api.export_subscribers_xlsx(http.caller(), campaign_id))

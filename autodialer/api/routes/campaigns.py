"""Campaigns."""

from uuid import UUID

from autodialer.api.operations import CampaignOperations, Json
from autodialer.web import routing as http
from autodialer.web.routing import Routes, authenticated

routes = Routes()


@routes.get("/srv1/campaigns")
@authenticated
def list_campaigns(api: CampaignOperations) -> Json:
    return api.list_campaigns(http.caller(), **http.page())


@routes.post("/srv1/campaigns")
@authenticated
def create_campaign(api: CampaignOperations) -> Json:
    return http.created(api.create_campaign(http.caller(), http.body(), http.once()))


@routes.get("/srv1/campaigns/<campaign_id>")
@authenticated
def read_campaign(api: CampaignOperations, campaign_id: UUID) -> Json:
    return api.read_campaign(http.caller(), campaign_id)


@routes.put("/srv1/campaigns/<campaign_id>")
@authenticated
def change_campaign(api: CampaignOperations, campaign_id: UUID) -> Json:
    return api.change_campaign(http.caller(), campaign_id, http.body())


@routes.post("/srv1/campaigns/<campaign_id>/start")
@authenticated
def start_campaign(api: CampaignOperations, campaign_id: UUID) -> Json:
    return api.start_campaign(http.caller(), campaign_id)


@routes.post("/srv1/campaigns/<campaign_id>/pause")
@authenticated
def pause_campaign(api: CampaignOperations, campaign_id: UUID) -> Json:
    return api.pause_campaign(http.caller(), campaign_id)


@routes.post("/srv1/campaigns/<campaign_id>/resume")
@authenticated
def resume_campaign(api: CampaignOperations, campaign_id: UUID) -> Json:
    return api.resume_campaign(http.caller(), campaign_id)


@routes.post("/srv1/campaigns/<campaign_id>/stop")
@authenticated
def stop_campaign(api: CampaignOperations, campaign_id: UUID) -> Json:
    return api.stop_campaign(http.caller(), campaign_id, hangup=http.body().get("hangup", False))


@routes.post("/srv1/campaigns/<campaign_id>/clone")
@authenticated
def clone_campaign(api: CampaignOperations, campaign_id: UUID) -> Json:
    made = api.clone_campaign(http.caller(), campaign_id, http.body().get("only", "all"), http.once())
    return http.created(made)


@routes.get("/srv1/campaigns/<campaign_id>/callable")
@authenticated
def read_callable(api: CampaignOperations, campaign_id: UUID) -> Json:
    return api.read_callable(http.caller(), campaign_id, http.parameter("at"))


@routes.get("/srv1/campaigns/<campaign_id>/why")
@authenticated
def read_why(api: CampaignOperations, campaign_id: UUID) -> Json:
    return api.read_why(http.caller(), campaign_id)


@routes.get("/srv1/campaigns/<campaign_id>/calls")
@authenticated
def list_calls(api: CampaignOperations, campaign_id: UUID) -> Json:
    return api.list_calls(http.caller(), campaign_id, http.parameter("disposition"), **http.page())


@routes.get("/srv1/campaigns/<campaign_id>/report")
@authenticated
def read_report(api: CampaignOperations, campaign_id: UUID) -> Json:
    return api.read_report(http.caller(), campaign_id)

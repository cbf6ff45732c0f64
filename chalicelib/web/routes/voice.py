"""Voice endpoints, and the webhooks that voice platforms call."""

from http import HTTPStatus

from chalice.app import Response

from chalicelib.domain.accounts import VoiceEndpoint
from chalicelib.flows.configure import create_endpoint, delete_endpoint
from chalicelib.flows.ingest_usage import ingest_delivery
from chalicelib.gateways.voice.delivery import Delivery
from chalicelib.storage import accounts
from chalicelib.web import requests
from chalicelib.web.answers import ListOf, ShownNewVoiceEndpoint, ShownUsageEvent, ShownVoiceEndpoint
from chalicelib.web.doors import Call, door, public_url
from chalicelib.web.show import show_endpoint, show_new_endpoint, show_queued

MOST_WEBHOOK_BYTES = 5_000_000  # an end-of-call report carries the whole transcript; a Lambda takes 6 MB


@door(
    "POST",
    "/v1/workspaces/{workspace_id}/voice-endpoints",
    summary="Create a webhook address for a voice platform",
    body=requests.NewVoiceEndpoint,
    answers=ShownNewVoiceEndpoint,
    status=HTTPStatus.CREATED,
)
def create_voice_endpoint(call: Call[requests.NewVoiceEndpoint], workspace_id: str) -> ShownNewVoiceEndpoint:
    """Paste `url` into the platform. The secret is what it signs with: yours where it brings one, else made here."""
    endpoint = create_endpoint(workspace_id, call.body.provider, call.body.secret, call.body.api_key)
    return show_new_endpoint(endpoint, _url(call.base_url, endpoint))


@door(
    "GET",
    "/v1/workspaces/{workspace_id}/voice-endpoints",
    summary="List a workspace's webhook addresses",
    answers=ListOf[ShownVoiceEndpoint],
)
def list_voice_endpoints(call: Call[None], workspace_id: str) -> ListOf[ShownVoiceEndpoint]:
    """All of them, the oldest first, without their secrets."""
    accounts.get_workspace(workspace_id)
    found = sorted(accounts.endpoints_of(workspace_id), key=lambda each: (each.created_at_ms, each.id))
    return ListOf[ShownVoiceEndpoint](data=[show_endpoint(each, _url(call.base_url, each)) for each in found])


@door(
    "DELETE",
    "/v1/workspaces/{workspace_id}/voice-endpoints/{endpoint_id}",
    summary="Delete a webhook address for a voice platform",
    answers=ShownVoiceEndpoint,
)
def delete_voice_endpoint(call: Call[None], workspace_id: str, endpoint_id: str) -> ShownVoiceEndpoint:
    """From now on the address answers 404, and its secret opens nothing; lost calls are not looked for with it either.
    Calls that were accepted before are posted. Point the platform at another address first: what it sends here is lost.
    """
    endpoint = delete_endpoint(workspace_id, endpoint_id)
    return show_endpoint(endpoint, _url(call.base_url, endpoint))


@door(
    "POST",
    "/webhooks/voice/{provider}/{endpoint_id}",
    summary="Receive a voice platform's webhook",
    body="What the platform sends, signed as it signs",
    answers=ListOf[ShownUsageEvent],
    status=HTTPStatus.ACCEPTED,
    also=(HTTPStatus.OK,),
    needs_key=False,
    problems=(HTTPStatus.UNAUTHORIZED,),
    most_body_bytes=MOST_WEBHOOK_BYTES,
)
def receive_voice_webhook(call: Call[None], provider: str, endpoint_id: str) -> Response:
    """Verified, read, queued, then acknowledged with the status that this platform takes for "received". Deliveries
    about anything but a finished call are acknowledged and change nothing.
    """
    url = public_url(call, _path(provider, endpoint_id))
    accepted, status = ingest_delivery(provider, endpoint_id, Delivery(call.headers, call.raw_body, url))
    answer = ListOf[ShownUsageEvent](data=[show_queued(event) for event in accepted])
    return Response(answer.model_dump_json(), {"Content-Type": "application/json"}, status)


def _url(base_url: str, endpoint: VoiceEndpoint) -> str:
    return base_url + _path(endpoint.provider, endpoint.id)


def _path(provider: str, endpoint_id: str) -> str:
    return f"/webhooks/voice/{provider}/{endpoint_id}"

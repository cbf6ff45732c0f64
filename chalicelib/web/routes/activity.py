"""What happened to a wallet, at which balances its owner is told, and where the platform wants to hear of it."""

from http import HTTPStatus

from chalicelib.flows import tell, watch_balances
from chalicelib.storage import accounts, activity, wallets
from chalicelib.web import requests
from chalicelib.web.answers import ListOf, ShownNewWebhookEndpoint, ShownNotice, ShownNoticeLevels, ShownWebhookEndpoint
from chalicelib.web.doors import Call, door
from chalicelib.web.show import show_new_webhook_endpoint, show_notice, show_notice_levels, show_webhook_endpoint


@door(
    "GET",
    "/v1/workspaces/{workspace_id}/activity",
    summary="What happened to a workspace's wallet",
    query=requests.NoticePage,
    answers=ListOf[ShownNotice],
)
def list_workspace_activity(call: Call[None], workspace_id: str) -> ListOf[ShownNotice]:
    """Low balances, refills and reversed payments of the last 400 days, newest first."""
    accounts.get_workspace(workspace_id)
    return _notices(workspace_id, call.query_as(requests.NoticePage))


@door(
    "GET",
    "/v1/sub-accounts/{sub_account_id}/activity",
    summary="What happened to a sub-account's wallet",
    query=requests.NoticePage,
    answers=ListOf[ShownNotice],
)
def list_sub_account_activity(call: Call[None], sub_account_id: str) -> ListOf[ShownNotice]:
    """Low balances, refills and reversed payments of the last 400 days, newest first. No agency's cost is among it."""
    accounts.get_sub_account(sub_account_id)
    return _notices(sub_account_id, call.query_as(requests.NoticePage))


def _notices(owner_id: str, page: requests.NoticePage) -> ListOf[ShownNotice]:
    found, has_more = activity.list_notices(owner_id, page.limit, page.starting_after)
    return ListOf[ShownNotice](data=[show_notice(each) for each in found], has_more=has_more)


@door(
    "GET",
    "/v1/workspaces/{workspace_id}/wallet/notice-levels",
    summary="At which balances a workspace is told",
    answers=ShownNoticeLevels,
)
def read_workspace_notice_levels(call: Call[None], workspace_id: str) -> ShownNoticeLevels:
    """The highest first; empty where nothing is told. 20, 5 and 0 unless they were set."""
    accounts.get_workspace(workspace_id)
    return show_notice_levels(wallets.watched_wallet(workspace_id))


@door(
    "GET",
    "/v1/sub-accounts/{sub_account_id}/wallet/notice-levels",
    summary="At which balances a sub-account is told",
    answers=ShownNoticeLevels,
)
def read_sub_account_notice_levels(call: Call[None], sub_account_id: str) -> ShownNoticeLevels:
    """The highest first; empty where nothing is told. 20, 5 and 0 unless they were set."""
    accounts.get_sub_account(sub_account_id)
    return show_notice_levels(wallets.watched_wallet(sub_account_id))


@door(
    "PUT",
    "/v1/workspaces/{workspace_id}/wallet/notice-levels",
    summary="Set at which balances a workspace is told",
    body=requests.NoticeLevels,
    answers=ShownNoticeLevels,
)
def set_workspace_notice_levels(call: Call[requests.NoticeLevels], workspace_id: str) -> ShownNoticeLevels:
    """A `wallet.low` is told when the balance falls to a level, and again only after it has risen above it. One that is
    reached already is told at once, if none as low was told before.
    """
    accounts.get_workspace(workspace_id)
    return show_notice_levels(watch_balances.set_levels(workspace_id, call.body.levels))


@door(
    "PUT",
    "/v1/sub-accounts/{sub_account_id}/wallet/notice-levels",
    summary="Set at which balances a sub-account is told",
    body=requests.NoticeLevels,
    answers=ShownNoticeLevels,
)
def set_sub_account_notice_levels(call: Call[requests.NoticeLevels], sub_account_id: str) -> ShownNoticeLevels:
    """A `wallet.low` is told when the balance falls to a level, and again only after it has risen above it. One that is
    reached already is told at once, if none as low was told before.
    """
    accounts.get_sub_account(sub_account_id)
    return show_notice_levels(watch_balances.set_levels(sub_account_id, call.body.levels))


@door(
    "POST",
    "/v1/webhook-endpoints",
    summary="Hear of notices by webhook",
    body=requests.NewWebhookEndpoint,
    answers=ShownNewWebhookEndpoint,
    status=HTTPStatus.CREATED,
)
def create_webhook_endpoint(call: Call[requests.NewWebhookEndpoint]) -> ShownNewWebhookEndpoint:
    """Every notice of these types (of all, if you name none) is posted to `url`, signed as Standard Webhooks with the
    secret that is shown this once. Answer 2xx within five seconds. Tell repeats by `webhook-id`.
    """
    return show_new_webhook_endpoint(tell.add_endpoint(call.body.url, call.body.types or ()))


@door(
    "GET",
    "/v1/webhook-endpoints",
    summary="List the webhook endpoints",
    answers=ListOf[ShownWebhookEndpoint],
)
def list_webhook_endpoints(call: Call[None]) -> ListOf[ShownWebhookEndpoint]:
    """All of them, the oldest first; there may be five."""
    return ListOf[ShownWebhookEndpoint](data=[show_webhook_endpoint(each) for each in activity.webhook_endpoints()])


@door(
    "DELETE",
    "/v1/webhook-endpoints/{endpoint_id}",
    summary="Delete a webhook endpoint",
    answers=ShownWebhookEndpoint,
)
def delete_webhook_endpoint(call: Call[None], endpoint_id: str) -> ShownWebhookEndpoint:
    """Nothing more is sent there, not even what waits for another try."""
    return show_webhook_endpoint(tell.delete_endpoint(endpoint_id))


@door(
    "POST",
    "/v1/webhook-endpoints/{endpoint_id}/enable",
    summary="Switch a webhook endpoint on again",
    answers=ShownWebhookEndpoint,
)
def enable_webhook_endpoint(call: Call[None], endpoint_id: str) -> ShownWebhookEndpoint:
    """What happens from now on is sent there again; what waited when it was switched off is not. Read that from the
    activity.
    """
    return show_webhook_endpoint(tell.enable_endpoint(endpoint_id))

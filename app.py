"""The doors of Rebill: the routes, the queues and the clock.

Every function of ours loads this file. Each loads what it needs beside it, and nothing that only another needs.
"""

from importlib import import_module
from typing import Any

from chalice.app import Chalice, Cron

from chalicelib.settings import settings
from chalicelib.starting import for_good
from chalicelib.web.routes import routes

QUEUE_BATCH_SIZE = 500
QUEUE_WINDOW_SECONDS = 1
QUEUE_CONCURRENCY = 2
EVERY_NIGHT = Cron(17, "2-5", "*", "*", "?", "*")  # UTC; what one run does not come to, the next one goes on with
SECONDS_TO_FINISH = 5.0
# By the name under which Lambda calls a function, what it needs for its first answer. Lambda starts a function with
# more processor time than it then has at work, so this is loaded before there is anything to do.
NEEDED_FIRST = {
    "app.app": "chalicelib.web.routes.access",
    "app.post_usage_batch": "chalicelib.flows.post_usage",
    "app.settle_payments": "chalicelib.flows.follow_stripe",
    "app.tick": "chalicelib.flows.tick",
    "app.reconcile": "chalicelib.flows.reconcile",
    "app.sweep": "chalicelib.flows.sweep_calls",
}

app = Chalice(app_name="rebill", configure_logs=False)
app.register_blueprint(routes)
if settings().handler in NEEDED_FIRST:
    with for_good():
        import_module(NEEDED_FIRST[settings().handler])


@app.on_sqs_message(
    queue=settings().usage_queue,
    batch_size=QUEUE_BATCH_SIZE,
    maximum_batching_window_in_seconds=QUEUE_WINDOW_SECONDS,
    maximum_concurrency=QUEUE_CONCURRENCY,
    name="post_usage",
)
def post_usage_batch(event: Any) -> dict[str, list[dict[str, str]]]:
    """Post what the queue hands over; only what must come again is reported as failed."""
    from chalicelib.flows.post_usage import Message, post_usage

    messages = [Message(record["messageId"], record["body"]) for record in event.to_dict()["Records"]]
    seconds_left = event.context.get_remaining_time_in_millis() / 1000 - SECONDS_TO_FINISH
    return {"batchItemFailures": [{"itemIdentifier": each} for each in post_usage(messages, seconds_left)]}


@app.on_sqs_message(
    queue=settings().payments_queue,
    batch_size=10,
    maximum_concurrency=QUEUE_CONCURRENCY,
    name="settle_payments",
)
def settle_payments(event: Any) -> dict[str, list[dict[str, str]]]:
    """Follow Stripe's events; only what must come again is reported as failed."""
    from chalicelib.flows.follow_stripe import follow

    messages = [(record["messageId"], record["body"]) for record in event.to_dict()["Records"]]
    return {"batchItemFailures": [{"itemIdentifier": each} for each in follow(messages)]}


@app.schedule("rate(1 minute)", name="tick")
def tick(event: Any) -> None:
    """The clock: refill what is due, ask after every payment whose end nobody has told us, deliver notices."""
    from chalicelib.flows.tick import tick as do

    do(event.context.get_remaining_time_in_millis() / 1000 - SECONDS_TO_FINISH)


@app.schedule(EVERY_NIGHT, name="reconcile")
def reconcile(event: Any) -> None:
    """Hold our books against themselves and against Stripe; whatever does not agree is an alarm."""
    from chalicelib.flows.reconcile import reconcile_tonight

    reconcile_tonight(event.context.get_remaining_time_in_millis() / 1000 - SECONDS_TO_FINISH)


@app.schedule(EVERY_NIGHT, name="sweep")
def sweep(event: Any) -> None:
    """Look for calls that voice platforms list and that never reached us; those that are missing are posted."""
    from chalicelib.flows.sweep_calls import sweep_tonight

    sweep_tonight(event.context.get_remaining_time_in_millis() / 1000 - SECONDS_TO_FINISH)

"""The doors of Rebill: the routes, and the queue from which usage is posted."""

from typing import Any

from chalice.app import Chalice

from chalicelib.flows.post_usage import Message, post_usage
from chalicelib.settings import settings
from chalicelib.web.routes import BLUEPRINTS

QUEUE_BATCH_SIZE = 500
QUEUE_WINDOW_SECONDS = 1
QUEUE_CONCURRENCY = 2
SECONDS_TO_FINISH = 5.0

app = Chalice(app_name="rebill", configure_logs=False)
for blueprint in BLUEPRINTS:
    app.register_blueprint(blueprint)


@app.on_sqs_message(
    queue=settings().usage_queue,
    batch_size=QUEUE_BATCH_SIZE,
    maximum_batching_window_in_seconds=QUEUE_WINDOW_SECONDS,
    maximum_concurrency=QUEUE_CONCURRENCY,
    name="post_usage",
)
def post_usage_batch(event: Any) -> dict[str, list[dict[str, str]]]:
    """Post what the queue hands over; only what must come again is reported as failed."""
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
    from chalicelib.flows.follow_stripe import follow  # the gate shares this file, and must not wait for Stripe's SDK

    messages = [(record["messageId"], record["body"]) for record in event.to_dict()["Records"]]
    return {"batchItemFailures": [{"itemIdentifier": each} for each in follow(messages)]}


@app.schedule("rate(1 minute)", name="tick")
def tick(event: Any) -> None:
    """The clock: refill what is due, ask after every payment whose end nobody has told us, deliver notices."""
    from chalicelib.flows.tick import tick as do

    do(event.context.get_remaining_time_in_millis() / 1000 - SECONDS_TO_FINISH)

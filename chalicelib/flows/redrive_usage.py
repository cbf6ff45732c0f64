"""Events that waited for an agent to be assigned, or for a price, go back on the queue once somebody has said so.

Saying so puts a question on the queue with a short delay, instead of looking at once: the index of waiting events
lags a little behind the table, and an event that was put aside a moment ago must not be missed.
"""

import json

from chalicelib.gateways import queue
from chalicelib.storage import usage_events

DELAY_SECONDS = 2
KIND = "redrive"


def ask_for_agent(workspace_id: str, agent_id: str) -> None:
    """Have the events looked at again that wait for this agent."""
    _ask({"kind": KIND, "workspace_id": workspace_id, "agent_id": agent_id})


def ask_for_price(workspace_id: str, sub_account_id: str | None = None) -> None:
    """Have the events looked at again that wait for a price: one sub-account's, or all of the workspace's."""
    _ask({"kind": KIND, "workspace_id": workspace_id, "sub_account_id": sub_account_id})


def _ask(question: dict[str, str | None]) -> None:
    queue.send([json.dumps(question)], delay_seconds=DELAY_SECONDS)


def answer(body: str) -> bool:
    """If a message is such a question, put the waiting events back on the queue. False for any other message.

    Raises:
        Unavailable: the store or the queue did not answer; asking again does no harm.
    """
    if f'"kind": "{KIND}"' not in body:
        return False
    question = json.loads(body)
    if "agent_id" in question:
        waiting = usage_events.messages_waiting_for_agent(question["workspace_id"], question["agent_id"])
    else:
        waiting = usage_events.messages_waiting_for_price(question["workspace_id"], question["sub_account_id"])
    queue.send(waiting)
    return True

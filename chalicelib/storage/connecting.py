"""The one connection to DynamoDB, for what names a table and for what spans several."""

import json
from functools import cache
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.parsers import JSONParser, ResponseParserFactory
from pynamodb.connection import Connection

from chalicelib.starting import for_good

CONNECT_TIMEOUT_SECONDS = 1
READ_TIMEOUT_SECONDS = 4
SEND_ATTEMPTS = 3
MOST_CONNECTIONS = 32  # of all threads of this process
USER_AGENT = f"rebill Botocore/{botocore.__version__}"  # botocore's own is put together twice for every request


class _AsItIs(JSONParser):
    """DynamoDB's answers are JSON of texts and numbers. botocore would walk through every value of every item, for
    bytes and dates that none of ours has: a third of the time of a page that lists a thousand clients."""

    def _handle_json_body(self, raw_body: bytes, shape: Any) -> Any:
        return json.loads(raw_body) if raw_body else {}


class _Parsers(ResponseParserFactory):
    def create_parser(self, protocol_name: str) -> Any:
        return _AsItIs() if protocol_name == "json" else super().create_parser(protocol_name)


class _Connection(Connection):
    @property
    def session(self) -> botocore.session.Session:
        found = super().session
        found.register_component("response_parser_factory", _Parsers())
        found.set_default_client_config(Config(user_agent=USER_AGENT))
        return found


@cache
def connection() -> Connection:
    """The connection, made when it is first used."""
    made = _Connection(
        connect_timeout_seconds=CONNECT_TIMEOUT_SECONDS,
        read_timeout_seconds=READ_TIMEOUT_SECONDS,
        max_retry_attempts=SEND_ATTEMPTS - 1,
        max_pool_connections=MOST_CONNECTIONS,
    )
    with for_good():
        _ = made.client  # makes it, from all that botocore knows of DynamoDB
    return made

"""What `make contract` tries is the product's own description, in a product that does not outlive it."""

import copy
from pathlib import Path
from typing import Any

import pytest

import app  # noqa: F401 - its doors are what is described
from chalicelib.web.openapi import describe
from local.contract import CLOSE, NOWHERE, running, with_known_values

KNOWN = {
    "workspace_id": ["ws_1"],
    "sub_account_id": ["sa_1", "sa_2"],
    "to_close": ["sa_3"],
    "agent_id": ["agent_7"],
}


@pytest.fixture
def described() -> dict[str, Any]:
    return describe("http://127.0.0.1")


def path_schema(described: dict[str, Any], method: str, path: str) -> Any:
    (parameter,) = [each for each in described["paths"][path][method]["parameters"] if each["in"] == "path"]
    return parameter["schema"]


def test_addresses_often_name_somebody_who_is_there_and_sometimes_nobody(described: dict[str, Any]) -> None:
    tried = with_known_values(described, KNOWN)

    schema = path_schema(tried, "get", "/v1/sub-accounts/{sub_account_id}")

    assert schema == {"anyOf": [{"enum": ["sa_1", "sa_2"]}, {"type": "string"}]}


def test_only_a_client_that_is_there_for_it_is_closed(described: dict[str, Any]) -> None:
    tried = with_known_values(described, KNOWN)

    assert path_schema(tried, "post", CLOSE)["anyOf"][0] == {"enum": ["sa_3"]}


def test_no_webhook_goes_to_anybody_on_the_internet(described: dict[str, Any]) -> None:
    tried = with_known_values(described, KNOWN)

    assert tried["components"]["schemas"]["NewWebhookEndpoint"]["properties"]["url"] == {"enum": [NOWHERE]}


def test_answers_are_held_against_what_the_product_says_of_them(described: dict[str, Any]) -> None:
    before = copy.deepcopy(described)

    tried = with_known_values(described, KNOWN)

    assert described == before
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            assert tried["paths"][path][method]["responses"] == operation["responses"]


def test_the_product_ends_with_what_is_tried_even_if_that_goes_wrong(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), running(tmp_path) as found:
        pid = int((tmp_path / ".state" / "lock").read_text())
        assert found["api_key"].startswith("rbk_")
        assert Path(f"/proc/{pid}").exists()
        raise ZeroDivisionError

    assert not Path(f"/proc/{pid}").exists()
    assert not (tmp_path / ".run.json").exists()

"""Deploys a packaged build onto a running MiniStack as CloudFormation would on AWS: Lambdas, API Gateway, triggers."""

import hashlib
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from local.template import client

BUCKET = "rebill-builds"
DEPLOY_TIMEOUT_SECONDS = 60.0
POLL_SECONDS = 0.1
CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]
FUNCTION = "AWS::Serverless::Function"


class DeployError(RuntimeError):
    """CloudFormation gave up; the message is its reasons."""


@dataclass(frozen=True)
class Deployed:
    """A stage on MiniStack.

    `base_url` is the API's address in the shape that AWS gives it, which browsers and curl find on this machine and
    most programs do not; `local_url` is the same API by an address that everybody finds. Neither ends with a slash.
    `names` has what CloudFormation calls each resource, by its name in the template.
    """

    base_url: str
    local_url: str
    names: Mapping[str, str]


def deploy(endpoint_url: str, build: Path, stage: str = "dev") -> str:
    """Create the stack and return the API's local URL, without a slash at its end."""
    return deploy_stage(endpoint_url, build, stage).local_url


def deploy_stage(endpoint_url: str, build: Path, stage: str, **parameters: str) -> Deployed:
    """Create the stack; `parameters` are the template's own, besides the stage.

    Raises:
        DeployError: CloudFormation could not.
    """
    stack_name = f"rebill-{stage}"
    zip_key = _upload(endpoint_url, (build / "deployment.zip").read_bytes(), "zip")
    template = _with_code(json.loads((build / "sam.json").read_text()), f"s3://{BUCKET}/{zip_key}")
    # The routes alone make more than the 51,200 bytes that a template may have inside the request.
    template_key = _upload(endpoint_url, json.dumps(template).encode(), "json")
    cloudformation = client(endpoint_url, "cloudformation")
    cloudformation.create_stack(
        StackName=stack_name,
        TemplateURL=f"{endpoint_url}/{BUCKET}/{template_key}",
        Parameters=[
            {"ParameterKey": name, "ParameterValue": value} for name, value in {"Stage": stage, **parameters}.items()
        ],
        Capabilities=CAPABILITIES,
    )
    api_id = _wait_for(cloudformation, stack_name)["RestAPIId"]
    api = template["Resources"]["RestAPI"]["Properties"]
    _set_gateway_responses(client(endpoint_url, "apigateway"), api_id, api)
    made = cloudformation.describe_stack_resources(StackName=stack_name)["StackResources"]
    return Deployed(
        base_url=f"http://{api_id}.execute-api.localhost:{urlsplit(endpoint_url).port}/{api['StageName']}",
        local_url=f"{endpoint_url}/restapis/{api_id}/{api['StageName']}/_user_request_",
        names={each["LogicalResourceId"]: each["PhysicalResourceId"] for each in made},
    )


def _upload(endpoint_url: str, content: bytes, kind: str) -> str:
    """Put it where CloudFormation can read it; the key names the contents, so a new zip is a new function."""
    key = f"{hashlib.sha256(content).hexdigest()}.{kind}"
    s3 = client(endpoint_url, "s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key=key, Body=content)
    return key


def _with_code(template: dict[str, Any], code_uri: str) -> dict[str, Any]:
    for resource in template["Resources"].values():
        if resource["Type"] == FUNCTION:
            resource["Properties"]["CodeUri"] = code_uri
    return template


def _set_gateway_responses(apigateway: Any, api_id: str, api: dict[str, Any]) -> None:
    """What CloudFormation does on AWS: MiniStack reads the API's body, but not the gateway responses in it."""
    for response_type, response in api.get("GatewayResponses", {}).items():
        headers = response.get("ResponseParameters", {}).get("Headers", {})
        apigateway.put_gateway_response(
            restApiId=api_id,
            responseType=response_type,
            statusCode=response["StatusCode"],
            responseParameters={f"gatewayresponse.header.{name}": value for name, value in headers.items()},
            responseTemplates=response.get("ResponseTemplates", {}),
        )
    apigateway.create_deployment(restApiId=api_id, stageName=api["StageName"])


def _wait_for(cloudformation: Any, stack_name: str) -> dict[str, str]:
    """The finished stack's outputs."""
    deadline = time.monotonic() + DEPLOY_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        stack = cloudformation.describe_stacks(StackName=stack_name)["Stacks"][0]
        if stack["StackStatus"] == "CREATE_COMPLETE":
            return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
        if not stack["StackStatus"].endswith("_IN_PROGRESS") or "ROLLBACK" in stack["StackStatus"]:
            break
        time.sleep(POLL_SECONDS)
    events = cloudformation.describe_stack_events(StackName=stack_name)["StackEvents"]
    reasons = [f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', '')}" for event in events]
    raise DeployError(f"{stack_name} was not created:\n" + "\n".join(reasons))


def main() -> None:
    """``python -m local.deploy ENDPOINT_URL BUILD_FOLDER STAGE`` prints the API's base URL."""
    endpoint_url, build, stage = sys.argv[1:]
    print(deploy(endpoint_url, Path(build), stage))


if __name__ == "__main__":
    main()

"""The description of the HTTP interface: whole, true of the running server, and nothing in it makes the server fail."""

import time

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from server_process import ServerProcess
from starlette.routing import Route

from taba.config import Settings
from taba.server.app import make_app
from taba.server.openapi.document import document
from taba.server.openapi.operations import EVENT_STREAM, OPERATIONS
from taba.server.service import Service

CHECKS = [not_a_server_error, content_type_conformance, response_schema_conformance, status_code_conformance]
EXAMPLES = 15
"""Requests for each call, of right ones and of wrong ones."""
ENDING = [operation for operation in OPERATIONS if EVENT_STREAM not in operation.others]
"""Whoever reads the others never has all of an answer: they have tests of their own."""
GETS = [operation for operation in ENDING if operation.method == "get"]
RIGHT = [pytest.param(one, GenerationMode.POSITIVE, id=f"{one.name}-right") for one in ENDING]
WRONG = [pytest.param(one, GenerationMode.NEGATIVE, id=f"{one.name}-wrong") for one in ENDING if one.fields]
TYPES = {"counter": 3, "percentile": 81.5, "gauge": "v1.4", "uniques": "alice", "top": "/home", "buffer": "timeout"}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = ServerProcess(tmp_path_factory.mktemp("openapi"))
    now = time.time()
    server.record(
        [
            {"tab": f"seen.{kind}{{shop={shop}}}", "type": kind, "value": value, "time": now - age, "client": client}
            for kind, value in TYPES.items()
            for shop in ("berlin", "paris")
            for age, client in ((400, "web-1"), (3, "web-2"))
        ]
    )
    yield server
    server.close()


def test_every_call_is_described(tmp_path):
    """No route for programs is missing, and nothing is described that is not there."""
    service = Service(Settings(data=tmp_path))
    try:
        there = {
            (route.path, method.lower())
            for route in make_app(service).routes
            if isinstance(route, Route) and route.include_in_schema
            for method in route.methods or {"POST"}
            if method != "HEAD"
        }
    finally:
        service.store.close()
    assert there == {(operation.path, operation.method) for operation in OPERATIONS}


def test_what_is_served_is_the_description(server):
    assert server.get("/v1/openapi.json") == document()


@pytest.mark.parametrize("operation", GETS, ids=lambda operation: operation.name)
def test_each_parameter_that_is_described_is_taken_and_no_other(server, operation):
    """Nothing is described that is refused as unknown, and nothing is taken that is not described."""
    if operation.passes_over:
        assert server.request("GET", f"{operation.path.replace('{', '').replace('}', '')}?surely.not=x").status != 500
        return
    path = operation.path.replace("{", "").replace("}", "")
    taken = {name for name, field in operation.fields.items() if field.place == "query"}
    for name in sorted(taken | {"surely.not"}):
        response = server.request("GET", f"{path}?{name}=x")
        refused = response.status == 400 and "there is no such parameter" in str(response.content)
        assert refused == (name not in taken), (name, response.content)


@pytest.mark.parametrize(("operation", "mode"), RIGHT + WRONG)
def test_no_request_makes_a_call_fail_or_answer_otherwise_than_described(server, operation, mode):
    """Requests made up from the description, right and wrong ones: the statuses, media types and shapes are as told."""
    schema = schemathesis.openapi.from_url(f"{server.url}/v1/openapi.json")
    cases = schema[operation.path][operation.method.upper()].as_strategy(generation_mode=mode)

    @given(case=cases)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def run(case):
        case.call_and_validate(checks=CHECKS)

    run()
